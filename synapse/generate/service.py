"""`synapse generate`: simulate the product and land it as bronze, with the truth beside it.

Prefix stability: a day draws only from its own random streams and carries its state over, so
`generate(days=n)` followed by an append of one day leaves exactly the bytes of
`generate(days=n + 1)`. An append simulates everything again and writes only what arrives on the
new days (and the truth).

What is true: the truth of n days is what can be known from the files that have arrived by the end
of day n - 1. A file that is late at that moment is in neither bronze nor the truth; it arrives when
the next days are appended. So bronze always suffices to find the truth exactly.

`users` sizes the product: about as many people have an account after 120 days. Half of them come
with the launch, in the four weeks before the first landed day; a shorter run therefore has fewer.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from synapse.errors import SynapseError, UsageError
from synapse.garbage import without_cycle_search
from synapse.generate import topic_documents, topic_events, truth
from synapse.generate.calendar import (
    DEFAULT_START,
    HOUR_US,
    WARM_UP_DAYS,
    Calendar,
)
from synapse.generate.debezium import PaymentTopic
from synapse.generate.dms import LOAD_HOUR, TASKS, DmsTask, arrived, sequences, stray_load
from synapse.generate.frames import Ints, numpy_of
from synapse.generate.hazards import LEVELS, RATES, Fates, Level
from synapse.generate.landing import LandedFile, Yard
from synapse.generate.streams import Streams
from synapse.generate.tables import SCHEMAS
from synapse.generate.topic_documents import DocumentTopic
from synapse.generate.topic_events import EventTopic
from synapse.generate.world import DayFacts, World


@dataclass(frozen=True)
class GenerateReport:
    """What is in the lake after generating (all of it, not only what an append added)."""

    users: int  # accounts ever made that have landed
    messages: int  # living messages, in tables and documents
    events: int  # distinct app events
    conversations: int  # in tables and documents
    files: int  # written by this call
    bytes: int  # written by this call
    start_date: date
    end_date: date
    as_of: str  # end of the last business day, UTC, ISO 8601


@dataclass(frozen=True)
class Plan:
    """What was asked for; kept in truth/generator.json for an append to go on with."""

    seed: int
    users: int
    days: int
    hazards: Level
    start_date: date

    @property
    def end_date(self) -> date:
        """Last business date."""
        return self.start_date + timedelta(days=self.days - 1)

    @property
    def as_of(self) -> str:
        """The moment at which the last business day has ended."""
        micros = Calendar(self.start_date).start_us(self.days)
        return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat()


def generate(
    lake: Path,
    *,
    users: int,
    days: int,
    seed: int,
    append: bool,
    hazards: Level,
    end_date: date | None = None,
) -> GenerateReport:
    """Land `days` days of a product of about `users` accounts under `lake`.

    With `append`, `days` more days are added to the lake's own plan; its seed, users, hazards and
    dates stay as they are. Without `end_date` the first day is 2026-03-01, never the clock's.
    Raises SynapseError for a lake that is occupied (or, to append, not one of ours).
    """
    if days < 1 or users < 1 or seed < 0:
        raise UsageError("users and days must be at least 1, and the seed must not be negative")
    if hazards not in LEVELS:
        raise UsageError(f"unknown hazards '{hazards}': choose one of {', '.join(LEVELS)}")
    try:
        if append:
            before = _recorded(lake)
            plan = replace(before, days=before.days + days)
            return _Production(lake, plan).run(first_new_day=before.days)
        _refuse_occupied(lake)
        start = DEFAULT_START if end_date is None else end_date - timedelta(days=days - 1)
        with without_cycle_search():
            return _generate_whole(lake, Plan(seed, users, days, hazards, start))
    except OSError as error:
        raise SynapseError(f"{lake} cannot be written ({error}): choose another --lake") from error


def _generate_whole(lake: Path, plan: Plan) -> GenerateReport:
    """Generate aside and move into place: a run that is killed leaves nothing half-written."""
    aside = lake / ".generating"
    if aside.exists():
        shutil.rmtree(aside)
    report = _Production(aside, plan).run(first_new_day=0)
    for name in ("truth", "bronze"):
        (aside / name).replace(lake / name)
    aside.rmdir()
    return report


def _refuse_occupied(lake: Path) -> None:
    if lake.exists() and not lake.is_dir():
        raise SynapseError(f"{lake} is not a folder: choose another --lake")
    for folder in (lake / "bronze", lake / "truth"):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SynapseError(
                f"{folder} is not empty: choose another --lake, remove it first, "
                "or add days with --append"
            )


def _recorded(lake: Path) -> Plan:
    path = lake / "truth" / "generator.json"
    if not path.is_file():
        raise SynapseError(
            f"{path} does not exist: --append goes on with a lake that `synapse generate` made; "
            "generate one without --append first"
        )
    try:
        known = orjson.loads(path.read_bytes())
        plan = Plan(
            seed=int(known["seed"]),
            users=int(known["users"]),
            days=int(known["days"]),
            hazards=known["hazards"],
            start_date=date.fromisoformat(known["start_date"]),
        )
        if plan.hazards not in LEVELS:
            raise ValueError(f"unknown hazards {plan.hazards!r}")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SynapseError(
            f"{path} cannot be read ({error}): restore it, or generate a lake anew"
        ) from error
    return plan


class _Production:
    """One run of the generator."""

    def __init__(self, lake: Path, plan: Plan) -> None:
        self._lake = lake
        self._plan = plan
        self._calendar = Calendar(plan.start_date)
        streams = Streams(plan.seed)
        rates = RATES[plan.hazards]
        self._world = World(self._calendar, plan.users, plan.seed, rates)
        self._yard = Yard(lake)

        def fates(source: int) -> Fates:
            return Fates(rates, streams, source)

        self._tasks = {
            table: DmsTask(table, self._calendar, streams, rates, fates(number))
            for number, table in enumerate(TASKS)
        }
        self._payments = PaymentTopic(self._calendar, fates(len(TASKS)))
        self._events = EventTopic(self._calendar, streams, rates, fates(len(TASKS) + 1))
        self._documents = DocumentTopic(self._calendar, streams, rates, fates(len(TASKS) + 2))
        self._has_stray = rates.stray_table
        self._sequence = 0

    def run(self, *, first_new_day: int) -> GenerateReport:
        """Simulate all days and write what arrives from `first_new_day` on."""
        for day in range(-WARM_UP_DAYS, self._plan.days):
            facts = self._world.simulate(day)
            for table, changes in facts.changes.items():
                log = self._payments.log if table == "payments" else self._tasks[table].log
                log.add(changes)
            # Topics are read from their beginning on day 0, so the warm-up's records land then.
            self._yard.send(self._events.day(day, facts.events))
            self._yard.send(self._documents.day(day, facts.deliveries))
            if day >= 0:
                self._yard.send(self._land_tables(facts))
                self._yard.arrive(day, write=day >= first_new_day)
        return self._finish()

    def _land_tables(self, facts: DayFacts) -> list[LandedFile]:
        day, files = facts.day, []
        if day == 0:
            moment = self._calendar.start_us(0) + LOAD_HOUR * HOUR_US
            for task in self._tasks.values():
                files += task.load(day, moment)
            files += self._payments.snapshot(day)
            if self._has_stray:
                files.append(stray_load(moment))
        captured = {
            table: self._tasks[table].captured(facts.changes[table]) for table in self._tasks
        }
        for table, seq in self._sequences(captured).items():
            files += self._tasks[table].changes(day, captured[table], seq)
        payments = self._tasks["users"].captured(facts.changes["payments"])
        files += self._payments.changes(day, payments)
        return files

    def _sequences(self, captured: dict[str, pa.Table]) -> dict[str, pa.Array]:
        """Number the day's changes through, over all tables, in commit order."""
        committed: dict[str, Ints] = {
            table: numpy_of(changes["committed_us"]) for table, changes in captured.items()
        }
        everything = np.concatenate(list(committed.values()))
        rank = np.empty(len(everything), dtype=np.int64)
        rank[np.argsort(everything, kind="stable")] = np.arange(len(everything))
        counters = self._sequence + 1 + rank
        self._sequence += len(everything)
        out, start = {}, 0
        for table, moments in committed.items():
            out[table] = sequences(moments, counters[start : start + len(moments)])
            start += len(moments)
        return out

    def _finish(self) -> GenerateReport:
        days = self._plan.days
        logs = {table: task.history for table, task in self._tasks.items()}
        logs["payments"] = self._payments.history
        histories = {table: arrived(log, table, days) for table, log in logs.items()}
        events = topic_events.distinct(self._events.deliveries, days)
        documents = self._documents.latest(days)
        landed = truth.Landed(
            histories={table: histories[table] for table in SCHEMAS},
            events=events,
            event_rows=topic_events.truth(events),
            document_messages=topic_documents.truth(documents),
            arrivals=self._yard.arrivals,
        )
        folder = self._lake / "truth"
        counts = truth.write(folder, landed)
        plan = self._plan
        (folder / "generator.json").write_bytes(
            orjson.dumps(
                {
                    "seed": plan.seed,
                    "users": plan.users,
                    "days": plan.days,
                    "hazards": plan.hazards,
                    "start_date": plan.start_date.isoformat(),
                    "end_date": plan.end_date.isoformat(),
                    "as_of": plan.as_of,
                },
                option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
            )
        )
        return GenerateReport(
            users=len(np.unique(numpy_of(histories["users"]["user_id"]))),
            messages=counts["messages"] + len(landed.document_messages),
            events=len(events),
            conversations=counts["conversations"] + len(documents),
            files=self._yard.files,
            bytes=self._yard.size,
            start_date=plan.start_date,
            end_date=plan.end_date,
            as_of=plan.as_of,
        )

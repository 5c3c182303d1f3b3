"""Whether a run that AWS was asked for may begin, and what became of it: the state store knows.

The embedded scheduler asks itself the same (synapse/schedules/scheduler.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Engine

from synapse.errors import UsageError
from synapse.runner.clock import naive_utc
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.lease import is_held
from synapse.runner.plan import leases
from synapse.runner.run_ledger import RunLedger
from synapse.schedules.claims import OCCURRENCES, Occurrences
from synapse.schedules.lateness import GOOD, overdue
from synapse.schedules.model import CatchUp, Ingest, Schedules
from synapse.schedules.occurrences import latest_time


class How(StrEnum):
    """What a run was asked for: a time of its schedule, or the moment at which something landed."""

    occurrence = "--occurrence"
    landed = "--as-of"


class State(StrEnum):
    """What a state machine does next."""

    run = "run"
    wait = "wait"
    done = "done"
    failed = "failed"


@dataclass(frozen=True)
class Answer:
    """The next state, and why in a sentence."""

    state: State
    why: str


@dataclass(frozen=True)
class Lateness:
    """How a schedule keeps its times. age: since its last success; None where there is none."""

    is_late: bool
    age: timedelta | None


class Readiness:
    """Asks the state store; the engine is its caller's."""

    def __init__(self, engine: Engine, schedules: Schedules, timezone: str) -> None:
        self._engine = engine
        self._schedules = schedules
        self._timezone = timezone
        self._occurrences = Occurrences(engine)
        self._ledger = RunLedger(engine)

    def ask(self, name: str, how: How, at: datetime, tries: int, now: datetime) -> Answer:
        """What to do about a run of `name` for `at` (aware), which was tried so often."""
        schedule = self._schedules[name]
        ended = self._occurred(name, at) if how is How.occurrence else self._landed(name, at)
        if ended is not None:
            return ended
        if how is How.occurrence and schedule.catch_up is not CatchUp.all:
            newest = latest_time(schedule.cron, now, self._timezone)
            is_begun = at in self._occurrences.open_ones(name)
            if newest > at and not is_begun:
                why = f"its time of {newest:%Y-%m-%d %H:%M} UTC has come, which is run instead"
                self._occurrences.note(name, at, "missed", why)
                return Answer(State.done, why)
        allowed = max(schedule.retries.values(), default=0)
        if tries > allowed:
            why = f"the run ended {tries} times before it began: see the log of the runner"
            if how is How.occurrence:
                self._occurrences.note(name, at, "refused", why)
            return Answer(State.failed, why)
        if now < at + schedule.sla:
            missing = self._missing(name, at)
            if missing:
                return Answer(State.wait, f"needs {', '.join(missing)}")
            # Later than that the run itself waits: a Lambda cannot watch a holder that has died.
            if is_held(self._engine, leases(self._schedules, [name])):
                return Answer(State.wait, "another run holds its lease")
        return Answer(State.run, "")

    def lateness(self, name: str, now: datetime) -> Lateness:
        """Whether the newest run that is due by its SLA has succeeded."""
        runs = SCHEDULE_RUNS.c
        finished = select(func.max(runs.finished_at)).where(
            runs.schedule == name, runs.status.in_(GOOD)
        )
        with self._engine.connect() as connection:
            finished_at: Any = connection.execute(finished).scalar()
            since: Any = connection.execute(select(func.min(OCCURRENCES.c.occurs_at))).scalar()
        newest = self._ledger.newest_as_of([name], GOOD)
        late = overdue(
            self._schedules[name],
            now,
            self._timezone,
            since=since,
            is_made_good=lambda due: newest is not None and newest >= naive_utc(due),
        )
        return Lateness(
            late is not None, None if finished_at is None else naive_utc(now) - finished_at
        )

    def _occurred(self, name: str, at: datetime) -> Answer | None:
        query = (
            select(OCCURRENCES.c.state, OCCURRENCES.c.reason, SCHEDULE_RUNS.c.status)
            .outerjoin(SCHEDULE_RUNS, SCHEDULE_RUNS.c.run_id == OCCURRENCES.c.run_id)
            .where(OCCURRENCES.c.schedule == name, OCCURRENCES.c.occurs_at == naive_utc(at))
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not self._occurrences.is_done(name, at):
            return None
        if row.status in GOOD or row.state == "missed":
            return Answer(State.done, row.reason or row.status)
        return Answer(State.failed, row.reason or row.status or "given up")

    def _landed(self, name: str, at: datetime) -> Answer | None:
        """What landed by then was read by any run that began later and ingested."""
        runs = SCHEDULE_RUNS.c
        reading = [
            own
            for own, schedule in self._schedules.by_name.items()
            if schedule.ingest is not Ingest.none
            and set(schedule.selectors) >= set(self._schedules[name].selectors)
        ]
        newest = (
            select(runs.status, runs.run_id)
            .where(runs.schedule.in_(reading), runs.started_at >= naive_utc(at))
            .order_by(runs.started_at.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(newest).one_or_none()
        if row is None or row.status not in (*GOOD, "failed"):
            return None
        if row.status == "failed":
            return Answer(State.failed, f"run {row.run_id} failed")
        return Answer(State.done, f"run {row.run_id} has read it")

    def _missing(self, name: str, at: datetime) -> list[str]:
        done = self._ledger.covered(at, self._timezone)
        return [need for need in self._schedules.needed_schedules(name) if need not in done]


def moment(text: str) -> datetime:
    """The aware moment that an event names. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no ISO 8601 timestamp") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

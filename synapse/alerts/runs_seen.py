"""The runs of the last weeks as the rules ask for them, from the state store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import orjson
from sqlalchemy import func, inspect, select
from sqlalchemy.engine import Connection

from synapse.alerts.condition import Facts
from synapse.observe.tables import NODE_RUNS
from synapse.runner.clock import naive_utc
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.run_ledger import RUN_PLANS
from synapse.schedules.claims import OCCURRENCES
from synapse.schedules.lateness import GOOD

# A weekly schedule that was missed twice is still seen.
_WINDOW = timedelta(days=22)
# The holder of a run ends it at its time-out; one that is silent much longer was killed.
_SILENT = timedelta(minutes=5)
_BROKEN = ("error", "runtime error", "partial success")


@dataclass(frozen=True)
class SeenRun:
    """A run; moments are aware. covers: the schedules that it stands for.

    failed_tests: rows at fault by the test's name. failed_nodes: names of what failed otherwise.
    """

    run_id: str
    schedule: str
    status: str
    covers: tuple[str, ...]
    as_of: datetime
    started_at: datetime
    finished_at: datetime | None
    failed_tests: dict[str, int]
    failed_nodes: tuple[str, ...]


class RunsSeen:
    """Reads what the rules about runs need, once each."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @cached_property
    def runs(self) -> tuple[SeenRun, ...]:
        """Newest first, those of backfills left out."""
        return tuple(self._read())

    @cached_property
    def scheduled_since(self) -> datetime | None:
        """The first time that any scheduler has dealt with; None where nobody schedules."""
        query = select(func.min(OCCURRENCES.c.occurs_at))
        with self._facts.engine.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else found.replace(tzinfo=UTC)

    def good(self, schedule: str) -> tuple[SeenRun, ...]:
        """Runs with success that stand for a schedule, newest first."""
        return tuple(r for r in self.runs if r.status in GOOD and schedule in r.covers)

    def is_made_good(self, schedule: str, due: datetime) -> bool:
        """Whether a run that stands for the schedule, as of `due` or later, has succeeded."""
        return any(run.as_of >= due for run in self.good(schedule))

    def newest_ended(self, schedule: str) -> SeenRun | None:
        """The newest run of a schedule that has ended, or is silent beyond its time-out."""
        return next((r for r in self.runs if r.schedule == schedule and self._has_ended(r)), None)

    def _has_ended(self, run: SeenRun) -> bool:
        return run.status != "running" or self.is_silent(run)

    def is_silent(self, run: SeenRun) -> bool:
        """True for a run that says it is running and cannot be: nobody recorded its end."""
        timeout = self._facts.schedules.by_name[run.schedule].timeout
        late = self._facts.now - run.started_at > timeout + _SILENT
        return run.status == "running" and late

    def _read(self) -> Iterator[SeenRun]:
        runs, plans, now = SCHEDULE_RUNS.c, RUN_PLANS.c, self._facts.now
        query = (
            select(
                runs.run_id, runs.schedule, runs.status, runs.as_of, runs.started_at,
                runs.finished_at, plans.covers, plans.is_backfill,
            )
            .join(RUN_PLANS, plans.run_id == runs.run_id, isouter=True)
            .where(runs.started_at.between(naive_utc(now - _WINDOW), naive_utc(now)))
            .order_by(runs.started_at.desc(), runs.run_id)
        )  # fmt: skip
        with self._facts.engine.connect() as connection:
            rows = [row for row in connection.execute(query) if not row.is_backfill]
            bad = [row.run_id for row in rows if row.status not in (*GOOD, "running")]
            tests, nodes = _failures(connection, bad)
            for row in rows:
                covers = orjson.loads(row.covers) if row.covers else [row.schedule]
                finished = row.finished_at
                yield SeenRun(
                    row.run_id,
                    row.schedule,
                    row.status,
                    tuple(covers),
                    row.as_of.replace(tzinfo=UTC),
                    row.started_at.replace(tzinfo=UTC),
                    None if finished is None else finished.replace(tzinfo=UTC),
                    tests[row.run_id],
                    tuple(nodes[row.run_id]),
                )


def _failures(
    connection: Connection, run_ids: Collection[str]
) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """What failed in these runs, by run: tests with their rows, and names of all else.

    Of a node that was tried again its last attempt counts. Nothing of the rows, nor of what the
    engine said, is read.
    """
    tests: dict[str, dict[str, int]] = defaultdict(dict)
    others: dict[str, list[str]] = defaultdict(list)
    if not run_ids or not inspect(connection).has_table(NODE_RUNS.name):
        return tests, others
    query = (
        select(NODE_RUNS)
        .where(NODE_RUNS.c.run_id.in_(run_ids))
        .order_by(NODE_RUNS.c.attempt, NODE_RUNS.c.position, NODE_RUNS.c.unique_id)
    )
    last = {(row.run_id, row.unique_id): row for row in connection.execute(query)}
    for (run_id, _), row in last.items():
        if row.resource_type == "test" and row.status == "fail":
            tests[run_id][row.name] = int(row.failures or 0)
        elif row.status in _BROKEN:
            others[run_id].append(row.name)
    return tests, others

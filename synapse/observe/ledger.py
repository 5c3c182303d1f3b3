"""Writing what a run did into the state store, each time behind its lease's fence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, insert, select
from sqlalchemy.engine import Connection, Engine

from synapse.observe.log import Log
from synapse.observe.nodes import NodeOutcome, SourceAge
from synapse.observe.tables import ANOMALIES, METADATA, NODE_RUNS, RUN_ENDS, SOURCE_AGES
from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.lease import Lease
from synapse.runner.run_ledger import RUN_PLANS
from synapse.schedules.model import Step
from synapse.state_store import make_tables, put

if TYPE_CHECKING:
    from synapse.runner.work import Work

KEEP_NODES = timedelta(days=90)
"""Longer than anomalies look back; the marts keep them for KEEP_RECORDED (runner/record.py)."""
KEEP_OTHERS = timedelta(days=400)


@dataclass(frozen=True)
class ObservedRun:
    """A run at work, as far as its ledger needs it. as_of: aware.

    again_at: when it went on after a failure (naive UTC); worked: milliseconds until that.
    """

    engine: Engine
    lease: Lease
    run_id: str
    as_of: datetime
    log: Log
    again_at: datetime | None = None
    worked: int = 0

    @classmethod
    def of(cls, work: Work) -> ObservedRun:
        """The run that does that work."""
        log = Log(work.settings, run_id=work.run_id, schedule=work.plan.name)
        return cls(work.history.engine, work.lease, work.run_id, work.as_of, log)

    def going_on(self) -> ObservedRun:
        """This run, from now on: where it has ended before, the wait since is no work of it."""
        make_tables(self.engine, METADATA)
        ends = RUN_ENDS.c
        with self.engine.connect() as connection:
            worked = connection.execute(
                select(ends.milliseconds).where(ends.run_id == self.run_id)
            ).scalar()
        return self if worked is None else replace(self, again_at=utc_now(), worked=worked)

    def record_step(
        self, position: int, step: Step, nodes: Sequence[tuple[int, NodeOutcome | SourceAge]]
    ) -> None:
        """Write each node's outcome by attempt, and the ages of sources: one insert of each."""
        self._log_step(step, nodes)
        make_tables(self.engine, METADATA)
        as_of = naive_utc(self.as_of)
        with self.engine.begin() as connection:
            self.lease.fence(connection)
            # A retry goes on with the same run: its attempts follow those recorded.
            before = self._attempts(connection, position)
            rows: dict[tuple[int, str], dict[str, object]] = {}
            ages: dict[str, dict[str, object]] = {}
            for attempt, node in nodes:
                if isinstance(node, SourceAge):
                    ages[node.unique_id] = {
                        "run_id": self.run_id,
                        "unique_id": node.unique_id,
                        "source": node.source,
                        "status": node.status,
                        "max_loaded_at": node.max_loaded_at,
                        "age_seconds": node.age,
                        "warn_after_seconds": node.warn_after,
                        "error_after_seconds": node.error_after,
                        "as_of": as_of,
                        "checked_at": node.checked_at,
                    }
                    continue
                said = asdict(node)
                rows[attempt, node.unique_id] = {
                    "run_id": self.run_id,
                    "position": position,
                    "attempt": before + attempt,
                    "schedule": step.schedule,
                    "step": step.selector,
                    "column_name": said.pop("column"),
                    "as_of": as_of,
                    **said,
                }
            if rows:
                connection.execute(insert(NODE_RUNS), list(rows.values()))
            if ages:
                connection.execute(delete(SOURCE_AGES).where(SOURCE_AGES.c.run_id == self.run_id))
                connection.execute(insert(SOURCE_AGES), list(ages.values()))

    def _log_step(self, step: Step, nodes: Sequence[tuple[int, NodeOutcome | SourceAge]]) -> None:
        newest = {node.unique_id: node.status for _, node in nodes}
        self.log.info(
            "step_ended",
            step=step.selector,
            attempts=max((attempt for attempt, _ in nodes), default=0),
            statuses=dict(Counter(newest.values())),
        )

    def _attempts(self, connection: Connection, position: int) -> int:
        one = NODE_RUNS.c
        query = select(func.max(one.attempt)).where(
            one.run_id == self.run_id, one.position == position
        )
        return connection.execute(query).scalar() or 0

    def record_end(self) -> None:
        """Write the run in one row, and forget what nobody will ask for any more."""
        make_tables(self.engine, METADATA)
        with self.engine.begin() as connection:
            self.lease.fence(connection)
            values = self._end(connection)
            if values is not None:
                put(connection, RUN_ENDS, {"run_id": self.run_id}, values)
            now = utc_now()
            for column, kept in (
                (NODE_RUNS.c.started_at, KEEP_NODES),
                (SOURCE_AGES.c.checked_at, KEEP_OTHERS),
                (ANOMALIES.c.found_at, KEEP_OTHERS),
            ):
                connection.execute(delete(column.table).where(column < now - kept))

    def _end(self, connection: Connection) -> dict[str, object] | None:
        values = _end_of(connection, self.run_id)
        if values is None:
            return None
        ended, started_at = values.pop("ended_at"), values["started_at"]
        took = ended - (self.again_at or started_at)
        return {**values, "milliseconds": self.worked + round(took.total_seconds() * 1000)}


def _end_of(connection: Connection, run_id: str) -> dict[str, Any] | None:
    # Only Athena's costs are recorded, by their own ledger, which other engines never make.
    from synapse.cost.ledger import QUERY_COSTS

    runs, plans, costs = SCHEDULE_RUNS.c, RUN_PLANS.c, QUERY_COSTS.c
    query = (
        select(SCHEDULE_RUNS, plans.is_backfill)
        .join(RUN_PLANS, plans.run_id == runs.run_id, isouter=True)
        .where(runs.run_id == run_id)
    )
    run = connection.execute(query).one_or_none()
    if run is None:
        return None
    nodes = NODE_RUNS.c
    newest = (
        select(nodes.unique_id, nodes.position, func.max(nodes.attempt).label("attempt"))
        .where(nodes.run_id == run_id)
        .group_by(nodes.unique_id, nodes.position)
        .subquery()
    )
    is_test = nodes.resource_type == "test"
    sums = connection.execute(
        select(
            func.count().label("nodes"),
            func.sum(case((is_test, 1), else_=0)).label("tests"),
            func.sum(case((is_test & (nodes.status == "warn"), 1), else_=0)).label("warned"),
            func.sum(case((is_test & nodes.status.in_(("fail", "error")), 1), else_=0)).label(
                "failed"
            ),
        )
        .select_from(NODE_RUNS)
        .join(
            newest,
            (nodes.unique_id == newest.c.unique_id)
            & (nodes.position == newest.c.position)
            & (nodes.attempt == newest.c.attempt),
        )
        .where(nodes.run_id == run_id)
    ).one()
    cost = (0, 0)
    if connection.dialect.has_table(connection, QUERY_COSTS.name):
        added = select(func.sum(costs.cost_nanodollars), func.sum(costs.scanned_bytes)).where(
            costs.run_id == run_id
        )
        cost = tuple(connection.execute(added).one())  # type: ignore[assignment]
    return {
        "schedule": run.schedule,
        "status": run.status,
        "is_backfill": int(bool(run.is_backfill)),
        "nodes": sums.nodes,
        "tests": sums.tests or 0,
        "tests_warned": sums.warned or 0,
        "tests_failed": sums.failed or 0,
        "cost_nanodollars": cost[0] or 0,
        "scanned_bytes": cost[1] or 0,
        "as_of": run.as_of,
        "started_at": run.started_at,
        "ended_at": run.finished_at or utc_now(),
    }

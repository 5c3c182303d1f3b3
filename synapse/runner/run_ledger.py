"""What each run set out to do and how far it came: its plan and its steps, in the state store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)
from sqlalchemy.engine import Connection, Engine

from synapse.runner.clock import last_complete_date, utc_now
from synapse.runner.history import SCHEDULE_RUNS
from synapse.schedules.lateness import GOOD
from synapse.schedules.model import Step
from synapse.state_store import make_tables, put

METADATA = MetaData()
RUN_PLANS = Table(
    "run_plans",
    METADATA,
    Column("run_id", String(64), primary_key=True),
    # JSON lists: the schedules that the run stands for, and its steps as [schedule, selector].
    Column("covers", Text, nullable=False),
    Column("steps", Text, nullable=False),
    # Of what silver could read when dbt began; a retry may read nothing else.
    Column("inputs", String(64)),
    Column("full_refresh", Boolean, nullable=False),
    Column("is_backfill", Boolean, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("complete_date", String(10), nullable=False),
)
RUN_STEPS = Table(
    "run_steps",
    METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("schedule", String(64), nullable=False),
    Column("selector", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("began_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    Column("detail", Text),
)
# Which run built each node last. Only what a run has built and tested itself may it publish.
NODE_BUILDS = Table(
    "node_builds",
    METADATA,
    Column("node_id", String(255), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("built_at", DateTime, nullable=False),
)


@dataclass(frozen=True)
class RunPlan:
    """A run's plan as recorded."""

    run_id: str
    covers: tuple[str, ...]
    steps: tuple[Step, ...]
    inputs: str | None
    full_refresh: bool
    is_backfill: bool


class RunLedger:
    """Reads and writes plans and steps; the engine is its caller's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, METADATA)

    def plan(self, connection: Connection, plan: RunPlan, as_of: datetime, timezone: str) -> None:
        """Record what a run sets out to do, or, once it is known, from what."""
        put(
            connection,
            RUN_PLANS,
            {"run_id": plan.run_id},
            {
                "covers": orjson.dumps(plan.covers).decode(),
                "steps": orjson.dumps([[s.schedule, s.selector] for s in plan.steps]).decode(),
                "inputs": plan.inputs,
                "full_refresh": plan.full_refresh,
                "is_backfill": plan.is_backfill,
                "timezone": timezone,
                "complete_date": last_complete_date(as_of, timezone).isoformat(),
            },
        )

    def step(
        self,
        connection: Connection,
        run_id: str,
        position: int,
        step: Step,
        status: str,
        *,
        attempts: int = 0,
        detail: str | None = None,
        built: Collection[str] = (),
    ) -> None:
        """Record that a step began (status running), or how it ended and which nodes it built."""
        values: dict[str, object] = {
            "schedule": step.schedule,
            "selector": step.selector,
            "status": status,
            "attempts": attempts,
            "detail": detail,
        }
        values["began_at" if status == "running" else "ended_at"] = utc_now()
        if status == "not run":
            values["began_at"] = utc_now()
        put(connection, RUN_STEPS, {"run_id": run_id, "position": position}, values)
        if built:
            rows = [{"node_id": node, "run_id": run_id, "built_at": utc_now()} for node in built]
            connection.execute(delete(NODE_BUILDS).where(NODE_BUILDS.c.node_id.in_(list(built))))
            connection.execute(insert(NODE_BUILDS), rows)

    def built_by(self, run_id: str) -> frozenset[str]:
        """The nodes whose content is that of a run: no other has built them since."""
        query = select(NODE_BUILDS.c.node_id).where(NODE_BUILDS.c.run_id == run_id)
        with self._engine.connect() as connection:
            return frozenset(connection.execute(query).scalars())

    def plan_of(self, run_id: str) -> RunPlan | None:
        """The plan of a run; None of one that an earlier version ran."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(RUN_PLANS).where(RUN_PLANS.c.run_id == run_id)
            ).one_or_none()
        if row is None:
            return None
        return RunPlan(
            run_id,
            tuple(orjson.loads(row.covers)),
            tuple(Step(*pair) for pair in orjson.loads(row.steps)),
            row.inputs,
            row.full_refresh,
            row.is_backfill,
        )

    def steps_of(self, run_id: str) -> Sequence[tuple[str, str, int]]:
        """Selector, status and attempts of each step that a run came to, in order."""
        query = select(RUN_STEPS.c.selector, RUN_STEPS.c.status, RUN_STEPS.c.attempts)
        query = query.where(RUN_STEPS.c.run_id == run_id).order_by(RUN_STEPS.c.position)
        with self._engine.connect() as connection:
            return [(row.selector, row.status, row.attempts) for row in connection.execute(query)]

    def newest_as_of(
        self, schedules: Collection[str], statuses: Collection[str] = ("succeeded",)
    ) -> datetime | None:
        """The greatest as-of (naive UTC) of a run that ended so and covers one of `schedules`."""
        plans, runs = RUN_PLANS.c, SCHEDULE_RUNS.c
        query = (
            select(runs.as_of, plans.covers)
            .join(SCHEDULE_RUNS, runs.run_id == plans.run_id)
            .where(runs.status.in_(statuses))
            .order_by(runs.as_of.desc())
        )
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                if not set(schedules).isdisjoint(orjson.loads(row.covers)):
                    return cast("datetime", row.as_of)
        return None

    def judged_until(self, schedule: str) -> datetime | None:
        """Before which moment (naive UTC) all that landed was judged by a run of the schedule.

        When its newest run that succeeded began, or the as-of of it where that is earlier: what
        it then held is dated until there.
        """
        plans, runs = RUN_PLANS.c, SCHEDULE_RUNS.c
        query = (
            select(runs.started_at, runs.as_of, plans.covers)
            .join(SCHEDULE_RUNS, runs.run_id == plans.run_id)
            .where(runs.status == "succeeded")
            .order_by(runs.started_at.desc())
        )
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                if schedule in orjson.loads(row.covers):
                    return cast("datetime", min(row.started_at, row.as_of))
        return None

    def covered(self, as_of: datetime, timezone: str) -> Collection[str]:
        """The schedules that have run with success for the last date complete by `as_of`."""
        complete_date = last_complete_date(as_of, timezone)
        plans, runs = RUN_PLANS.c, SCHEDULE_RUNS.c
        query = (
            select(plans.covers)
            .join(SCHEDULE_RUNS, runs.run_id == plans.run_id)
            .where(
                runs.status.in_(GOOD),
                plans.complete_date == complete_date.isoformat(),
                plans.timezone == timezone,
            )
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {str(name) for row in rows for name in orjson.loads(row.covers)}

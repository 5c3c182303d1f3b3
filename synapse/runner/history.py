"""The run history in the state store: what ran, when, for which as-of, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Engine

from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.lease import Lease
from synapse.state_store import make_indexes, make_tables, open_store

_METADATA = MetaData()
SCHEDULE_RUNS = Table(
    "schedule_runs",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("schedule", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("as_of", DateTime, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("finished_at", DateTime),
    Column("landed", BigInteger, nullable=False, default=0),
    Column("accepted", BigInteger, nullable=False, default=0),
    Column("duplicate", BigInteger, nullable=False, default=0),
    Column("quarantined", BigInteger, nullable=False, default=0),
    Column("fingerprint", String(64)),
    Column("detail", Text),
    # A ledger of 100,000 runs is asked for the newest, of all and of a schedule, at any moment.
    Index("schedule_runs_by_time", "started_at"),
    Index("schedule_runs_by_schedule", "schedule", "started_at"),
    Index("schedule_runs_by_status", "status", "schedule", "started_at"),
)


@dataclass(frozen=True)
class Run:
    """One row of the history; timestamps are naive UTC, counts are records."""

    run_id: str
    schedule: str
    status: str
    as_of: datetime
    started_at: datetime
    finished_at: datetime | None
    landed: int
    accepted: int
    duplicate: int
    quarantined: int
    fingerprint: str | None
    detail: str | None


class RunHistory:
    """Reads and writes the run history at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_store(url)
        make_tables(self.engine, _METADATA)
        make_indexes(self.engine, SCHEDULE_RUNS)

    def start(
        self,
        run_id: str,
        schedule: str,
        as_of: datetime,
        *,
        lease: Lease | None = None,
        within: Callable[[Connection, str], None] | None = None,
    ) -> None:
        """Record that a run began, and that those died from which it took the lease over.

        within: called in the same transaction with the run's id.
        """
        with self.engine.begin() as connection:
            if lease is not None:
                lease.fence(connection)
                connection.execute(
                    update(SCHEDULE_RUNS)
                    .where(
                        SCHEDULE_RUNS.c.run_id.in_(lease.predecessors),
                        SCHEDULE_RUNS.c.status == "running",
                    )
                    .values(status="killed", finished_at=utc_now())
                )
            if within is not None:
                within(connection, run_id)
            connection.execute(
                insert(SCHEDULE_RUNS).values(
                    run_id=run_id,
                    schedule=schedule,
                    status="running",
                    as_of=naive_utc(as_of),
                    started_at=utc_now(),
                )
            )

    def finish(
        self, run_id: str, status: str, *, lease: Lease | None = None, **values: object
    ) -> None:
        """Record how a run ended; `values` are further columns.

        Raises LeaseLostError, and records nothing, where `lease` has gone to another run.
        """
        with self.engine.begin() as connection:
            if lease is not None:
                lease.fence(connection)
            connection.execute(
                update(SCHEDULE_RUNS)
                .where(SCHEDULE_RUNS.c.run_id == run_id, SCHEDULE_RUNS.c.status == "running")
                .values(status=status, finished_at=utc_now(), **values)
            )

    def reopen(self, run_id: str, *, lease: Lease) -> None:
        """Record that a failed run goes on."""
        with self.engine.begin() as connection:
            lease.fence(connection)
            connection.execute(
                update(SCHEDULE_RUNS)
                .where(SCHEDULE_RUNS.c.run_id == run_id, SCHEDULE_RUNS.c.status == "failed")
                .values(status="running", finished_at=None, detail=None)
            )

    def latest(self, limit: int = 20) -> list[Run]:
        """Return the newest runs, newest first."""
        query = (
            select(SCHEDULE_RUNS)
            .order_by(SCHEDULE_RUNS.c.started_at.desc(), SCHEDULE_RUNS.c.run_id)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [Run(**row._mapping) for row in connection.execute(query)]

    def named(self, run_ids: Collection[str]) -> list[Run]:
        """Return the runs with these ids."""
        query = select(SCHEDULE_RUNS).where(SCHEDULE_RUNS.c.run_id.in_(run_ids))
        with self.engine.connect() as connection:
            return [Run(**row._mapping) for row in connection.execute(query)]

    def newest_as_of(self, besides: Collection[str] = ()) -> datetime | None:
        """Return the greatest as-of (naive UTC) of a run that succeeded.

        besides: schedules that build nothing.
        """
        query = select(SCHEDULE_RUNS.c.as_of).where(
            SCHEDULE_RUNS.c.status == "succeeded", SCHEDULE_RUNS.c.schedule.not_in(besides)
        )
        with self.engine.connect() as connection:
            return max((row.as_of for row in connection.execute(query)), default=None)

    def last_built(self, besides: Collection[str] = ()) -> Run | None:
        """Return the newest run that built something or meant to: any that was not unchanged.

        besides: schedules that build nothing.
        """
        query = (
            select(SCHEDULE_RUNS)
            .where(SCHEDULE_RUNS.c.status != "unchanged", SCHEDULE_RUNS.c.schedule.not_in(besides))
            .order_by(SCHEDULE_RUNS.c.started_at.desc())
        )
        with self.engine.connect() as connection:
            row = connection.execute(query).first()
        return Run(**row._mapping) if row is not None else None

    def close(self) -> None:
        """Release the store's connections."""
        self.engine.dispose()

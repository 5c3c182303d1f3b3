"""The run history in the state store: what ran, when, for which as-of, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Engine

from synapse.runner.clock import naive_utc, utc_now
from synapse.state_store import make_tables, open_store

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
        self._engine: Engine = open_store(url)
        make_tables(self._engine, _METADATA)

    def start(self, run_id: str, schedule: str, as_of: datetime) -> None:
        """Record that a run began."""
        with self._engine.begin() as connection:
            connection.execute(
                insert(SCHEDULE_RUNS).values(
                    run_id=run_id,
                    schedule=schedule,
                    status="running",
                    as_of=naive_utc(as_of),
                    started_at=utc_now(),
                )
            )

    def finish(self, run_id: str, status: str, **values: object) -> None:
        """Record how a run ended; `values` are further columns."""
        with self._engine.begin() as connection:
            connection.execute(
                update(SCHEDULE_RUNS)
                .where(SCHEDULE_RUNS.c.run_id == run_id)
                .values(status=status, finished_at=utc_now(), **values)
            )

    def latest(self, limit: int = 20) -> list[Run]:
        """Return the newest runs, newest first."""
        query = (
            select(SCHEDULE_RUNS)
            .order_by(SCHEDULE_RUNS.c.started_at.desc(), SCHEDULE_RUNS.c.run_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Run(**row._mapping) for row in connection.execute(query)]

    def newest_as_of(self) -> datetime | None:
        """Return the greatest as-of (naive UTC) of a run that succeeded."""
        query = select(SCHEDULE_RUNS.c.as_of).where(SCHEDULE_RUNS.c.status == "succeeded")
        with self._engine.connect() as connection:
            return max((row.as_of for row in connection.execute(query)), default=None)

    def last_built(self) -> Run | None:
        """Return the newest run that built something: succeeded or failed, not unchanged."""
        query = (
            select(SCHEDULE_RUNS)
            .where(SCHEDULE_RUNS.c.status.in_(("succeeded", "failed", "running")))
            .order_by(SCHEDULE_RUNS.c.started_at.desc())
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return Run(**row._mapping) if row is not None else None

    def close(self) -> None:
        """Release the store's connections."""
        self._engine.dispose()

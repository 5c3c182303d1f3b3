"""The drills that were held, in the state store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, DateTime, Float, Integer, MetaData, String, Table, insert

from synapse.runner.clock import naive_utc, utc_now
from synapse.state_store import make_tables, open_store

if TYPE_CHECKING:
    from synapse.drill.service import Drill

METADATA = MetaData()
DRILLS = Table(
    "drills",
    METADATA,
    Column("drill_id", String(64), primary_key=True),
    Column("finished_at", DateTime, nullable=False, index=True),
    Column("as_of", DateTime, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("rto_seconds", Float, nullable=False),
    Column("rpo_seconds", Float),
    Column("compared", Integer, nullable=False),
    Column("differing", Integer, nullable=False),
)


def record_drill(url: str, done: Drill) -> None:
    """Add a drill to the store at an SQLAlchemy URL."""
    engine = open_store(url)
    try:
        make_tables(engine, METADATA)
        with engine.begin() as connection:
            connection.execute(
                insert(DRILLS).values(
                    drill_id=done.drill_id,
                    finished_at=utc_now(),
                    as_of=naive_utc(done.as_of),
                    passed=done.passed,
                    rto_seconds=done.rto_seconds,
                    rpo_seconds=done.rpo_seconds,
                    compared=done.compared,
                    differing=len(done.differing),
                )
            )
    finally:
        engine.dispose()

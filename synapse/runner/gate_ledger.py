"""What each run left out because of a stale source, in the state store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Column, Float, MetaData, String, Table, Text, delete, insert
from sqlalchemy.engine import Engine

from synapse.runner.gates import ClosedGate
from synapse.runner.lease import Lease
from synapse.state_store import make_tables

_METADATA = MetaData()
RUN_GATES = Table(
    "run_gates",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("source", String(256), primary_key=True),
    Column("age_seconds", Float, nullable=False),
    Column("limit_seconds", Float, nullable=False),
    # The model without content that this one reads; NULL where it requires the source itself.
    Column("needs", String(255)),
    Column("reason", Text, nullable=False),
)


def record_gates(engine: Engine, run_id: str, closed: Iterable[ClosedGate], lease: Lease) -> None:
    """Record what a run leaves out; a run that goes on after a failure says it anew."""
    rows = [{"run_id": run_id, **asdict(gate), "reason": gate.reason} for gate in closed]
    make_tables(engine, _METADATA)
    with engine.begin() as connection:
        lease.fence(connection)
        connection.execute(delete(RUN_GATES).where(RUN_GATES.c.run_id == run_id))
        if rows:
            connection.execute(insert(RUN_GATES), rows)

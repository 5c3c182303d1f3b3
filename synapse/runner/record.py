"""ops.recorded_*: what the state store knows of runs, copied to where the ops marts read it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Column, inspect, select
from sqlalchemy.engine import Engine

from synapse.ingest.tables import DRIFT, QUARANTINE, RUN_SOURCES, RUNS
from synapse.runner.context import connect_warehouse
from synapse.runner.history import SCHEDULE_RUNS
from synapse.settings import Settings
from synapse.state_store import open_store

_TEXT, _COUNT, _MOMENT = pa.string(), pa.int64(), pa.timestamp("us")
_SQL_TYPES = {_TEXT: "varchar", _COUNT: "bigint", _MOMENT: "timestamp"}


@dataclass(frozen=True)
class Recorded:
    """A table of the warehouse's ops schema: state store columns by the names they get there."""

    name: str
    columns: dict[str, tuple[Column[object], pa.DataType]]

    @property
    def schema(self) -> pa.Schema:
        """Arrow's names and types."""
        return pa.schema([(name, kind) for name, (_, kind) in self.columns.items()])

    @property
    def sql_types(self) -> dict[str, str]:
        """SQL types by name, the same as macros/ops/prepare_run.sql has."""
        return {name: _SQL_TYPES[kind] for name, (_, kind) in self.columns.items()}

    @property
    def ddl(self) -> str:
        """Column definitions."""
        return ", ".join(f"{name} {kind}" for name, kind in self.sql_types.items())


def _columns(
    table: object, kinds: dict[str, pa.DataType]
) -> dict[str, tuple[Column[object], pa.DataType]]:
    return {name: (table.c[name], kind) for name, kind in kinds.items()}  # type: ignore[attr-defined]


# Neither a refused row's sentence nor a failed run's detail: both can quote what people wrote.
RECORDED = (
    Recorded(
        "recorded_schedule_runs",
        _columns(SCHEDULE_RUNS, {
            "run_id": _TEXT, "schedule": _TEXT, "status": _TEXT,
            "as_of": _MOMENT, "started_at": _MOMENT, "finished_at": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_ingest_runs",
        _columns(RUNS, {
            "run_id": _TEXT, "state": _TEXT,
            "as_of": _MOMENT, "started_at": _MOMENT, "finished_at": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_run_sources",
        _columns(RUN_SOURCES, {
            "run_id": _TEXT, "source": _TEXT,
            "landed": _COUNT, "accepted": _COUNT, "duplicate": _COUNT, "quarantined": _COUNT,
            "pending": _COUNT, "files": _COUNT,
        }),
    ),
    Recorded(
        "recorded_schema_drift",
        _columns(DRIFT, {
            "source": _TEXT, "column_name": _TEXT, "change": _TEXT, "physical_type": _TEXT,
            "path": _TEXT, "run_id": _TEXT, "first_seen": _MOMENT, "last_seen": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_quarantine",
        _columns(QUARANTINE, {
            "id": _TEXT, "source": _TEXT, "unit": _TEXT, "path": _TEXT, "number": _COUNT,
            "rule": _TEXT, "state": _TEXT, "reason": _TEXT, "attempts": _COUNT,
            "first_seen": _MOMENT, "last_attempt": _MOMENT,
        }),
    ),
)  # fmt: skip


def record_runs(settings: Settings) -> None:
    """Bring the warehouse's ops.recorded_* tables level with the state store, in one transaction.

    Raises SynapseError when the warehouse is occupied.
    """
    contents = read_store(settings)
    with connect_warehouse(settings.warehouse) as connection:
        connection.execute("create schema if not exists ops")
        connection.begin()
        for recorded, rows in contents:
            table = f"ops.{recorded.name}"
            connection.execute(f"create or replace table {table} ({recorded.ddl})")
            connection.register("recorded_rows", rows)
            names = ", ".join(recorded.columns)
            connection.execute(f"insert into {table} ({names}) select {names} from recorded_rows")
            connection.unregister("recorded_rows")
        connection.commit()


def read_store(settings: Settings) -> list[tuple[Recorded, pa.Table]]:
    """What the state store knows, by the table that it is to be copied to."""
    engine = open_store(settings.state)
    try:
        return [(recorded, _read(engine, recorded)) for recorded in RECORDED]
    finally:
        engine.dispose()


def _read(engine: Engine, recorded: Recorded) -> pa.Table:
    """Read a table of the state store; empty where nothing has made it yet."""
    schema = recorded.schema
    columns = [column for column, _ in recorded.columns.values()]
    with engine.connect() as connection:
        if not inspect(connection).has_table(columns[0].table.name):
            return schema.empty_table()
        rows = connection.execute(select(*columns)).all()
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema
    )

"""ops.recorded_*: what the state store knows of runs, copied to where the ops marts read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Column, Executable, Table, func, inspect, select
from sqlalchemy.engine import Engine

from synapse.cost.ledger import QUERY_COSTS
from synapse.ingest.tables import DRIFT, QUARANTINE, RUN_SOURCES, RUNS
from synapse.observe.tables import ANOMALIES, NODE_RUNS, SOURCE_AGES
from synapse.publish.sets import PUBLISHED_SETS
from synapse.runner.clock import utc_now
from synapse.runner.context import connect_warehouse
from synapse.runner.gate_ledger import RUN_GATES
from synapse.runner.history import SCHEDULE_RUNS
from synapse.settings import Settings
from synapse.state_store import open_store

_TEXT, _COUNT, _MOMENT = pa.string(), pa.int64(), pa.timestamp("us")
_SQL_TYPES = {_TEXT: "varchar", _COUNT: "bigint", _MOMENT: "timestamp"}
KEEP_RECORDED = timedelta(days=400)
"""A year and the same weeks of the one before; what is older leaves the copies by run."""
_RUNS_AT_ONCE, _MOST_RUNS = 200, 5_000
_LOOK_BACK = timedelta(days=2)


@dataclass(frozen=True)
class Recorded:
    """A table of the warehouse's ops schema: state store columns by the names they get there.

    dated_by: of a table with very many rows a run, the moment by which they are dated. Of it a run
    copies what is not there yet, rather than all.
    dated_in: of one with few, the table whose started_at dates its runs. Of it a run copies those
    of the last days again, and all where an older one has changed.
    """

    name: str
    columns: dict[str, tuple[Column[object], pa.DataType]]
    dated_by: str | None = None
    dated_in: Table | None = None

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
        dated_in=SCHEDULE_RUNS,
    ),
    Recorded(
        "recorded_ingest_runs",
        _columns(RUNS, {
            "run_id": _TEXT, "state": _TEXT,
            "as_of": _MOMENT, "started_at": _MOMENT, "finished_at": _MOMENT,
        }),
        dated_in=RUNS,
    ),
    Recorded(
        "recorded_run_sources",
        _columns(RUN_SOURCES, {
            "run_id": _TEXT, "source": _TEXT,
            "landed": _COUNT, "accepted": _COUNT, "duplicate": _COUNT, "quarantined": _COUNT,
            "pending": _COUNT, "files": _COUNT,
        }),
        dated_in=RUNS,
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
    Recorded(
        "recorded_query_costs",
        _columns(QUERY_COSTS, {
            "run_id": _TEXT, "node_id": _TEXT,
            "queries": _COUNT, "charged_queries": _COUNT,
            "failed_queries": _COUNT, "cancelled_queries": _COUNT,
            "scanned_bytes": _COUNT, "charged_mb": _COUNT, "cost_nanodollars": _COUNT,
            "first_submitted_at": _MOMENT, "last_ended_at": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_anomalies",
        _columns(ANOMALIES, {
            "run_id": _TEXT, "kind": _TEXT, "subject": _TEXT, "schedule": _TEXT,
            "observed": _COUNT, "median": _COUNT, "deviation": _COUNT, "points": _COUNT,
            "as_of": _MOMENT, "found_at": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_run_gates",
        _columns(RUN_GATES, {
            "run_id": _TEXT, "model": _TEXT, "source": _TEXT, "needs": _TEXT, "reason": _TEXT,
        }),
    ),
    Recorded(
        "recorded_published_sets",
        _columns(PUBLISHED_SETS, {
            "set_id": _TEXT, "run_id": _TEXT, "number": _COUNT,
            "as_of": _MOMENT, "published_at": _MOMENT,
        }),
    ),
    Recorded(
        "recorded_node_runs",
        _columns(NODE_RUNS, {
            "run_id": _TEXT, "unique_id": _TEXT, "schedule": _TEXT, "step": _TEXT,
            "resource_type": _TEXT, "name": _TEXT, "status": _TEXT, "severity": _TEXT,
            "model": _TEXT, "column_name": _TEXT,
            "position": _COUNT, "attempt": _COUNT, "rows_affected": _COUNT, "failures": _COUNT,
            "milliseconds": _COUNT, "as_of": _MOMENT, "started_at": _MOMENT,
        }),
        dated_by="started_at",
    ),
    Recorded(
        "recorded_source_ages",
        _columns(SOURCE_AGES, {
            "run_id": _TEXT, "unique_id": _TEXT, "source": _TEXT, "status": _TEXT,
            "age_seconds": _COUNT, "warn_after_seconds": _COUNT, "error_after_seconds": _COUNT,
            "max_loaded_at": _MOMENT, "as_of": _MOMENT, "checked_at": _MOMENT,
        }),
        dated_by="checked_at",
    ),
)  # fmt: skip


def record_runs(settings: Settings) -> None:
    """Bring the warehouse's ops.recorded_* tables level with the state store, in one transaction.

    Raises SynapseError when the warehouse is occupied.
    """
    engine = open_store(settings.state)
    try:
        with connect_warehouse(settings.warehouse) as connection:
            connection.execute("create schema if not exists ops")
            connection.begin()
            for recorded in RECORDED:
                if recorded.dated_by is not None:
                    _append(connection, engine, recorded, recorded.dated_by)
                elif recorded.dated_in is None or not _renew(
                    connection, engine, recorded, recorded.dated_in
                ):
                    _make(connection, recorded)
                    _insert(connection, recorded, _read(engine, recorded))
            connection.commit()
    finally:
        engine.dispose()


def _make(connection: duckdb.DuckDBPyConnection, recorded: Recorded) -> None:
    connection.execute(f"create or replace table ops.{recorded.name} ({recorded.ddl})")


def _insert(
    connection: duckdb.DuckDBPyConnection,
    recorded: Recorded,
    rows: pa.Table,
    *,
    replaces: bool = False,
) -> None:
    """Add rows. replaces: in the place of those of the same runs."""
    names = ", ".join(recorded.columns)
    connection.register("recorded_rows", rows)
    if replaces:
        connection.execute(
            f"delete from ops.{recorded.name} where run_id in (select run_id from recorded_rows)"
        )
    connection.execute(
        f"insert into ops.{recorded.name} ({names}) select {names} from recorded_rows"
    )
    connection.unregister("recorded_rows")


def _is_there(connection: duckdb.DuckDBPyConnection, recorded: Recorded) -> bool:
    """True where the copy has the columns that it is to have."""
    present = connection.execute(
        "select column_name, lower(data_type) from information_schema.columns "
        "where table_schema = 'ops' and table_name = ?",
        [recorded.name],
    ).fetchall()
    return dict(present) == recorded.sql_types


def _renew(
    connection: duckdb.DuckDBPyConnection, engine: Engine, recorded: Recorded, runs: Table
) -> bool:
    """Copy the runs of the last days again; False where all has to be copied.

    That is so where the sums of all then still differ: an old run was changed (by a rollback, or a
    store that was lost and made again).
    """
    if not inspect(engine).has_table(runs.name) or not _is_there(connection, recorded):
        return False
    columns = [column for column, _ in recorded.columns.values()]
    source = columns[0].table
    with engine.connect() as store:
        newest = store.execute(select(func.max(runs.c.started_at))).scalar()
        if newest is None:
            return False
        recent = select(runs.c.run_id).where(runs.c.started_at >= newest - _LOOK_BACK)
        rows = store.execute(select(*columns).where(source.c.run_id.in_(recent))).all()
        ours = [int(number or 0) for number in store.execute(_sums(recorded)).one()]
    _insert(connection, recorded, _table(rows, recorded.schema), replaces=True)
    said = ", ".join(
        f"sum({name})" if kind == _COUNT else f"sum(length({name}))"
        for name, (_, kind) in recorded.columns.items()
        if kind != _MOMENT
    )
    copy = connection.execute(f"select count(*), {said} from ops.{recorded.name}").fetchone()
    return ours == [int(number or 0) for number in copy or ()]


def _sums(recorded: Recorded) -> Executable:
    """Numbers that are other ones where a row is, or nearly so: texts count by their length."""
    return select(
        func.count(),
        *(
            func.sum(column if kind == _COUNT else func.length(column))
            for column, kind in recorded.columns.values()
            if kind != _MOMENT
        ),
    )


def _append(
    connection: duckdb.DuckDBPyConnection, engine: Engine, recorded: Recorded, dated_by: str
) -> None:
    """Copy the runs that the table lacks, or has only in part, and drop what is too old."""
    table = f"ops.{recorded.name}"
    if not _is_there(connection, recorded):
        _make(connection, recorded)
    copied = dict(
        connection.execute(f"select run_id, count(*) from {table} group by run_id").fetchall()
    )
    newest = connection.execute(f"select max({dated_by}) from {table}").fetchone()
    since = newest[0] - _LOOK_BACK if newest and newest[0] else None
    for rows in _missing(engine, recorded, dated_by, since, copied):
        _insert(connection, recorded, rows, replaces=True)
    connection.execute(f"delete from {table} where {dated_by} < ?", [utc_now() - KEEP_RECORDED])


def _missing(
    engine: Engine,
    recorded: Recorded,
    dated_by: str,
    since: datetime | None,
    copied: dict[str, int],
) -> Iterator[pa.Table]:
    """The rows of runs that are not copied whole, some runs at a time, newest first."""
    columns = [column for column, _ in recorded.columns.values()]
    source = columns[0].table
    with engine.connect() as connection:
        if not inspect(connection).has_table(source.name):
            return
        moment = source.c[dated_by]
        counts = select(source.c.run_id, func.count().label("rows")).group_by(source.c.run_id)
        counts = counts.order_by(func.max(moment).desc()).limit(_MOST_RUNS)
        if since is not None:
            counts = counts.where(moment >= since)
        wanted = [
            str(run_id)
            for run_id, rows in connection.execute(counts)
            if copied.get(str(run_id)) != rows
        ]
        for begin in range(0, len(wanted), _RUNS_AT_ONCE):
            some = wanted[begin : begin + _RUNS_AT_ONCE]
            found = connection.execute(select(*columns).where(source.c.run_id.in_(some)))
            yield _table(found.all(), recorded.schema)


def read_store(settings: Settings) -> list[tuple[Recorded, pa.Table]]:
    """What the state store knows, by the table that it is to be copied to as a whole."""
    engine = open_store(settings.state)
    try:
        return [
            (recorded, _read(engine, recorded)) for recorded in RECORDED if not recorded.dated_by
        ]
    finally:
        engine.dispose()


def read_days(settings: Settings) -> list[tuple[Recorded, str, pa.Table]]:
    """Of the tables with many rows a run, what is dated today or yesterday (UTC), each by its day.

    A run that began the day before yesterday is over: the schedules' time-outs are hours.
    """
    engine = open_store(settings.state)
    today = datetime.combine(utc_now().date(), time.min)
    days = [(today - timedelta(days=n), today + timedelta(days=1 - n)) for n in (1, 0)]
    try:
        return [
            (recorded, f"{begin:%Y-%m-%d}", _read(engine, recorded, between=(begin, end)))
            for recorded in RECORDED
            if recorded.dated_by
            for begin, end in days
        ]
    finally:
        engine.dispose()


def _read(
    engine: Engine, recorded: Recorded, between: tuple[datetime, datetime] | None = None
) -> pa.Table:
    """Read a table of the state store; empty where nothing has made it yet.

    between: moments [from, to) of `dated_by`.
    """
    schema = recorded.schema
    columns = [column for column, _ in recorded.columns.values()]
    with engine.connect() as connection:
        if not inspect(connection).has_table(columns[0].table.name):
            return schema.empty_table()
        query = select(*columns)
        if between is not None and recorded.dated_by is not None:
            moment = columns[0].table.c[recorded.dated_by]
            query = query.where(moment >= between[0], moment < between[1])
        return _table(connection.execute(query).all(), schema)


def _table(rows: Collection[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    values: Iterable[object] = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema
    )

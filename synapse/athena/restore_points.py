"""Where each Iceberg table stood before a run: what a rollback goes back to.

A restore point is a row a table in the state store, with the metadata file that Glue pointed to and
what Glue would take to make the table again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from synapse.athena.iceberg_tables import GlueIceberg
from synapse.runner.clock import utc_now
from synapse.state_store import make_tables, open_store

_METADATA = MetaData()
_POINTS = Table(
    "restore_points",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("database_name", String(255), primary_key=True),
    Column("table_name", String(255), primary_key=True),
    Column("metadata_location", Text, nullable=False),
    Column("table_input", JSON, nullable=False),
    Column("taken_at", DateTime, nullable=False, index=True),
)
_RUNS = Table(
    "restore_point_runs",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("databases", JSON, nullable=False),
    Column("taken_at", DateTime, nullable=False),
)


@dataclass(frozen=True)
class RestorePoint:
    """The tables of these databases as they stood before a run."""

    run_id: str
    databases: tuple[str, ...]
    taken_at: datetime
    tables: tuple[GlueIceberg, ...]


class RestorePoints:
    """Reads and writes restore points at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self._engine = open_store(url)
        make_tables(self._engine, _METADATA)

    def take(self, run_id: str, databases: Iterable[str], tables: Iterable[GlueIceberg]) -> None:
        """Write down where the tables stand. A run that goes on after a failure keeps its first."""
        now = utc_now()
        rows = [
            {
                "run_id": run_id,
                "database_name": table.database,
                "table_name": table.name,
                "metadata_location": table.metadata_location,
                "table_input": _plain(table.input),
                "taken_at": now,
            }
            for table in tables
        ]
        with self._engine.begin() as connection:
            if connection.execute(select(_RUNS).where(_RUNS.c.run_id == run_id)).first():
                return
            run = {"run_id": run_id, "databases": sorted(databases), "taken_at": now}
            connection.execute(insert(_RUNS).values(**run))
            if rows:
                connection.execute(insert(_POINTS), rows)

    def find(self, run_id: str) -> RestorePoint | None:
        """The restore point of a run, by its id or the beginning of it."""
        with self._engine.connect() as connection:
            runs = connection.execute(
                select(_RUNS).where(_RUNS.c.run_id.startswith(run_id, autoescape=True))
            ).all()
            if len(runs) != 1:
                return None
            rows = connection.execute(
                select(_POINTS).where(_POINTS.c.run_id == runs[0].run_id)
            ).all()
        return RestorePoint(
            run_id=runs[0].run_id,
            databases=tuple(runs[0].databases),
            taken_at=runs[0].taken_at,
            tables=tuple(_table(row) for row in rows),
        )

    def locations(self) -> set[str]:
        """The folders that any restore point needs, each with a closing slash."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_POINTS)).all()
        return {_table(row).location for row in rows}

    def forget(self, *, before: datetime | None = None, after: datetime | None = None) -> int:
        """Let go of the restore points of before, or after, a moment; returns how many runs'."""
        with self._engine.begin() as connection:
            for each in (_POINTS, _RUNS):
                statement = delete(each)
                if before is not None:
                    statement = statement.where(each.c.taken_at < before)
                if after is not None:
                    statement = statement.where(each.c.taken_at > after)
                count = connection.execute(statement).rowcount
        return int(count)

    def close(self) -> None:
        """Release the store's connections."""
        self._engine.dispose()


def _table(row: Any) -> GlueIceberg:
    return GlueIceberg(
        row.database_name, row.table_name, row.metadata_location, "", row.table_input
    )


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Without moments, which JSON does not have and Glue sets itself."""
    return {key: item for key, item in value.items() if not isinstance(item, datetime)}

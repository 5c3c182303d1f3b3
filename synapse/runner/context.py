"""ops.run_context: what a run tells dbt, in a table so that nothing has to be parsed again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from synapse.errors import SynapseError
from synapse.settings import Settings


def connect_warehouse(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the embedded warehouse. Raises SynapseError when it is occupied or is no warehouse."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), read_only=read_only)
    except (duckdb.Error, OSError) as error:
        text = str(error)
        if "lock" in text.lower():
            raise SynapseError(
                f"the warehouse {path} is open in another process: close that one, or set "
                "SYNAPSE_WAREHOUSE to another file"
            ) from error
        raise SynapseError(
            f"{path} cannot be opened as a DuckDB warehouse ({text.splitlines()[0]}): move it "
            "away to have it rebuilt, or set SYNAPSE_WAREHOUSE to another file"
        ) from error


def write_run_context(
    settings: Settings, *, run_id: str, as_of: datetime, is_backfill: bool
) -> None:
    """Replace the single row of ops.run_context in one transaction."""
    with connect_warehouse(settings.warehouse) as connection:
        connection.execute("create schema if not exists ops")
        connection.begin()
        connection.execute(
            "create table if not exists ops.run_context (run_id varchar, as_of timestamp, "
            "is_backfill boolean, lake varchar, business_timezone varchar)"
        )
        connection.execute("delete from ops.run_context")
        connection.execute(
            "insert into ops.run_context values (?, ?, ?, ?, ?)",
            [
                run_id,
                as_of.astimezone(UTC).replace(tzinfo=None),
                is_backfill,
                settings.location,
                settings.business_timezone,
            ],
        )
        connection.commit()

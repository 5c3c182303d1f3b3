"""How the published set is read: as views of a DuckDB connection, or as SQL for other tools."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from synapse.errors import SynapseError
from synapse.ingest.model import BronzeFile
from synapse.publish.model import PublishedSet, PublishedTable
from synapse.publish.pointer import read_pointer
from synapse.publish.service import current_set
from synapse.settings import Settings
from synapse.state_store import open_store


def published_set(settings: Settings) -> PublishedSet:
    """The set that readers see; a pointer that a crash left behind is moved first, where one may.

    Raises SynapseError where nothing was published yet.
    """
    engine = open_store(settings.state)
    try:
        found = current_set(settings, engine)
    finally:
        engine.dispose()
    return _require(settings, found)


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view published.<table> for each table of the set.

    It asks nothing but the pointer, and stays on the set that it found: two queries never see two
    sets. For as long as that set is kept (three publications), open it again after.
    """
    lake = settings.open_lake()
    found = _require(settings, read_pointer(lake))
    if found.target != "duckdb":
        raise SynapseError(
            f"the published set is on {found.target}: `synapse published --sql` prints the queries"
        )
    files = [
        BronzeFile(path, table.bytes, "") for table in found.tables.values() for path in table.files
    ]
    lake.fetch(files)  # of a lake on S3: they never change, and are fetched once
    connection = duckdb.connect()
    for statement in _views(found, str(lake.root)):
        connection.execute(statement)
    return connection


def published_sql(settings: Settings, found: PublishedSet) -> list[str]:
    """Statements that show the set to another tool: views for DuckDB, queries for Athena."""
    if found.target == "athena":
        return [_query(table) for table in found.tables.values()]
    return list(_views(found, settings.location))


def _views(found: PublishedSet, root: str) -> Iterator[str]:
    yield "create schema if not exists published"
    for name, table in found.tables.items():
        files = ", ".join("'" + f"{root}/{path}".replace("'", "''") + "'" for path in table.files)
        yield (
            f'create or replace view published."{name}" as select * from read_parquet([{files}])'
        )


def _query(table: PublishedTable) -> str:
    assert table.pin is not None
    query = f'select * from "{table.pin.database}"."{table.pin.table}"'
    if table.pin.snapshot_id is None:
        return query  # it was empty
    return f"{query} for version as of {table.pin.snapshot_id}"


def _require(settings: Settings, found: PublishedSet | None) -> PublishedSet:
    if found is None:
        raise SynapseError(
            f"nothing is published in {settings.location} yet: `synapse run daily` publishes what "
            "it has built once its tests have passed"
        )
    return found

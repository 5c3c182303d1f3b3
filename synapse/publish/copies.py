"""Audited copies of the embedded warehouse's tables: Parquet files that never change."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from synapse.ingest.model import BronzeFile
from synapse.lake import Lake
from synapse.publish.model import FOLDER
from synapse.runner.context import connect_warehouse
from synapse.settings import Settings

SETS = f"{FOLDER}/sets"


def copy_tables(
    settings: Settings, lake: Lake, set_id: str, relations: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """Copy tables, by name, into the folder of a set; relations: their schema and name.

    Returns columns, files, bytes and rows of each. All are read in one transaction; the files are
    on disk when it returns, and in the lake.
    """
    folder = lake.root / SETS / set_id
    folder.mkdir(parents=True, exist_ok=True)
    copies: dict[str, dict[str, Any]] = {}
    with connect_warehouse(settings.warehouse, read_only=True) as connection:
        connection.begin()
        for name, (schema, table) in relations.items():
            relation = f'"{schema}"."{table}"'
            columns = {
                row[0]: row[1] for row in connection.execute(f"describe {relation}").fetchall()
            }
            path = f"{SETS}/{set_id}/{name}.parquet"
            target = str(lake.root / path).replace("'", "''")
            copied = connection.execute(
                f"copy {relation} to '{target}' (format parquet, compression zstd)"
            ).fetchone()
            copies[name] = {
                "columns": columns,
                "files": (path,),
                "bytes": (lake.root / path).stat().st_size,
                "rows": int(copied[0]) if copied else 0,
            }
    paths = [path for copy in copies.values() for path in copy["files"]]
    _sync([*(str(lake.root / path) for path in paths), str(folder)])
    for path in paths:
        lake.publish(path)
    lake.release([BronzeFile(path, 0, "") for path in paths])
    return copies


def _sync(paths: Iterable[str]) -> None:
    """Have the disk hold it: a pointer must not outlive what it names."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stored_copies(lake: Lake) -> frozenset[str]:
    """Every file of a set, and what killed publishes have left."""
    return frozenset(file.path for file in lake.listing(SETS))

"""Glue tables over the files of the manifest, so that Athena can read them.

A Hive table has one location and one type for a column, so there is one for each folder and each
way in which files hold their moments (see ingest/moments.py). Names are what
macros/dialect/read_files.sql works out of a file's path and layout: both must say the same.
"""

from __future__ import annotations

import hashlib
import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from synapse.declarations import Column, Declarations, DmsTable
from synapse.ingest.manifest import SCHEMA as MANIFEST_SCHEMA
from synapse.ingest.model import ManifestRow

# Dated folders of the years 2010 to 2099; a file in any other is in a table of its own, because one
# event that claims to be of 1970 would have every query list 20,000 folders.
_DATED = re.compile(
    r"(bronze/.+|consolidated/[^/]+)/((?:date=)?)(20[1-9][0-9][-/][0-9]{2}[-/][0-9]{2})/[^/]+"
)
_COUNTED = ("s", "ms", "us", "ns")
_LINEAGE = (
    Column("_kafka_partition", "integer"),
    Column("_kafka_offset", "bigint"),
    Column("_payload_hash", "varchar"),
    Column("_source_file", "varchar"),
    Column("_source_line", "bigint"),
)


@dataclass(frozen=True)
class BronzeTable:
    """A Glue table over Parquet files.

    database: without the deployment's prefix. location: folder, relative to the lake. columns:
    (name, Glue type). day_folder: a date's folder below the location, with ${landed_day} for
    the date; None for a table without partitions. day_format: Java's pattern of that date. days:
    the first and the last of them, in that format, with a comma between: whole months, so that the
    table does not change every day.
    """

    database: str
    name: str
    location: str
    columns: tuple[tuple[str, str], ...]
    day_folder: str | None = None
    day_format: str | None = None
    days: str = ""


def counted_columns(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """Glue's columns for files of ours; moments are microseconds since 1970.

    A Hive timestamp keeps milliseconds only.
    """
    return tuple(
        (item.name, "string" if pa.types.is_string(item.type) else "bigint") for item in schema
    )


MANIFEST = BronzeTable(
    database="bronze",
    name="manifest",
    location="manifest",
    columns=counted_columns(MANIFEST_SCHEMA),
)


def bronze_tables(declarations: Declarations, rows: Iterable[ManifestRow]) -> list[BronzeTable]:
    """The tables through which Athena reads these files."""
    days: dict[tuple[str, _Folder, str], list[str]] = defaultdict(list)
    for row in rows:
        folder, day = _place(row.path)
        days[row.source, folder, row.layout].append(day)
    tables = []
    for (source, folder, layout), found in days.items():
        target = declarations.table_of(source) or declarations.topic_of(source)
        if target is None:
            continue  # no longer declared, so that no model reads it
        text = f"{folder.prefix}|{'dated' if folder.below else 'flat'}|{layout}"
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:12]
        if isinstance(target, DmsTable):
            table, columns = target.name, target.landed_columns
        else:
            table, columns = target.table, (*target.columns, *_LINEAGE)
        tables.append(
            BronzeTable(
                database=target.dataset,
                name=f"{table}__{digest}",
                location=folder.prefix,
                columns=_columns(columns, layout),
                day_folder=folder.below,
                day_format=folder.pattern,
                days=_months(min(found), max(found)) if folder.below else "",
            )
        )
    return tables


class _Folder(NamedTuple):
    """prefix: relative to the lake. below, pattern: day_folder and day_format of its table."""

    prefix: str
    below: str | None = None
    pattern: str | None = None


def _place(path: str) -> tuple[_Folder, str]:
    """The folder of a file's table, and the file's date as its folder spells it."""
    dated = _DATED.fullmatch(path)
    if dated is None:
        return _Folder(path.rsplit("/", 1)[0]), ""
    separator = dated[3][4]
    pattern = f"yyyy{separator}MM{separator}dd"
    return _Folder(dated[1], f"{dated[2]}${{landed_day}}", pattern), dated[3]


def _months(first: str, last: str) -> str:
    """From the first date of the one's month to the last of the other's."""
    length = monthrange(int(last[:4]), int(last[5:7]))[1]
    return f"{first[:8]}01,{last[:8]}{length}"


def _columns(columns: Iterable[Column], layout: str) -> tuple[tuple[str, str], ...]:
    units = dict(item.split("=") for item in layout.split(",") if item)
    return tuple(
        (column.name.lower(), _glue_type(column, units.get(column.name.lower())))
        for column in columns
    )


def _glue_type(column: Column, unit: str | None) -> str:
    if unit in _COUNTED:
        return "bigint"
    if unit == "int96":
        return "timestamp"
    if unit is not None:
        return "date" if unit == "date" else "string"
    # A moment that the file does not have may be declared as anything.
    return {"varchar": "string", "timestamp": "string", "integer": "int"}.get(
        column.data_type, column.data_type
    )

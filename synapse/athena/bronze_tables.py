"""Glue tables over the files of the manifest, so that Athena can read them.

A Hive table has one location and one type for a column, so there is one for each folder and each
way in which files hold their moments (see ingest/moments.py). Names are what
macros/dialect/read_files.sql works out of a file's path and layout: both must say the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from synapse.declarations import Column, Declarations, DmsTable
from synapse.ingest.model import ManifestRow

# Dated folders of these years are projected; a file in any other is a table of its own.
_DATED = re.compile(
    r"(bronze/.+|consolidated/[^/]+)/((?:date=)?)(20[1-9][0-9][-/][0-9]{2}[-/][0-9]{2})/[^/]+"
)
_FIRST_YEAR, _LAST_YEAR = 2010, 2099
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
    the date; None for a table without partitions. day_format: Java's pattern of that date.
    """

    database: str
    name: str
    location: str
    columns: tuple[tuple[str, str], ...]
    day_folder: str | None = None
    day_format: str | None = None

    @property
    def days(self) -> str:
        """The range of dates that are projected, in their format."""
        separator = "-" if self.day_format and "-" in self.day_format else "/"
        first, last = (_FIRST_YEAR, 1, 1), (_LAST_YEAR, 12, 31)
        return ",".join(
            separator.join((f"{year}", f"{month:02}", f"{day:02}"))
            for year, month, day in (first, last)
        )


MANIFEST = BronzeTable(
    database="bronze",
    name="manifest",
    location="manifest",
    columns=(
        ("path", "string"),
        ("landed_path", "string"),
        ("source", "string"),
        ("kind", "string"),
        ("epoch", "bigint"),
        # Microseconds since 1970: a Hive timestamp keeps milliseconds.
        ("epoch_at", "bigint"),
        ("rows", "bigint"),
        ("bytes", "bigint"),
        ("sha256", "string"),
        ("ingested_at", "bigint"),
        ("as_of", "bigint"),
        ("run_id", "string"),
        ("layout", "string"),
    ),
)


def bronze_tables(declarations: Declarations, rows: Iterable[ManifestRow]) -> list[BronzeTable]:
    """The tables through which Athena reads these files, each once."""
    found: dict[BronzeTable, None] = {}
    for row in rows:
        target = declarations.table_of(row.source) or declarations.topic_of(row.source)
        if target is None:
            continue  # no longer declared, so that no model reads it
        prefix, day_folder, day_format = _place(row.path)
        kind = "dated" if day_folder else "flat"
        text = f"{prefix}|{kind}|{row.layout}"
        name = target.name if isinstance(target, DmsTable) else target.table
        table = BronzeTable(
            database=target.dataset,
            name=f"{name}__{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:12]}",
            location=prefix,
            columns=_columns(
                _landed(target) if isinstance(target, DmsTable) else (*target.columns, *_LINEAGE),
                row.layout,
            ),
            day_folder=day_folder,
            day_format=day_format,
        )
        found.setdefault(table)
    return list(found)


def _place(path: str) -> tuple[str, str | None, str | None]:
    dated = _DATED.fullmatch(path)
    if dated is None:
        return path.rsplit("/", 1)[0], None, None
    separator = dated[3][4]
    return dated[1], f"{dated[2]}${{landed_day}}", f"yyyy{separator}MM{separator}dd"


def _landed(table: DmsTable) -> tuple[Column, ...]:
    return (
        Column(table.op_column, "varchar"),
        Column(table.commit_column, "varchar"),
        Column(table.sequence_column, "varchar"),
        *table.columns,
        *(Column(f"bi_{key}", table.column(key).data_type) for key in table.key),
    )


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

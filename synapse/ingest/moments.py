"""How a Parquet file holds its moments, which decides how an engine that reads it in place must.

A Hive table of Athena reads a timestamp to the millisecond, whatever the file holds. Declared as
bigint the same column is exact, but no longer says of what it counts: so the manifest does.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def layout_of(path: Path, columns: Collection[str]) -> str:
    """`column=unit` of those of the columns that the file has, sorted, with commas between.

    unit: s, ms, us or ns since 1970 as 64-bit integers, int96 (the legacy form), date or text.
    Column names are lower case, as Glue has them.
    """
    with pq.ParquetFile(path) as file:
        physical = {
            file.schema.column(index).name: file.schema.column(index).physical_type
            for index in range(len(file.schema))
        }
        return _layout(file.schema_arrow, columns, physical)


def layout_of_schema(schema: pa.Schema, columns: Collection[str]) -> str:
    """The same of a file that we write ourselves."""
    return _layout(schema, columns, {})


def _layout(schema: pa.Schema, columns: Collection[str], physical: dict[str, str]) -> str:
    wanted = {name.lower() for name in columns}
    return ",".join(
        sorted(
            f"{field.name.lower()}={_unit(field.type, physical.get(field.name, ''))}"
            for field in schema
            if field.name.lower() in wanted
        )
    )


def _unit(kind: pa.DataType, physical: str) -> str:
    if pa.types.is_timestamp(kind):
        return "int96" if physical == "INT96" else str(kind.unit)
    return "date" if pa.types.is_date(kind) else "text"

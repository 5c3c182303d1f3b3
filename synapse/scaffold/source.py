"""A new source table: its declaration and the three silver models that every CDC table has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from synapse.errors import UsageError
from synapse.scaffold.writing import Plan, require_name

_LAYERS = ("base", "stg", "hist")
# What DMS adds to the columns of the table.
_OF_DMS = ("Op", "dms_committed_at", "dms_change_seq")


@dataclass(frozen=True)
class SourceColumn:
    """A column as it is declared."""

    name: str
    data_type: str


def plan_source(
    project: Path, table: str, key: Sequence[str], file: Path | None, columns: Sequence[str]
) -> Plan:
    """Plan the declaration of a table of the product's database, and its silver models.

    file: a Parquet file that DMS wrote of it, from which the columns are taken; columns: name:type,
    instead. Raises UsageError for a table that is declared, or a key that is no column.
    """
    require_name(table, "The table's name")
    sources = project / "models" / "bronze" / "_dms__sources.yml"
    (declared,) = yaml.safe_load(sources.read_text(encoding="utf-8"))["sources"]
    if table in {one["name"] for one in declared["tables"]}:
        raise UsageError(f"{table} is declared already in {sources}.")
    found = _from_file(file) if file is not None else [_column(text) for text in columns]
    if not found:
        raise UsageError("Name the columns: --like FILE.parquet, or --column NAME:TYPE for each.")
    names = [column.name for column in found]
    if not key or not set(key) <= set(names):
        raise UsageError(f"--key must name columns of the table: {', '.join(names)}.")
    values = {
        "table": table,
        "key": ", ".join(key),
        "keys": list(key),
        "columns": found,
        # By whose month rows lie together on Athena: created_at, where the table has one.
        "is_dated": "created_at" in names,
        "schema": declared["config"]["meta"]["source_schema"],
    }
    plan = Plan()
    plan.append(sources, "source.yml", values)
    for layer in _LAYERS:
        name = f"{layer}_dms__{table}"
        for suffix in ("sql", "yml"):
            path = project / "models" / "silver" / f"{name}.{suffix}"
            plan.add(path, f"{layer}.{suffix}", values)
    return plan


def _from_file(file: Path) -> list[SourceColumn]:
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{file} is no Parquet file that can be read: {error}") from error
    return [
        SourceColumn(field.name, _declared(field.type))
        for field in schema
        if field.name not in _OF_DMS and not field.name.startswith("BI_")
    ]


def _column(text: str) -> SourceColumn:
    name, _, data_type = text.partition(":")
    if not data_type:
        raise UsageError(f"--column {text!r}: write NAME:TYPE, such as invoice_id:bigint.")
    return SourceColumn(name, data_type)


def _declared(kind: pa.DataType) -> str:
    """The declared type that holds all of an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer" if kind.bit_width < 32 or kind == pa.int32() else "bigint"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return "date" if pa.types.is_date(kind) else "varchar"

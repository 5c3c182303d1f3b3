"""Which conversions of a Parquet column to its declared type lose nothing, as DuckDB SQL.

A conversion is one of three things: always exact, exact for the rows that pass a test, or
impossible for the whole column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from synapse.declarations import Column
from synapse.ingest.model import DriftKind

_DECIMAL = re.compile(r"DECIMAL\(([0-9]+),([0-9]+)\)")
_SIGNED_BITS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
_UNSIGNED_BITS = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
_INTEGER_BITS = _SIGNED_BITS | _UNSIGNED_BITS
_EXACT_IN_DOUBLE = 2**53


@dataclass(frozen=True)
class Conversion:
    """How a physical column becomes the declared type.

    value: SQL of the converted value. test: SQL that is true for a non-null value that converts
    without loss, None when every value does. in_place: an engine that is told the declared type
    reads the physical one as it stands; otherwise ingest writes the column anew.
    """

    value: str
    test: str | None
    in_place: bool


def sql_type(column: Column) -> str:
    """DuckDB's name of the declared type."""
    return column.data_type.upper()


def family(physical: str) -> str:
    """Family of a DuckDB type.

    text, int, decimal, float, bool, timestamp, date, binary, time or other.
    """
    if physical in ("VARCHAR", "UUID", "JSON") or physical.startswith("ENUM("):
        return "text"
    if physical in _INTEGER_BITS:
        return "int"
    if _DECIMAL.fullmatch(physical):
        return "decimal"
    if physical in ("FLOAT", "DOUBLE"):
        return "float"
    if physical == "BOOLEAN":
        return "bool"
    if physical.startswith("TIMESTAMP"):
        return "timestamp"
    return {"DATE": "date", "BLOB": "binary", "TIME": "time"}.get(physical, "other")


def as_text(name: str, physical: str) -> str:
    """SQL of a column (`name`, already quoted) as text, from which it could be made again.

    Bytes (PostgreSQL bytea, MySQL blob) become hexadecimal digits; a moment is one in UTC and says
    so by having no offset, like every moment that DMS writes.
    """
    kind = family(physical)
    if kind == "binary":
        return f"lower(hex({name}))"
    if physical.endswith("TIME ZONE") and kind == "timestamp":
        return f"cast(cast({name} as timestamp) as varchar)"
    return f"cast({name} as varchar)"


def compare_types(before: str, after: str) -> DriftKind | None:
    """Whether a column's new physical type holds more, less or other values; None: the same."""
    if before == after or _span(before) == _span(after):
        return None
    if _holds(after, before):
        return DriftKind.WIDENED
    return DriftKind.NARROWED if _holds(before, after) else DriftKind.RETYPED


def _span(physical: str) -> tuple[str, int, int]:
    """(family, digits before the point or bits, digits after it) that a type has room for."""
    kind = family(physical)
    decimal = _DECIMAL.fullmatch(physical)
    if decimal:
        return "number", int(decimal[1]) - int(decimal[2]), int(decimal[2])
    if kind == "int":
        # A decimal holds an integer type from as many digits on as its largest value has.
        return (
            "int",
            -_UNSIGNED_BITS[physical] if physical in _UNSIGNED_BITS else (_SIGNED_BITS[physical]),
            0,
        )
    if kind == "float":
        return "float", {"FLOAT": 24, "DOUBLE": 53}[physical], 0
    if kind == "timestamp":
        # With zone or without, DMS means UTC.
        return (
            "moment",
            1,
            {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3, "TIMESTAMP_NS": 9}.get(physical, 6),
        )
    if kind == "date":
        return "moment", 1, -1
    return (kind if kind != "other" else physical), 0, 0


def _holds(wide: str, narrow: str) -> bool:
    """Whether every value of the one type is a value of the other."""
    (kind, room, decimals), (other, needed, fraction) = _span(wide), _span(narrow)
    if other == "int":
        bits, is_unsigned = abs(needed), needed < 0
        if kind == "int":
            return room >= bits if room > 0 else is_unsigned and -room >= bits
        if kind == "number":
            return room >= len(str(2**bits))
        return kind == "float" and room >= bits
    return kind == other and room >= needed and decimals >= fraction


def conversion(name: str, physical: str, column: Column) -> Conversion | None:
    """How the column of a file (`name`, already quoted) becomes the declared one; None: never."""
    kind = family(physical)
    if kind == "other":
        return None
    target = sql_type(column)
    if target == "VARCHAR":
        return Conversion(as_text(name, physical), None, in_place=kind == "text")
    if target in ("BIGINT", "INTEGER"):
        return _to_integer(name, physical, kind, target)
    if column.decimal:
        return _to_decimal(name, physical, kind, column.decimal, target)
    if target == "TIMESTAMP":
        return _to_timestamp(name, physical, kind)
    if target == "DATE":
        return _to_date(name, kind)
    if target == "BOOLEAN":
        return _to_boolean(name, kind)
    return _to_double(name, physical, kind)


def _round_trip(name: str, physical: str, target: str) -> str:
    there = f"try_cast({name} as {target})"
    return f"coalesce(try_cast({there} as {physical}) = {name}, false)"


def _to_integer(name: str, physical: str, kind: str, target: str) -> Conversion | None:
    value = f"try_cast({name} as {target})"
    if kind == "int":
        room = _SIGNED_BITS[target]
        test = None if _INTEGER_BITS[physical] <= room else f"{value} is not null"
        return Conversion(value, test, in_place=True)
    if kind == "text":
        # DuckDB would round '1.5' to 2: only digits count.
        digits = f"regexp_full_match(cast({name} as varchar), '[+-]?[0-9]+')"
        return Conversion(value, f"{digits} and {value} is not null", in_place=False)
    if kind == "decimal":
        return Conversion(value, _round_trip(name, physical, target), in_place=False)
    if kind == "float":
        exact = f"{_round_trip(name, physical, target)} and abs({name}) <= {_EXACT_IN_DOUBLE}"
        return Conversion(value, exact, in_place=False)
    return Conversion(value, None, in_place=False) if kind == "bool" else None


def _to_decimal(
    name: str, physical: str, kind: str, size: tuple[int, int], target: str
) -> Conversion | None:
    precision, scale = size
    value = f"try_cast({name} as {target})"
    if kind == "decimal":
        found = _DECIMAL.fullmatch(physical)
        digits, decimals = (int(found[1]), int(found[2])) if found else (38, 0)
        fits = scale >= decimals and precision - scale >= digits - decimals
        test = None if fits else _round_trip(name, physical, target)
        return Conversion(value, test, in_place=True)
    if kind == "int":
        return Conversion(value, f"{value} is not null", in_place=False)
    if kind == "float":
        return Conversion(value, _round_trip(name, physical, target), in_place=False)
    if kind == "text":
        # 18 decimals leave 20 digits before the point: enough to see what a cast would round off.
        exact = f"coalesce({value} = try_cast({name} as decimal(38,18)), false)"
        return Conversion(value, exact, in_place=False)
    return None


def _to_timestamp(name: str, physical: str, kind: str) -> Conversion | None:
    if kind == "timestamp":
        value = f"cast({name} as timestamp)"
        if physical == "TIMESTAMP_NS":
            return Conversion(value, f"epoch_ns({name}) % 1000 = 0", in_place=True)
        return Conversion(value, None, in_place=True)
    if kind == "date":
        return Conversion(f"cast({name} as timestamp)", None, in_place=False)
    if kind == "text":
        # As a timestamp with zone, because a cast to one without ignores an offset.
        value = f"cast(try_cast({name} as timestamptz) as timestamp)"
        return Conversion(value, f"try_cast({name} as timestamptz) is not null", in_place=False)
    return None


def _to_date(name: str, kind: str) -> Conversion | None:
    if kind == "date":
        return Conversion(name, None, in_place=True)
    if kind == "timestamp":
        whole = f"cast({name} as timestamp) = date_trunc('day', cast({name} as timestamp))"
        return Conversion(f"cast(cast({name} as timestamp) as date)", whole, in_place=False)
    if kind == "text":
        pattern = f"regexp_full_match(cast({name} as varchar), '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
        value = f"try_cast({name} as date)"
        return Conversion(value, f"{pattern} and {value} is not null", in_place=False)
    return None


def _to_boolean(name: str, kind: str) -> Conversion | None:
    if kind == "bool":
        return Conversion(name, None, in_place=True)
    value = f"try_cast({name} as boolean)"
    if kind in ("int", "decimal", "float"):
        return Conversion(value, f"{name} in (0, 1)", in_place=False)
    if kind == "text":
        words = "('true', 'false', 't', 'f', '1', '0')"
        return Conversion(value, f"lower(cast({name} as varchar)) in {words}", in_place=False)
    return None


def _to_double(name: str, physical: str, kind: str) -> Conversion | None:
    value = f"try_cast({name} as double)"
    if kind == "float":
        return Conversion(value, None, in_place=True)
    if kind == "int":
        small = _INTEGER_BITS[physical] <= 32
        test = None if small else f"abs({name}) <= {_EXACT_IN_DOUBLE}"
        return Conversion(value, test, in_place=False)
    if kind == "decimal":
        return Conversion(value, _round_trip(name, physical, "double"), in_place=False)
    if kind == "text":
        return Conversion(value, f"{value} is not null", in_place=False)
    return None

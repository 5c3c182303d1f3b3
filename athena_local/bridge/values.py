"""Values and types as Athena's answers hold them.

Trino's JSON is the source: decimals, dates and times are strings there, varbinary is base64, rows
are lists. Athena writes everything as text, NULL as an absent value.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

Signature = dict[str, Any]
Formatter = Callable[[Any], str]

_TYPE_NAMES = {"real": "float"}
# (precision, scale) as Athena's ResultSetMetadata states them.
_PRECISION = {
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "float": 17,
    "double": 17,
    "varbinary": 1073741824,
    "varchar": 2147483647,
    "timestamp": 3,
    "timestamp with time zone": 3,
    "time": 3,
    "time with time zone": 3,
}


def _arguments(signature: Signature) -> list[Any]:
    return [argument["value"] for argument in signature.get("arguments", [])]


def column_info(name: str, signature: Signature) -> dict[str, Any]:
    """One `ColumnInfo` of a result's metadata."""
    raw = str(signature["rawType"])
    type_name = _TYPE_NAMES.get(raw, raw)
    precision, scale = _PRECISION.get(type_name, 0), 0
    arguments = _arguments(signature)
    if type_name in ("varchar", "char") and arguments:
        precision = min(int(arguments[0]), 2147483647)
    elif type_name == "decimal":
        precision, scale = int(arguments[0]), int(arguments[1])
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": type_name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": type_name in ("varchar", "char"),
    }


def plain_column(name: str) -> dict[str, Any]:
    """The column of a text that Hive's part of Athena answers (SHOW, DESCRIBE)."""
    return {
        **column_info(name, {"rawType": "varchar"}),
        "Type": "string",
        "Precision": 0,
        "CaseSensitive": False,
    }


def formatter(signature: Signature) -> Formatter:
    """A function that turns a value of this type, not NULL, into Athena's text."""
    raw = signature["rawType"]
    if raw == "array":
        return _array(_nested(_arguments(signature)[0]))
    if raw == "map":
        key, value = _arguments(signature)
        return _map(_nested(key), _nested(value))
    if raw == "row":
        fields = [
            ((field.get("fieldName") or {}).get("name"), _nested(field["typeSignature"]))
            for field in _arguments(signature)
        ]
        return _row(fields)
    return _SCALARS.get(raw, str)


def _nested(signature: Signature) -> Formatter:
    inner = formatter(signature)
    return lambda value: "null" if value is None else inner(value)


def _array(item: Formatter) -> Formatter:
    return lambda value: "[" + ", ".join(item(one) for one in value) + "]"


def _map(key: Formatter, value: Formatter) -> Formatter:
    # JSON knows only strings as keys: they are texts of their type already.
    del key
    return lambda entries: (
        "{" + ", ".join(f"{one}={value(entries[one])}" for one in entries) + "}"
    )


def _row(fields: list[tuple[str | None, Formatter]]) -> Formatter:
    def write(values: list[Any]) -> str:
        parts = []
        for at, ((name, item), value) in enumerate(zip(fields, values, strict=True)):
            parts.append(f"{name if name is not None else f'field{at}'}={item(value)}")
        return "{" + ", ".join(parts) + "}"

    return write


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def java_double(value: float | int | str) -> str:
    """A double as Java prints it: 1.0, 1.0E7, 1.5E-5, Infinity, NaN."""
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "-0.0" if math.copysign(1.0, number) < 0 else "0.0"
    sign, digits, exponent = _shortest(number)
    if -3 <= exponent < 7:
        if exponent < 0:
            text = "0." + "0" * (-exponent - 1) + digits
        else:
            digits = digits.ljust(exponent + 2, "0")
            text = digits[: exponent + 1] + "." + digits[exponent + 1 :]
    else:
        text = f"{digits[0]}.{digits[1:] or '0'}E{exponent}"
    return sign + text


def _shortest(number: float) -> tuple[str, str, int]:
    """Sign, significant digits, and the power of ten of the first of them."""
    mantissa, _, power = f"{number!r}".lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    leading = len(digits) - len(digits.lstrip("0"))
    exponent = int(power or 0) + len(whole) - 1 - leading
    return sign, digits.strip("0") or "0", exponent


def _varbinary(value: str) -> str:
    return base64.b64decode(value).hex(" ")


def _millis(value: str) -> str:
    """A time of day or an instant with at least three digits of seconds' fraction."""
    clock_end = len(value)
    for at, char in enumerate(value):
        # The zone begins after the seconds: a space, or a sign beyond the date.
        if at > 10 and (char in "+-" or (char == " " and at > 11)):
            clock_end = at
            break
    clock, zone = value[:clock_end], value[clock_end:]
    whole, dot, fraction = clock.rpartition(".")
    return f"{whole if dot else clock}.{(fraction if dot else '').ljust(3, '0')}{zone}"


def _time(value: str) -> str:
    """A time of day, perhaps with a zone: `12:34:56-00:30`."""
    for at in range(8, len(value)):
        if value[at] in "+-":
            return _millis_of_clock(value[:at]) + value[at:]
    return _millis_of_clock(value)


def _millis_of_clock(clock: str) -> str:
    whole, dot, fraction = clock.rpartition(".")
    return f"{whole if dot else clock}.{(fraction if dot else '').ljust(3, '0')}"


_SCALARS: dict[str, Formatter] = {
    "boolean": _boolean,
    "double": java_double,
    "real": java_double,
    "varbinary": _varbinary,
    "timestamp": _millis,
    "timestamp with time zone": _millis,
    "time": _time,
    "time with time zone": _time,
}

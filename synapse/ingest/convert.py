"""JSON values to exactly typed Arrow columns: fast for what is right, exact for the rest."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import orjson
import pyarrow as pa

from synapse.declarations import Column

_EPOCH = datetime(1970, 1, 1)
_EPOCH_DATE = date(1970, 1, 1)
# More digits than any integer column holds; Python refuses to read very long ones.
_DIGITS = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?")
_UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
# Whole numbers below this are milliseconds, else microseconds (nanoseconds above the second bound):
# 10^14 ms is the year 5138, 10^14 us the year 1973.
_MICROSECONDS_FROM = 10**14
_NANOSECONDS_FROM = 10**17
_BIGGEST_EXACT_FLOAT = 2**53


class UnconvertibleError(ValueError):
    """A value that does not fit its declared type without loss."""


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a declared column; timestamps are naive UTC microseconds."""
    if column.decimal:
        return pa.decimal128(*column.decimal)
    return {
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "varchar": pa.string(),
        "timestamp": pa.timestamp("us"),
        "date": pa.date32(),
        "boolean": pa.bool_(),
        "double": pa.float64(),
    }[column.data_type]


def canonical_json(value: Any) -> bytes:
    """Compact JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def convert(values: list[Any], column: Column) -> tuple[pa.Array, dict[int, str]]:
    """A column of values, and why those at some positions do not fit (they are NULL in it).

    Tries the whole column at once; only when that fails are the values looked at one by one.
    """
    kind = arrow_type(column)
    try:
        return _whole(values, column, kind), {}
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        pass
    exact: list[Any] = []
    wrong: dict[int, str] = {}
    convert_one = _converter(column)
    for position, value in enumerate(values):
        try:
            exact.append(None if value is None else convert_one(value))
        except UnconvertibleError as error:
            exact.append(None)
            wrong[position] = f"{column.name} is {_shown(value)}, which {error}"
    return pa.array(exact, type=kind), wrong


def _whole(values: list[Any], column: Column, kind: pa.DataType) -> pa.Array:
    if column.data_type == "timestamp":
        return pa.array(values, type=pa.string()).cast(_UTC_MICROSECONDS).cast(kind)
    if column.data_type in ("bigint", "integer"):
        numbers = [
            int(value)
            if value.__class__ is str and value.isascii() and value.isdecimal()
            else value
            for value in values
        ]
        # Arrow would take 1.0 and True for 1: only true integers go the fast way.
        if set(map(type, numbers)) <= {int, type(None)}:
            return pa.array(numbers, type=kind)
        raise TypeError
    if column.data_type == "varchar":
        return pa.array(values, type=kind)
    raise TypeError


def _converter(column: Column) -> Callable[[Any], Any]:
    if column.decimal:
        return lambda value: _decimal(value, *(column.decimal or (0, 0)))
    return {
        "bigint": lambda value: _integer(value, 63),
        "integer": lambda value: _integer(value, 31),
        "varchar": _text,
        "timestamp": _timestamp,
        "date": _date,
        "boolean": _boolean,
        "double": _double,
    }[column.data_type]


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def _integer(value: Any, bits: int) -> int:
    if (isinstance(value, str) and _DIGITS.fullmatch(value)) or isinstance(value, bool):
        number = int(value)
    elif isinstance(value, int):
        number = value
    elif isinstance(value, float) and value.is_integer() and abs(value) <= _BIGGEST_EXACT_FLOAT:
        number = int(value)
    else:
        raise UnconvertibleError("is no whole number")
    if not -(2**bits) <= number < 2**bits:
        raise UnconvertibleError(f"does not fit {bits + 1} bits")
    return number


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return canonical_json(value).decode()


def _timestamp(value: Any) -> datetime:
    """RFC 3339 with an offset, ISO 8601 without one (UTC), or a whole number since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnconvertibleError("is no moment")
    if isinstance(value, int):
        scale = (
            1000 if abs(value) < _MICROSECONDS_FROM else 1 if abs(value) < _NANOSECONDS_FROM else 0
        )
        microseconds = value * scale if scale else value // 1000
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError as error:
            raise UnconvertibleError("is no moment of the years 1 to 9999") from error
    try:
        moment = datetime.fromisoformat(value.strip().upper())
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise UnconvertibleError("is no moment in ISO 8601") from error


def _date(value: Any) -> date:
    if isinstance(value, int) and not isinstance(value, bool):
        # Debezium gives days since 1970; anything larger than the year 9999 is a timestamp.
        if abs(value) < 2_932_897:
            return _EPOCH_DATE + timedelta(days=value)
        value = _timestamp(value).isoformat()
    if not isinstance(value, str):
        raise UnconvertibleError("is no date")
    moment = _timestamp(value)
    if moment.time() != datetime.min.time():
        raise UnconvertibleError("has a time of day, which a date would lose")
    return moment.date()


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "t", "1", "false", "f", "0"):
        return value.lower() in ("true", "t", "1")
    raise UnconvertibleError("is neither true nor false")


def _decimal(value: Any, precision: int, scale: int) -> Decimal:
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise UnconvertibleError("is no decimal number")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise UnconvertibleError("is no decimal number") from error
    # With room for every digit: the usual context would round off those beyond 28.
    digits = number.normalize(Context(prec=max(len(text), 1))).as_tuple()
    exponent = int(digits.exponent)
    if -exponent > scale or len(digits.digits) + exponent > precision - scale:
        raise UnconvertibleError(f"does not fit decimal({precision},{scale}) without loss")
    return number


def _double(value: Any) -> float:
    if isinstance(value, bool):
        raise UnconvertibleError("is no number")
    if isinstance(value, int) and abs(value) > _BIGGEST_EXACT_FLOAT:
        raise UnconvertibleError("does not fit a double without loss")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise UnconvertibleError("is no number")
    if not isinstance(value, int | float | str):
        raise UnconvertibleError("is no number")
    number = float(value)
    if math.isinf(number):
        raise UnconvertibleError("is more than a double holds")
    return number

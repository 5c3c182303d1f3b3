"""Fast column builders: numpy arrays in, Arrow arrays out, nothing per row in Python."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_DECIMAL = pa.decimal128(6, 4)


def pool(values: Sequence[str]) -> pa.Array:
    """A lookup of texts that `take` picks from."""
    return pa.array(list(values), pa.string())


def take(values: pa.Array, codes: Codes) -> pa.Array:
    """Texts by code; a negative code is NULL."""
    return values.take(pa.array(codes, pa.int64(), mask=codes < 0))


def integers(values: Ints, null: Bools | None = None) -> pa.Array:
    """A bigint column."""
    return pa.array(values, pa.int64(), mask=null)


def timestamps(micros: Ints, null: Bools | None = None) -> pa.Array:
    """A timestamp(us) column without zone from microseconds since the epoch (UTC)."""
    return pa.array(micros, pa.int64(), mask=null).cast(pa.timestamp("us"))


def decimals(ten_thousandths: Ints, null: Bools | None = None) -> pa.Array:
    """A decimal(6,4) column from ten-thousandths, exact: no float is ever rounded twice."""
    words = np.empty((len(ten_thousandths), 2), dtype=np.int64)
    words[:, 0] = ten_thousandths
    words[:, 1] = ten_thousandths >> 63
    validity = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(_DECIMAL, len(words), [validity, pa.py_buffer(words)])


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """`count` NULLs of a type."""
    return pa.nulls(count, kind)


def fixed_width(matrix: Bytes) -> pa.Array:
    """A text column from an (n, width) matrix of ASCII bytes."""
    count, width = matrix.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    data = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data)


def join(*parts: pa.Array | str) -> pa.Array:
    """Texts concatenated row by row; a plain str repeats on every row."""
    return pc.binary_join_element_wise(*parts, "")


def text(values: Ints) -> pa.Array:
    """Integers as decimal text."""
    return pa.array(values, pa.int64()).cast(pa.string())


def padded(values: Ints, width: int) -> pa.Array:
    """Integers as decimal text with leading zeros."""
    return fixed_width(digits(values, width))


def digits(values: Ints, width: int) -> Bytes:
    """Decimal digits of non-negative integers as an (n, width) matrix of ASCII bytes."""
    out = np.empty((len(values), width), dtype=np.uint8)
    rest = values.copy()
    for column in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        out[:, column] = digit + 48
    return out


def hex_matrix(words: Words) -> Bytes:
    """16 lower-case hex digits for each 64-bit word."""
    octets = words.astype(">u8").view(np.uint8).reshape(len(words), 8)
    out = np.empty((len(words), 16), dtype=np.uint8)
    out[:, 0::2] = _HEX[octets >> 4]
    out[:, 1::2] = _HEX[octets & 15]
    return out


def uuids(high: Words, low: Words) -> pa.Array:
    """Text in the 8-4-4-4-12 form from two 64-bit words; sorts as (high, low) do."""
    digits_ = np.concatenate([hex_matrix(high), hex_matrix(low)], axis=1)
    out = np.full((len(high), 36), ord("-"), dtype=np.uint8)
    for source, target, length in ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)):
        out[:, target : target + length] = digits_[:, source : source + length]
    return fixed_width(out)


def scramble(values: Ints, salt: int) -> Words:
    """A bijective hash of integers (splitmix64's finaliser): distinct in, distinct out."""
    z = values.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def moment_matrix(micros: Ints, separator: str, fraction: int) -> Bytes:
    """'YYYY-MM-DD<separator>HH:MM:SS.f…' with `fraction` (3 or 6) decimals, as ASCII bytes."""
    days, rest = np.divmod(micros, 86_400_000_000)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month_number = months.astype(np.int64)
    seconds, fractions = np.divmod(rest, 1_000_000)
    if fraction == 3:
        fractions = fractions // 1_000
    minutes, second = np.divmod(seconds, 60)
    hour, minute = np.divmod(minutes, 60)
    out = np.empty((len(micros), 20 + fraction), dtype=np.uint8)
    parts: tuple[tuple[int, Ints, int], ...] = (
        (0, month_number // 12 + 1970, 4),
        (5, month_number % 12 + 1, 2),
        (8, (dates - months).astype(np.int64) + 1, 2),
        (11, hour, 2),
        (14, minute, 2),
        (17, second, 2),
        (20, fractions, fraction),
    )
    for at, values, width in parts:
        out[:, at : at + width] = digits(values, width)
    for at, mark in ((4, "-"), (7, "-"), (10, separator), (13, ":"), (16, ":"), (19, ".")):
        out[:, at] = ord(mark)
    return out


def moments(micros: Ints, separator: str, fraction: int) -> pa.Array:
    """`moment_matrix` as a text column."""
    return fixed_width(moment_matrix(micros, separator, fraction))


def numpy_of(column: Any) -> Any:
    """A column's values as numpy (no NULLs expected)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.to_numpy(zero_copy_only=False)

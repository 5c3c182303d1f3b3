"""Values and result files as Athena's clients read them."""

from __future__ import annotations

import base64
import csv
import io
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_local.bridge import results
from athena_local.bridge.errors import ApiError
from athena_local.bridge.values import column_info, formatter, java_double

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def signature(raw: str, *arguments: Any) -> dict[str, Any]:
    return {"rawType": raw, "arguments": [{"kind": "TYPE", "value": one} for one in arguments]}


@given(st.floats())
def test_a_double_is_read_back_exactly(value: float) -> None:
    text = java_double(value)
    assert struct.pack("d", float(text)) == struct.pack("d", value) or math.isnan(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (123456.789, "123456.789"),
        (9999999.0, "9999999.0"),
        (10000000.0, "1.0E7"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (-1.5e300, "-1.5E300"),
        ("Infinity", "Infinity"),
        ("NaN", "NaN"),
        (5e-324, "5.0E-324"),
    ],
)
def test_doubles_look_as_in_java(value: float | str, text: str) -> None:
    assert java_double(value) == text


@pytest.mark.parametrize(
    ("raw", "value", "text"),
    [
        ("timestamp", "2024-07-05 12:34:56", "2024-07-05 12:34:56.000"),
        ("timestamp", "2024-07-05 12:34:56.123456", "2024-07-05 12:34:56.123456"),
        (
            "timestamp with time zone",
            "2024-07-05 12:34:56.5 America/New_York",
            "2024-07-05 12:34:56.500 America/New_York",
        ),
        (
            "timestamp with time zone",
            "2024-07-05 12:34:56 -00:30",
            "2024-07-05 12:34:56.000 -00:30",
        ),
        ("time", "12:34:56", "12:34:56.000"),
        ("time with time zone", "12:34:56.789-00:30", "12:34:56.789-00:30"),
        ("boolean", True, "true"),
        ("decimal", "1.50", "1.50"),
        ("date", "2024-07-05", "2024-07-05"),
        ("json", '{"a": 1}', '{"a": 1}'),
    ],
)
def test_scalars(raw: str, value: Any, text: str) -> None:
    assert formatter(signature(raw))(value) == text


@given(st.binary(max_size=20))
def test_binary_is_read_back(value: bytes) -> None:
    text = formatter(signature("varbinary"))(base64.b64encode(value).decode())
    assert bytes.fromhex(text) == value


def test_nested_values_say_null() -> None:
    item = {"fieldName": {"name": "a"}, "typeSignature": signature("varchar")}
    nameless = {"typeSignature": signature("double")}
    row = signature("row", item, nameless)
    assert formatter(signature("array", row))([["x", None], None]) == ("[{a=x, field1=null}, null]")
    assert formatter(signature("map", signature("bigint"), signature("boolean")))(
        {"1": True, "2": None}
    ) == ("{1=true, 2=null}")


def test_columns_state_their_types() -> None:
    decimal = {"rawType": "decimal", "arguments": [{"value": 18}, {"value": 4}]}
    info = column_info("x", decimal)
    assert (info["Type"], info["Precision"], info["Scale"]) == ("decimal", 18, 4)
    assert column_info("x", signature("real"))["Type"] == "float"


COLUMNS = [
    {"name": "a", "typeSignature": {"rawType": "varchar", "arguments": [{"value": 2147483647}]}},
    {"name": "b", "typeSignature": {"rawType": "bigint"}},
]
ROWS = st.lists(
    st.tuples(st.one_of(st.none(), TEXTS), st.one_of(st.none(), st.integers())).map(list),
    max_size=12,
)


@given(ROWS, st.integers(1, 5))
def test_pages_hold_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]], size: int
) -> None:
    path = written(tmp_path_factory, rows)
    read: list[list[str | None]] = []
    token = None
    while True:
        page, token = results.page(path, token, size)
        assert len(page) <= size
        read += [[datum.get("VarCharValue") for datum in one["Data"]] for one in page]
        if token is None:
            break
    expected = [[a, None if b is None else str(b)] for a, b in rows]
    assert read == [["a", "b"], *expected]


@given(ROWS)
def test_the_file_tells_null_from_empty(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]]
) -> None:
    path = written(tmp_path_factory, rows)
    target = path.with_suffix(".csv")
    results.write_csv(path, target)
    text = target.read_bytes().decode()
    plain = list(csv.reader(io.StringIO(text, newline="")))
    assert plain == [["a", "b"], *([a or "", "" if b is None else str(b)] for a, b in rows)]
    for a, b in rows:
        assert results.csv_line([a, None if b is None else str(b)]) in text
    assert results.csv_line([None, ""]) == ',""\n'


def written(factory: pytest.TempPathFactory, rows: list[list[Any]]) -> Path:
    writer = results.ResultWriter(factory.mktemp("rows") / "q.ndjson")
    writer.header(COLUMNS)
    writer.take(COLUMNS, rows)
    writer.close()
    return writer.path


def test_a_foreign_page_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q.ndjson").write_bytes(b"[]\n")
    with pytest.raises(ApiError, match="NextToken"):
        results.page(tmp_path / "q.ndjson", "nonsense!", 10)


def test_metadata_is_protobuf() -> None:
    info = column_info("héllo", signature("bigint"))
    raw = results.metadata_file("id-1", [info])
    fields = dict(protobuf(raw))
    assert fields[2] == b"id-1"
    column = dict(protobuf(fields[4]))
    assert column[4] == "héllo".encode()
    assert column[6] == b"bigint"
    assert column[7] == 19


def protobuf(raw: bytes) -> list[tuple[int, Any]]:
    """Fields of a message, read as the wire format is documented."""
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        shift = value = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(raw):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        else:
            length = varint()
            found.append((key >> 3, raw[at : at + length]))
            at += length
    return found

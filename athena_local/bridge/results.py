"""A query's result: kept on disk for GetQueryResults, written to S3 as Athena writes it.

A SELECT leaves `<id>.csv` and `<id>.csv.metadata` at the output location, everything else
`<id>.txt`. In the CSV every value stands in quotes, NULL is nothing at all; so NULL and the empty
string stay apart.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from athena_local.bridge.errors import ApiError
from athena_local.bridge.trino_engine import Column, Row
from athena_local.bridge.values import Formatter, column_info, formatter

Values = Sequence[str | None]

PAGE_ROWS = 1000


class ResultWriter:
    """Takes rows as Trino sends them and keeps them as texts, one JSON array a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.column_info: list[dict[str, Any]] = []
        self.rows = 0
        self._formatters: list[Formatter] = []
        self._file: BinaryIO | None = None

    def take(self, columns: list[Column], rows: Iterable[Row]) -> None:
        """Add rows with Trino's types; the first batch writes the header line."""
        if not self._formatters:
            self.header(columns)
        out = self._open()
        for row in rows:
            texts = [
                None if value is None else write(value)
                for write, value in zip(self._formatters, row, strict=True)
            ]
            out.write(orjson.dumps(texts) + b"\n")
            self.rows += 1

    def header(self, columns: list[Column]) -> None:
        """Write the line of column names that opens the result of a SELECT."""
        self.column_info = [column_info(one["name"], one["typeSignature"]) for one in columns]
        self._formatters = [formatter(one["typeSignature"]) for one in columns]
        self._open().write(orjson.dumps([one["Name"] for one in self.column_info]) + b"\n")

    def lines(self, column_infos: list[dict[str, Any]], lines: Iterable[Values]) -> None:
        """Add rows that are texts already, without a header: SHOW, DESCRIBE, EXPLAIN."""
        self.column_info = column_infos
        out = self._open()
        for line in lines:
            out.write(orjson.dumps(list(line)) + b"\n")
            self.rows += 1

    def _open(self) -> BinaryIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
        return self._file

    def close(self) -> None:
        """End the file; a query without rows leaves an empty one."""
        self._open().close()


def page(path: Path, token: str | None, size: int) -> tuple[list[dict[str, Any]], str | None]:
    """One page of rows in the API's shape, and the token of the next page.

    Raises:
        ApiError: the token is none of ours.
    """
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows, None
    with path.open("rb") as file:
        file.seek(_offset(token))
        while len(rows) < size and (line := file.readline()):
            rows.append(
                {
                    "Data": [
                        {} if text is None else {"VarCharValue": text}
                        for text in orjson.loads(line)
                    ]
                }
            )
        at = file.tell()
        more = bool(file.readline())
    return rows, base64.b64encode(str(at).encode()).decode() if more else None


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(f"Invalid NextToken: {token}", athena_code="INVALID_INPUT") from None


def csv_line(values: Values) -> str:
    """One line of a result file."""
    return (
        ",".join("" if one is None else '"' + one.replace('"', '""') + '"' for one in values) + "\n"
    )


def write_csv(source: Path, target: Path) -> None:
    """Turn kept rows into the file that Athena leaves for a SELECT."""
    with source.open("rb") as rows, target.open("w", encoding="utf-8", newline="") as out:
        for line in rows:
            out.write(csv_line(orjson.loads(line)))


def write_text(source: Path, target: Path) -> None:
    """Turn kept rows into the text that Athena leaves for DDL and SHOW."""
    with source.open("rb") as rows, target.open("w", encoding="utf-8", newline="") as out:
        for line in rows:
            out.write("\t".join(one or "" for one in orjson.loads(line)) + "\n")


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def _field(number: int, value: str | int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def metadata_file(query_id: str, columns: list[dict[str, Any]]) -> bytes:
    """The `.metadata` beside a result: protobuf, one field 4 for each column.

    The field numbers are those that independent clients read (burtcorp/athena-jdbc).
    """
    out = _field(2, query_id)
    for column in columns:
        body = b"".join(
            (
                _field(1, column["CatalogName"]),
                _field(4, column["Name"]),
                _field(5, column["Label"]),
                _field(6, column["Type"]),
                _field(7, column["Precision"]),
                _field(8, column["Scale"]),
                _field(9, 3),
                _field(10, int(column["CaseSensitive"])),
            )
        )
        out += _field(4, body)
    return out

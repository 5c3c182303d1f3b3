"""A topic file's bytes to its records, whatever the sink's formatter made of them.

Accepted: one record a line; a JSON array; one pretty-printed object, or several one after another;
each of them gzipped. Byte ranges are those of the unzipped file. Files of more than WHOLE_BYTES are
read in pieces (see large.py).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import orjson

# A record file of Kafka Connect is some kilobytes: up to this size it is read at once.
WHOLE_BYTES = 8 * 1024 * 1024
# More than these in such a file are none of Kafka's: each would have fewer bytes than the least
# event. They are read in pieces, so that what is wrong with them does not fill memory.
MOST_RECORDS = 100_000
BOM = b"\xef\xbb\xbf"
_IDENTITY = re.compile(r"[+]([0-9]+)[+]([0-9]+)(?:[.][^/+\n]*)?$", re.MULTILINE)
_PARTITION_FOLDER = re.compile(r"/partition=([0-9]+)/")
_DECODER = json.JSONDecoder(strict=False)
_loads = orjson.loads
_CUT_OFF = "the array is cut off"


class UnreadableError(ValueError):
    """The file as a whole cannot be read; the message is a sentence."""


class LargeError(ValueError):
    """The file is too large to be read at once."""


def kafka_identity(path: str) -> tuple[int | None, int | None]:
    """Partition, and offset of the first record, as the path tells them.

    From <topic>+<partition>+<offset>.json, else the partition from a partition=N folder.
    """
    start = path.rfind("/")
    last = path.rfind("+")
    first = path.rfind("+", 0, max(last, 0))
    # Before the partition a topic must be named.
    if last > first > start:
        partition, offset = path[first + 1 : last], path[last + 1 :].split(".", 1)[0]
        if partition.isdecimal() and offset.isdecimal():
            return int(partition), int(offset)
    folder = _PARTITION_FOLDER.search(path)
    return int(folder[1]) if folder else None, None


def kafka_identities(paths: list[str]) -> tuple[list[int | None], list[int | None]]:
    """Partitions and offsets as kafka_identity tells them, of many paths in one go."""
    joined = "\n".join(paths)
    found = _IDENTITY.findall(joined)
    if len(found) == len(paths) == joined.count("\n") + 1:
        partitions, offsets = zip(*found, strict=True)
        return list(map(int, partitions)), list(map(int, offsets))
    pairs = [kafka_identity(path) for path in paths]
    return [partition for partition, _ in pairs], [offset for _, offset in pairs]


def unzip(data: bytes, limit: int = WHOLE_BYTES) -> bytes:
    """Gunzip in bounded memory. Raises UnreadableError for damage, LargeError above the limit."""
    stream = zlib.decompressobj(wbits=31)
    try:
        whole = stream.decompress(data, limit + 1)
        if stream.eof and stream.unused_data:
            # Several members, of which there may be a million: one after another, not each with a
            # copy of all that follow.
            with gzip.GzipFile(fileobj=BytesIO(data)) as members:
                whole = members.read(limit + 1)
        elif not stream.eof and data and len(whole) <= limit:
            raise EOFError
    except EOFError as error:
        raise UnreadableError("the gzip file is cut off") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"the gzip file is damaged: {error}") from error
    if len(whole) > limit:
        raise LargeError(f"the gzip file holds more than {limit:,} bytes")
    return whole


@dataclass
class Records:
    """The parsed records of a file or of a piece of it, in order.

    errors: position -> why that record is no JSON (its value is then None). form: lines, whole,
    array or stream. start: where in the file `data` begins.
    """

    data: bytes
    form: str
    values: list[Any]
    errors: dict[int, str] = field(default_factory=dict)
    start: int = 0

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Range [from, to) of each record in `data`; only worked out when one is refused."""
        if self.form == "whole":
            return [(0, len(self.data))]
        found = _line_spans(self.data) if self.form == "lines" else _scan(self.data)[0]
        # Arrays within the array have no range of their own: the file's then stands for each.
        if len(found) != len(self.values):
            return [(0, len(self.data))] * len(self.values)
        return found

    def raw(self, position: int) -> bytes:
        """The bytes of a record."""
        start, end = self.spans[position]
        return self.data[start:end]


def split(data: bytes) -> Records:
    """Cut a file into records and parse them; never raises for bad records.

    Raises LargeError for more than MOST_RECORDS, UnreadableError where they are no lines.
    """
    if data.startswith(b"{") and data.find(b"\n", 0, -1) < 0:
        try:
            # As a sink with flush.size=1 writes it.
            return Records(data, "lines", [_loads(data)])
        except orjson.JSONDecodeError:
            pass
    if data.startswith(BOM):
        data = data[len(BOM) :]
    lines = data.split(b"\n")
    if not data.lstrip().startswith(b"["):
        try:
            # Nearly every file: one record a line.
            records = Records(data, "lines", [_loads(line) for line in lines if line])
            _require_few(records.values)
            return records
        except orjson.JSONDecodeError:
            pass
    lines = [line for line in lines if line and not line.isspace()]
    if not lines:
        return Records(data, "lines", [])
    first = lines[0].lstrip()
    if not first.startswith(b"[") and parses(first):
        _require_few(lines)
        return from_lines(data, lines)
    try:
        whole = _loads(data)
    except orjson.JSONDecodeError:
        return _from_broken(data, lines)
    if isinstance(whole, list):
        _require_few(whole, is_lines=False)
        return Records(data, "array", whole)
    return Records(data, "whole", [whole])


def _require_few(records: list[Any], is_lines: bool = True) -> None:
    if len(records) > MOST_RECORDS:
        holds = f"the file holds more than {MOST_RECORDS:,} records"
        if is_lines:
            raise LargeError(holds)
        raise UnreadableError(
            f"{holds} in another form than one record a line, which cannot be read in pieces; set "
            "format.class to JsonFormat in the S3 sink"
        )


def parses(line: bytes) -> bool:
    """Whether a line is JSON."""
    try:
        _loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def from_lines(data: bytes, lines: list[bytes]) -> Records:
    """One record a line; lines that are no JSON are errors, blank ones must be left out."""
    loads = _loads
    try:
        return Records(data, "lines", [loads(line) for line in lines])
    except orjson.JSONDecodeError:
        records = Records(data, "lines", [])
    append = records.values.append
    for line in lines:
        try:
            append(loads(line))
        except orjson.JSONDecodeError as error:
            records.errors[len(records.values)] = f"the record is no JSON: {error}"
            append(None)
    return records


def _from_broken(data: bytes, lines: list[bytes]) -> Records:
    """Neither lines from the start nor one document: some record is broken; save the others."""
    if any(line.lstrip().startswith(b"{") and parses(line) for line in lines):
        _require_few(lines)
        return from_lines(data, lines)
    spans, rest = _scan(data)
    _require_few(spans, is_lines=False)
    records = Records(data, "stream", [])
    for position, (start, end) in enumerate(spans):
        try:
            records.values.append(_loads(data[start:end]))
        except orjson.JSONDecodeError as error:
            records.errors[position] = f"the record is no JSON: {error}"
            records.values.append(None)
    if not spans:
        records.values.append(None)
        records.errors[0] = "the file is no JSON of records: it holds brackets only"
    elif rest and (rest is _CUT_OFF or len(spans) - 1 not in records.errors):
        records.errors[len(spans) - 1] = f"the file is no JSON from byte {spans[-1][0]} on: {rest}"
    return records


def _line_spans(data: bytes) -> list[tuple[int, int]]:
    spans, start = [], 0
    for line in data.split(b"\n"):
        if line and not line.isspace():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _scan(data: bytes) -> tuple[list[tuple[int, int]], str]:
    """Ranges of the values of an array, or of values one after another.

    The text says what is wrong with the last one, '' when nothing is.
    Read as latin-1, in which a character is a byte: what gives JSON its structure is ASCII.
    """
    text = data.decode("latin-1")
    spans: list[tuple[int, int]] = []
    position = end = is_open = 0
    while True:
        while position < len(text) and text[position] in " \t\r\n,[]":
            is_open += {"[": 1, "]": -1}.get(text[position], 0)
            position += 1
        if position == len(text):
            if is_open <= 0:
                return spans, ""
            # What followed is lost: it stands for one record at least.
            spans.append((min(end, len(text) - 1), len(text)))
            return spans, _CUT_OFF
        try:
            _, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:  # ValueError: more digits than Python reads
            spans.append((position, len(text)))
            return spans, str(error)
        spans.append((position, end))
        position = end

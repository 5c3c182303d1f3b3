"""Files too large to be read at once, in bounded memory: one record a line, read in pieces.

Read twice: first to know their bytes and whether they are sound, then for their records. So a file
that turns out to be cut off is refused as a whole before any of its records is accepted.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from synapse.ingest.records import BOM, WHOLE_BYTES, Records, UnreadableError, from_lines, parses

# More than any record: Kafka takes 1 MB unless told otherwise.
RECORD_BYTES = WHOLE_BYTES
# What a file may hold unzipped: far more than a sink writes, and the end of a zip bomb.
FILE_BYTES = 2 * 1024 * 1024 * 1024
_PIECE = 4 * 1024 * 1024
_LINES_TRIED = 100  # a few may be broken
_LINES_AT_ONCE = 10_000


@dataclass(frozen=True)
class TooLong:
    """A record that is longer than RECORD_BYTES: its range [start, end) in the unzipped file."""

    start: int
    end: int


def examine(path: Path) -> int:
    """How many bytes the file holds unzipped.

    Raises UnreadableError when it is damaged, too large, or not one record a line.
    """
    size = 0
    beginning = b""
    try:
        with _opened(path) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                if size > FILE_BYTES:
                    raise UnreadableError(f"the file holds more than {FILE_BYTES:,} bytes unzipped")
                if len(beginning) <= WHOLE_BYTES:
                    beginning += piece
    except EOFError as error:
        raise UnreadableError("the gzip file is cut off") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"the gzip file is damaged: {error}") from error
    if not _is_lines(beginning):
        raise UnreadableError(
            f"the file is JSON of more than {WHOLE_BYTES:,} bytes in another form than one "
            "record a line, which cannot be read in pieces; set format.class to JsonFormat in the "
            "S3 sink"
        )
    return size


def _is_lines(beginning: bytes) -> bool:
    """Whether some line is a record, or a line is so long that it must be one."""
    lines = beginning.removeprefix(BOM).split(b"\n")
    if not beginning.strip():
        return True
    if len(lines) == 1:
        return not lines[0].lstrip().startswith(b"[")
    return any(parses(line) and line.strip()[:1] == b"{" for line in lines[:_LINES_TRIED])


def pieces(path: Path) -> Iterator[Records | TooLong]:
    """The file's records, some thousand at a time, in order."""
    start = 0
    for data, skipped in _whole_lines(path):
        if skipped:
            yield TooLong(start, start + skipped)
        else:
            text = data.removeprefix(BOM) if start == 0 else data
            yield from _records(text, start + len(data) - len(text))
        start += skipped or len(data)


def _records(text: bytes, start: int) -> Iterator[Records]:
    """The records of whole lines that begin at `start`; short ones not all at once."""
    every = text.split(b"\n")
    for first in range(0, len(every), _LINES_AT_ONCE):
        some = every[first : first + _LINES_AT_ONCE]
        data = text if len(some) == len(every) else b"\n".join(some)
        lines = [line for line in some if line and not line.isspace()]
        if lines:
            records = from_lines(data, lines)
            records.start = start
            yield records
        start += len(data) + 1


def _whole_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Whole lines, or how many bytes one line has that is too long."""
    with _opened(path) as stream:
        rest = b""
        while piece := stream.read(_PIECE):
            rest += piece
            end = rest.rfind(b"\n") + 1
            if end:
                yield rest[:end], 0
                rest = rest[end:]
            if len(rest) > RECORD_BYTES:
                skipped, rest = _skip_line(stream, len(rest))
                yield b"", skipped
        if rest:
            yield rest, 0


def _skip_line(stream: BinaryIO, skipped: int) -> tuple[int, bytes]:
    while piece := stream.read(_PIECE):
        end = piece.find(b"\n")
        if end >= 0:
            return skipped + end + 1, piece[end + 1 :]
        skipped += len(piece)
    return skipped, b""


def _opened(path: Path) -> BinaryIO:
    if path.name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")

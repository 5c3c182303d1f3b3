"""Bombs, a record of a gigabyte, a footer as large as its file: memory is bounded.

What these hold is far more than the process may have. All are measured in a process of their own,
whose imports alone take 150 MB.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from synapse.ingest.files import sha256_of
from synapse.ingest.quarantine import entries
from synapse_tests.hostile_lake import (
    EVENT_SOURCE,
    GOOD,
    TABLE_FILE,
    TOPIC_FILE,
    assert_neighbours,
    hostile_lake,
)
from synapse_tests.ingest_child import ingest_in_child
from synapse_tests.ingest_lake import (
    EVENTS,
    REFUNDS,
    Lake,
    event,
    lines,
)
from synapse_tests.lakes import is_full_proof


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return hostile_lake(tmp_path)


PEAK_MB = 600
GIGABYTE = 1024**3


def zipped(path: Path, head: bytes, unit: bytes, times: int, tail: bytes = b"") -> Path:
    """One gzip member of head + unit * times + tail, written without ever holding it."""

    def deflated(data: bytes, end: int = zlib.Z_FULL_FLUSH) -> bytes:
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        return stream.compress(data) + stream.flush(end)

    path.parent.mkdir(parents=True, exist_ok=True)
    crc, size = zlib.crc32(head), len(head) + len(unit) * times + len(tail)
    # A reader that is bounded never comes to the end of a bomb: its checksum may be any.
    if size < 2 * GIGABYTE:
        for _ in range(times):
            crc = zlib.crc32(unit, crc)
        crc = zlib.crc32(tail, crc)
    block = deflated(unit)
    with path.open("wb") as file:
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(head))
        for _ in range(times):
            file.write(block)
        file.write(deflated(tail, zlib.Z_FINISH) + struct.pack("<II", crc, size % 2**32))
    return path


MB = 1024**2
HUGE = 10 * 1024  # MB: no reader goes beyond the bound of 2 GB
BOMBS: dict[str, tuple[bytes, bytes, int, bytes]] = {
    # name: head, unit, times, tail
    "of one byte value": (b"", b"0" * 16 * MB, HUGE // 16, b""),
    "of newlines": (b"", b"\n" * 16 * MB, HUGE // 16, b""),
    "of brackets": (b"", b"[" * 16 * MB, HUGE // 16, b""),
    "of records": (b"", (lines([event(1)]) + b"\n") * 80_000, HUGE // 12, b""),
    "of an array": (b"[{}", b",{}" * 5 * MB, HUGE // 15, b"]"),
}


@pytest.mark.parametrize("name", BOMBS if is_full_proof() else ["of one byte value", "of brackets"])
def test_a_zip_bomb_is_bounded_and_quarantined_whole(lake: Lake, name: str) -> None:
    is_debezium = name == "of brackets"
    path = f"{REFUNDS}/cdc.shop.refunds+0+0000000000.json" if is_debezium else TOPIC_FILE
    file = zipped(lake.root / f"{path}.gz", *BOMBS[name])
    report = ingest_in_child(lake)
    assert report.peak_mb < PEAK_MB
    (entry,) = entries(lake.settings)
    assert "2,147,483,648 bytes unzipped" in entry.sentence
    assert (lake.root / "quarantine" / "files" / sha256_of(file)).exists()
    assert_neighbours(lake)


FEW = MB // 8
SMALL_BOMBS: dict[str, tuple[bytes, bytes, int, bytes]] = {
    "of newlines": (b"", b"\n" * MB, 16, lines([event(1)])),
    "of scalars": (lines([event(1)]) + b"\n", b"1\n" * MB, 4, b""),
    "of more scalars": (lines([event(1)]) + b"\n", b"1\n" * MB, 50, b""),
    "of empty objects": (lines([event(1)]) + b"\n", b"{}\n" * MB, 50, b""),
    "of broken records": (lines([event(1)]) + b"\n", b"{\n" * MB, 50, b""),
    "of empty objects in an array": (b"[{}", b",{}" * MB, 2, b"]"),
    "of scalars after one another": (b"\n [1]", b" [1]" * FEW, 15, b"x"),
    "of records": (b"", (lines([event(1)]) + b"\n") * 6_000, 200 if is_full_proof() else 20, b""),
}


IN_CI = ("of newlines", "of scalars", "of empty objects in an array")


@pytest.mark.parametrize("name", SMALL_BOMBS if is_full_proof() else IN_CI)
def test_a_zip_bomb_within_the_bounds_takes_no_more_memory(lake: Lake, name: str) -> None:
    zipped(lake.root / f"{TOPIC_FILE}.gz", *SMALL_BOMBS[name])
    report = ingest_in_child(lake)
    assert report.peak_mb < PEAK_MB
    counts = report.sources[EVENT_SOURCE]
    assert counts["quarantined"] < 150_000
    assert bool(counts["quarantined"]) == (name not in ("of newlines", "of records"))
    assert_neighbours(lake)
    before = lake.rows(EVENT_SOURCE, "count(*)")
    (lake.root / "state.db").unlink()
    again = ingest_in_child(lake)
    assert again.sources[EVENT_SOURCE] == counts, "a lost ledger counts otherwise"
    assert lake.rows(EVENT_SOURCE, "count(*)") == before


def test_many_zip_bombs_in_one_folder_take_no_more_memory(lake: Lake) -> None:
    bomb = zipped(lake.root / f"{TOPIC_FILE}.gz", b"", (lines([event(1)]) + b"\n") * 6_000, 8)
    number = 60 if is_full_proof() else 10
    for offset in range(1, number):
        lake.land_copy(bomb, Path(f"{EVENTS}/app-events+7+{offset:010d}.json.gz"))
    report = ingest_in_child(lake)
    assert report.peak_mb < PEAK_MB
    assert report.sources[EVENT_SOURCE]["accepted"] == number * 8 * 6_000 + 2


def test_a_million_gzip_members_cost_no_more_than_their_bytes(lake: Lake) -> None:
    empty = gzip.compress(b"", mtime=0)
    file = lake.root / f"{TOPIC_FILE}.gz"
    file.write_bytes(empty * 100_000 + gzip.compress(GOOD) + empty)
    report = ingest_in_child(lake, timeout=60)
    assert report.sources[EVENT_SOURCE]["accepted"] == 2 + 2
    assert_neighbours(lake)


def test_a_gzip_file_within_a_gzip_file_is_no_record(lake: Lake) -> None:
    lake.land(f"{TOPIC_FILE}.gz", gzip.compress(gzip.compress(bytes(100 * MB))))
    assert lake.ingest().sources[EVENT_SOURCE].quarantined == 1
    assert_neighbours(lake)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("place", ["alone", "first", "between", "last"])
def test_a_record_of_a_gigabyte_is_quarantined(lake: Lake, place: str, suffix: str) -> None:
    before = {"between": lines([event(1)]) + b"\n", "last": lines([event(1)]) + b"\n"}.get(
        place, b""
    )
    after = {"between": b"\n" + lines([event(2)]), "first": b"\n" + lines([event(1)])}.get(
        place, b""
    )
    head, tail = b'{"event_id":"', b'"}'
    path = lake.root / f"{TOPIC_FILE}{suffix}"
    size = GIGABYTE if is_full_proof() or place == "between" else GIGABYTE // 16
    if suffix:
        zipped(path, before + head, bytes(16 * MB), size // 16 // MB, tail + after)
    else:
        with path.open("wb") as file:
            file.write(before + head)
            file.seek(size, os.SEEK_CUR)  # a hole: nothing is written to the disk
            file.write(tail + after)
    report = ingest_in_child(lake)
    assert report.peak_mb < PEAK_MB
    counts = report.sources[EVENT_SOURCE]
    good = {"alone": 0, "between": 2}.get(place, 1)
    assert (counts["accepted"], counts["quarantined"]) == (2 + good, 1)
    (entry,) = entries(lake.settings)
    assert f"{size + len(head + tail):,} bytes" in entry.sentence or place in ("first", "between")
    assert entry.byte_start == len(before)
    assert (lake.root / "quarantine" / "files" / entry.sha256).stat().st_size == path.stat().st_size
    assert_neighbours(lake)


def test_a_footer_of_parquet_as_large_as_the_file_is_bounded(lake: Lake) -> None:
    columns = 100_000 if is_full_proof() else 5_000
    one = pa.array([1], pa.int64())
    table = pa.table({f"column {number}": one for number in range(columns)})
    pa.parquet.write_table(table, lake.root / TABLE_FILE)
    report = ingest_in_child(lake)
    assert report.peak_mb < PEAK_MB
    (entry,) = entries(lake.settings)
    assert entry.rule == "key_present"
    assert len(entry.sentence) < 1_000
    assert_neighbours(lake)

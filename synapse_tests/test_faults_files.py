"""Broken and hostile files of bronze: refused with a sentence or read, and no other's harm.

Whatever lands, the neighbours are accepted, the accounting identity holds, the bytes are kept, and
silver can read all that was accepted.
"""

from __future__ import annotations

import gzip
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synapse.ingest.files import sha256_of
from synapse.ingest.model import Counts
from synapse.ingest.quarantine import entries, show
from synapse_tests.ingest_child import ingest_in_child
from synapse_tests.ingest_lake import (
    CHANGES,
    EVENTS,
    ORDERS,
    SOURCE,
    Lake,
    change,
    event,
    lines,
    new_lake,
)
from synapse_tests.lakes import is_full_proof

EVENT_SOURCE = "kconnect.app-events"
DAY = f"{ORDERS}/2026/03/01"
TOPIC_FILE = f"{EVENTS}/app-events+7+0000000000.json"
TABLE_FILE = f"{DAY}/20260301-000000001.parquet"
DAMAGES = 400 if is_full_proof() else 60


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with sound neighbours: an event and a change."""
    lake = new_lake(tmp_path)
    lake.land(f"{EVENTS}/app-events+8+0000000000.json", lines([event(900)]))
    lake.land(f"{EVENTS}/app-events+1+0000000000.json", lines([event(901)]))
    lake.land_rows(f"{DAY}/20260301-000000000.parquet", [change(900, 900)])
    lake.land_rows(f"{DAY}/20260301-000000009.parquet", [change(901, 901)])
    return lake


def assert_neighbours(lake: Lake) -> None:
    """They are read, and so is all else that was accepted."""
    events = [row[0] for row in lake.rows(EVENT_SOURCE)]
    assert {"e900", "e901"} <= set(events)
    assert {900, 901} <= {row[0] for row in lake.rows(SOURCE, "order_id, *")}


def with_properties(value: bytes) -> bytes:
    return (
        b'{"event_id":"bad","event_name":"x","occurred_at":"2026-03-01T00:00:00Z","properties":'
        + value
        + b"}"
    )


def nested(depth: int) -> bytes:
    return with_properties(b'{"a":' * depth + b"1" + b"}" * depth)


def with_user(value: bytes) -> bytes:
    return with_properties(b'{},"user_id":' + value)


def pretty(record: bytes) -> bytes:
    return record.replace(b'{"event_id"', b'{\n  "event_id"')


DIGITS = b"7" * 1_000_000
GOOD = lines([event(1), event(2)])

RECORDS: dict[str, tuple[bytes, int, int, str]] = {
    # name: bytes of the file, accepted, quarantined, what the sentence says
    "100,000 brackets in a record": (lines([event(1), nested(100_000), event(2)]), 2, 1, "no JSON"),
    "1,000 brackets in a record": (lines([event(1), nested(1_000), event(2)]), 2, 1, "nested"),
    "300 brackets in a record": (lines([event(1), nested(300), event(2)]), 2, 1, "nested"),
    "200 brackets in a record": (lines([event(1), nested(200), event(2)]), 3, 0, ""),
    "100,000 opening brackets": (b"[" * 100_000, 0, 1, "no JSON"),
    "100,000 brackets, closed": (b"[" * 100_000 + b"]" * 100_000, 0, 1, "no JSON"),
    "100,000 braces": (b'{"a":' * 100_000, 0, 1, "no JSON"),
    "an array cut off between records": (b"[" + GOOD.replace(b"\n", b","), 2, 1, "cut off"),
    "an array cut off within a record": (b"[" + GOOD.replace(b"\n", b",")[:-5], 1, 1, "no JSON"),
    "a number of a million digits": (lines([event(1), with_user(DIGITS)]), 1, 1, "no JSON"),
    "such a number, pretty-printed": (pretty(with_user(DIGITS)), 0, 1, "no JSON"),
    "5,000 digits, pretty-printed": (pretty(with_user(DIGITS[:5_000])), 0, 1, "no JSON"),
    "300 digits": (lines([event(1), with_user(DIGITS[:300])]), 1, 1, "user_id"),
    "300 digits in properties": (
        lines([event(1), with_properties(b'{"n":%s}' % DIGITS[:300])]), 2, 0, "",
    ),
    "a million digits as text": (lines([event(1), with_user(b'"%s"' % DIGITS)]), 1, 1, "user_id"),
    "an exponent beyond floats": (lines([event(1), with_user(b"1e400")]), 1, 1, "user_id|no JSON"),
    "invalid UTF-8": (lines([event(1), with_properties(b'{"a":"\xff\xfe"}')]), 1, 1, "no JSON"),
    "UTF-16": (GOOD.decode().encode("utf-16"), 0, 1, "no JSON"),
    "NUL bytes in a string": (lines([event(1), with_properties(b'{"a":"\0"}')]), 1, 1, "no JSON"),
    "NUL bytes only": (bytes(5_000), 0, 1, "no JSON"),
    "NUL bytes at the end": (GOOD + b"\n" + bytes(5_000), 2, 1, "no JSON"),
    "an escaped NUL": (lines([event(1), event(2, event_name="a\0b")]), 2, 0, ""),
    "a lone surrogate": (lines([event(1), with_properties(b'{"a":"\\ud800"}')]), 1, 1, "no JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, 2, 0, ""),
    "CRLF lines": (GOOD.replace(b"\n", b"\r\n") + b"\r\n", 2, 0, ""),
    "nothing": (b"", 0, 0, ""),
    "blanks only": (b" \n\t\r\n  \n", 0, 0, ""),
    "scalars": (b'1\n"x"\ntrue\n', 0, 3, "object"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_hostile_record_is_refused_alone(lake: Lake, name: str, suffix: str) -> None:
    data, accepted, quarantined, says = RECORDS[name]
    lake.land(TOPIC_FILE + suffix, data)
    counts = lake.ingest().sources[EVENT_SOURCE]
    assert (counts.accepted - 2, counts.quarantined) == (accepted, quarantined)
    assert_neighbours(lake)
    refused = entries(lake.settings)
    assert len(refused) == quarantined
    for entry in refused:
        assert any(word in entry.sentence for word in says.split("|")), entry.sentence
        assert len(entry.sentence) < 1_000
        shown = show(lake.settings, entry.id)
        assert shown.raw_file or shown.payload in data
    assert lake.ingest().files == 0


ENVELOPES: dict[str, dict[str, Any]] = {
    "a commit time beyond the calendar": {"source": {"ts_ms": 10**18, "lsn": 5}},
    "a position of too many digits": {"source": {"ts_ms": 1, "file": "b" + "9" * 5_000, "pos": 1}},
    "a position that is no whole number": {"source": {"ts_ms": 1, "lsn": 1e30}},
    "a decimal that is no BASE64": {"after": {"order_id": 1, "amount": "%"}},
    "a decimal of a thousand digits": {"after": {"order_id": 1, "amount": "9" * 1_000}},
    "a double beyond doubles": {"after": {"order_id": 1, "weight": "1e400"}},
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_hostile_envelope_is_refused_alone(lake: Lake, name: str) -> None:
    sound = {
        "op": "c",
        "after": {"order_id": 1, "label": "x"},
        "source": {"ts_ms": 1772323200000, "lsn": 5},
    }
    decimal = {
        "name": "org.apache.kafka.connect.data.Decimal",
        "field": "amount",
        "parameters": {"scale": "2"},
    }
    schema = {"fields": [{"field": "after", "fields": [decimal]}]}
    bad = {"schema": schema, "payload": sound | ENVELOPES[name]}
    lake.land(f"{CHANGES}/cdc.shop.orders+0+0000000000.json", lines([sound, bad, sound]))
    counts = lake.ingest().sources[SOURCE]
    assert (counts.accepted, counts.quarantined) == (2 + 2, 1)
    assert_neighbours(lake)


@pytest.mark.parametrize("amount", ["0.12" + "0" * 30 + "1", "1e400", "1e-9999999999999999999"])
def test_a_hostile_decimal_is_refused_alone(lake: Lake, amount: str) -> None:
    def envelope(key: int, value: str) -> dict[str, Any]:
        source = {"ts_ms": 1772323200000, "lsn": key}
        return {"op": "c", "after": {"order_id": key, "amount": value}, "source": source}

    data = lines([envelope(1, "0.12"), envelope(2, amount)])
    lake.land(f"{CHANGES}/cdc.shop.orders+0+0000000000.json", data)
    counts = lake.ingest().sources[SOURCE]
    assert (counts.accepted, counts.quarantined) == (1 + 2, 1)
    assert_neighbours(lake)


NAMES = [
    'it\'s a "name"',
    "new\nline",
    "tab\tand space",
    "olá-ação-日本-🙂",
    "100%-%41%2F",
    "st*r",
    "wh?t",
    "br[a]cket",
    "cur{l,y}",
    "back\\slash",
    "semi;colon--",
    "$(touch x)`y`",
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_file_name_harms_nobody(lake: Lake, name: str) -> None:
    lake.land(f"{EVENTS}/{name}.json", lines([event(1), b"{"]))
    lake.land_rows(f"{DAY}/{name}.parquet", [change(1, 1), change(2, op="X")])
    lake.land_rows(f"{DAY}/{name} 2.parquet", [change(3, 3)])
    report = lake.ingest()
    assert report.sources[EVENT_SOURCE] == Counts(landed=4, accepted=3, quarantined=1, files=3)
    assert report.sources[SOURCE] == Counts(landed=5, accepted=4, quarantined=1, files=4)
    assert_neighbours(lake)
    assert {row[0] for row in lake.rows(SOURCE, "order_id")} == {1, 3, 900, 901}
    assert len(lake.rows(SOURCE)) == 4
    assert lake.ingest().files == 0


def test_a_file_name_that_is_no_text_is_told_and_harms_nobody(lake: Lake) -> None:
    name = os.fsencode(lake.root / EVENTS) + b"/bad\xff.json"
    with open(name, "wb") as file:  # noqa: PTH123 - a Path cannot be made of these bytes
        file.write(GOOD)
    report = lake.ingest()
    assert any("bad\\xff.json" in notice for notice in report.notices), report.notices
    assert_neighbours(lake)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Path.mkdir, id="directory"),
        pytest.param(link("nothing-there"), id="broken symlink"),
        pytest.param(link("."), id="symlink to its folder"),
        pytest.param(link("../.."), id="symlink upwards"),
        pytest.param(os.mkfifo, id="pipe"),
    ],
)
@pytest.mark.parametrize("path", [TOPIC_FILE, TABLE_FILE])
def test_what_is_no_file_is_passed_over(
    lake: Lake, make: Callable[[Path], None], path: str
) -> None:
    make(lake.root / path)
    report = lake.ingest()
    assert (report.landed, report.accepted, report.files) == (4, 4, 4)
    assert_neighbours(lake)


def test_a_symlink_to_itself_is_passed_over(lake: Lake) -> None:
    for path in (TOPIC_FILE, TABLE_FILE):
        (lake.root / path).symlink_to(Path(path).name)
    assert lake.ingest().accepted == 4
    assert_neighbours(lake)


def sound_parquet(lake: Lake) -> bytes:
    rows = [change(number, number, label=f"label {number} " * 20) for number in range(1, 60)]
    file = lake.land_rows(TABLE_FILE, rows)
    return file.read_bytes()


@pytest.mark.parametrize("end", ["magic", "footer", "length", "page", "start", "zeros"])
def test_a_truncated_parquet_file_is_quarantined_whole(lake: Lake, end: str) -> None:
    data = sound_parquet(lake)
    footer = int.from_bytes(data[-8:-4], "little")
    cut = {
        "magic": data[:-1],
        "length": data[:-8],
        "footer": data[: -8 - footer // 2],
        "page": data[: len(data) // 3],
        "start": data[:4],
        "zeros": data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    }[end]
    file = lake.land(TABLE_FILE, cut)
    counts = lake.ingest().sources[SOURCE]
    assert (counts.accepted, counts.quarantined) == (2, 1)
    (entry,) = entries(lake.settings)
    assert "Parquet file cannot be read" in entry.sentence
    kept = lake.root / "quarantine" / "files" / sha256_of(file)
    assert kept.read_bytes() == cut
    assert_neighbours(lake)


def test_damage_anywhere_in_a_parquet_file_harms_nobody(lake: Lake) -> None:
    """Seeded damage: whatever is accepted can be read by silver, in every declared column."""
    data = sound_parquet(lake)
    (lake.root / TABLE_FILE).unlink()
    random_source = random.Random(4)
    for number in range(DAMAGES):
        damaged = bytearray(data)
        for _ in range(random_source.choice((1, 1, 3, 30))):
            place = random_source.randrange(4, len(data) - 8)
            width = random_source.choice((1, 1, 4, 64))
            damaged[place : place + width] = random_source.randbytes(width)
        del damaged[len(data) :]
        lake.land(f"{DAY}/20260302-0000{number:05d}.parquet", bytes(damaged))
    counts = lake.ingest().sources[SOURCE]
    assert counts.files == DAMAGES + 2
    assert counts.quarantined, "no damage was done"
    assert_neighbours(lake)


def test_parquet_without_rows_is_accepted(lake: Lake) -> None:
    lake.land_rows(
        TABLE_FILE,
        [change(1)],
    )
    table = pa.parquet.read_table(lake.root / TABLE_FILE)
    pa.parquet.write_table(table.slice(0, 0), lake.root / TABLE_FILE)
    counts = lake.ingest().sources[SOURCE]
    assert (counts.files, counts.accepted, counts.quarantined) == (3, 2, 0)
    assert_neighbours(lake)


# Memory: what these hold is far more than the process may have. All are measured in a process of
# their own, whose imports alone take 150 MB.
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
    path = f"{CHANGES}/cdc.shop.orders+0+0000000000.json" if is_debezium else TOPIC_FILE
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

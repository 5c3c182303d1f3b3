"""Broken and hostile files of bronze: refused with a sentence or read, and no other's harm.

Whatever lands, the neighbours are accepted, the accounting identity holds, the bytes are kept, and
silver can read all that was accepted.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synapse.declarations import Column, Topic
from synapse.ingest.files import sha256_of
from synapse.ingest.model import BronzeFile, Counts
from synapse.ingest.quarantine import entries, show
from synapse.ingest.readers import Readers
from synapse.ingest.reading import ReadJob
from synapse.lake import LocalLake
from synapse_tests.hostile_lake import (
    DAY,
    EVENT_SOURCE,
    GOOD,
    TABLE_FILE,
    TOPIC_FILE,
    assert_neighbours,
    hostile_lake,
)
from synapse_tests.ingest_lake import (
    EVENTS,
    REFUNDS,
    REFUNDS_SOURCE,
    SOURCE,
    Lake,
    change,
    event,
    lines,
)
from synapse_tests.lakes import is_full_proof

DAMAGES = 400 if is_full_proof() else 60


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return hostile_lake(tmp_path)


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
    lake.land(f"{REFUNDS}/cdc.shop.refunds+0+0000000000.json", lines([sound, bad, sound]))
    counts = lake.ingest().sources[REFUNDS_SOURCE]
    assert (counts.accepted, counts.quarantined) == (2, 1)
    assert_neighbours(lake)


@pytest.mark.parametrize("amount", ["0.12" + "0" * 30 + "1", "1e400", "1e-9999999999999999999"])
def test_a_hostile_decimal_is_refused_alone(lake: Lake, amount: str) -> None:
    def envelope(key: int, value: str) -> dict[str, Any]:
        source = {"ts_ms": 1772323200000, "lsn": key}
        return {"op": "c", "after": {"order_id": key, "amount": value}, "source": source}

    data = lines([envelope(1, "0.12"), envelope(2, amount)])
    lake.land(f"{REFUNDS}/cdc.shop.refunds+0+0000000000.json", data)
    counts = lake.ingest().sources[REFUNDS_SOURCE]
    assert (counts.accepted, counts.quarantined) == (1, 1)
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


def test_what_a_reader_process_raises_is_raised_in_the_ingest(tmp_path: Path) -> None:
    # Large enough that the job is handed to the other process.
    gone = BronzeFile("bronze/gone.json", 5 * 1024 * 1024, "1")
    columns = Column("event_id", "varchar"), Column("occurred_at", "timestamp")
    job = ReadJob(LocalLake(tmp_path), Topic("app-events", "app_events", columns), [gone])
    with Readers(2) as readers, pytest.raises(FileNotFoundError, match=r"gone[.]json"):
        list(readers.read([job]))

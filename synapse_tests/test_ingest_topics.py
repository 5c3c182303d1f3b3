"""Topic files: every form the sink writes, exact conversion, what is refused, redelivery."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.declarations import Column
from synapse.ingest.convert import convert
from synapse.ingest.quarantine import entries, show
from synapse.ingest.records import LargeError, kafka_identities, kafka_identity, split, unzip
from synapse_tests.ingest_lake import DOCUMENTS, EVENTS, Lake, event, lines, new_lake

FILE = f"{EVENTS}/app-events+3+0000000100.json"
EVENT_SOURCE = "kconnect.app-events"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


FORMS = {
    "lines": lines([event(1), event(2)]),
    "lines with blank ones and carriage returns": lines([event(1), b"\r", event(2), b""]) + b"\r\n",
    "byte order mark": b"\xef\xbb\xbf" + lines([event(1), event(2)]),
    "array": orjson.dumps([event(1), event(2)]),
    "pretty array": json.dumps([event(1), event(2)], indent=2).encode(),
    "pretty objects": b"\n".join(json.dumps(event(n), indent=2).encode() for n in (1, 2)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_form_of_the_sink_gives_the_same_rows(lake: Lake, form: str, suffix: str) -> None:
    lake.land(FILE + suffix, FORMS[form])
    assert lake.ingest().accepted == 2
    columns = "event_id, user_id, occurred_at, _kafka_partition, _kafka_offset, _source_line"
    assert lake.rows(EVENT_SOURCE, columns) == [
        ("e1", 1, datetime(2026, 3, 1, 0, 0, 1), 3, 100, 1),
        ("e2", 2, datetime(2026, 3, 1, 0, 0, 2), 3, 101, 2),
    ]


def test_one_pretty_printed_object_is_one_record(lake: Lake) -> None:
    lake.land(FILE, json.dumps(event(1), indent=4).encode())
    assert lake.ingest().accepted == 1


def test_values_are_converted_without_loss(lake: Lake) -> None:
    big = 2**53 + 1
    records = [
        event(1, user_id=big, occurred_at="2026-02-28T22:30:00.123456-03:00"),
        event(2, user_id=str(2**63 - 1), occurred_at="2026-03-01T12:00:00.5+05:30"),
        event(3, user_id=None, occurred_at="2026-03-01T12:00:00.123456789z", properties=None),
        b'{"event_id":"e4","event_name":"x","occurred_at":"2026-03-01T00:00:00Z",'
        b'"properties":{"z":123456789012345678901234567890,"a":"\xc3\xa9"}}',
    ]
    lake.land(FILE, lines(records))
    assert lake.ingest().accepted == 4
    assert lake.rows(EVENT_SOURCE, "event_id, user_id, occurred_at, properties") == [
        ("e1", big, datetime(2026, 3, 1, 1, 30, 0, 123456), '{"a":2,"b":1}'),
        ("e2", 2**63 - 1, datetime(2026, 3, 1, 6, 30, 0, 500000), '{"a":2,"b":1}'),
        ("e3", None, datetime(2026, 3, 1, 12, 0, 0, 123456), "{}"),
        (
            "e4",
            None,
            datetime(2026, 3, 1),
            '{"a":"é","z":123456789012345678901234567890}',
        ),
    ]
    folders = {row["path"].split("/")[2] for row in lake.manifest()}
    assert folders == {"date=2026-03-01"}


@pytest.mark.parametrize(
    ("record", "rule", "says"),
    [
        (event(2, event_id=None), "schema", "event_id"),
        (event(2, occurred_at="yesterday"), "schema", "occurred_at"),
        (event(2, occurred_at="2026-03-01T00:00:00"), "schema", "occurred_at"),
        (event(2, user_id="abc"), "schema", "user_id"),
        (event(2, user_id=1.5), "schema", "user_id"),
        (event(2, user_id="9999999999999999999"), "column_type", "64 bits"),
        (event(2, properties=[1]), "schema", "properties"),
        (b'{"event_id": "e2", ', "readable", "no JSON"),
        (b'{"event_id": "\xff"}', "readable", "no JSON"),
        (b"[1, 2]", "schema", "object"),
        (b"7", "schema", "object"),
    ],
)
def test_a_bad_record_is_quarantined_with_its_place_and_bytes(
    lake: Lake, record: Any, rule: str, says: str
) -> None:
    data = lines([event(1), record, event(3)])
    lake.land(FILE, data)
    report = lake.ingest()
    assert (report.landed, report.accepted, report.quarantined) == (3, 2, 1)
    (entry,) = entries(lake.settings)
    assert (entry.rule, entry.number, entry.kafka_offset) == (rule, 2, 101)
    assert says in entry.sentence
    assert entry.byte_start is not None
    payload = show(lake.settings, entry.id).payload
    assert payload == data[entry.byte_start : entry.byte_end] == data.split(b"\n")[1]
    assert [row[0] for row in lake.rows(EVENT_SOURCE, "event_id")] == ["e1", "e3"]


def test_a_bad_element_of_an_array_has_its_own_byte_range(lake: Lake) -> None:
    data = json.dumps([event(1), {"bad": "é [,]"}, event(3)], indent=1, ensure_ascii=False).encode()
    lake.land(FILE, data)
    lake.ingest()
    (entry,) = entries(lake.settings)
    assert orjson.loads(show(lake.settings, entry.id).payload) == {"bad": "é [,]"}


def test_a_tombstone_is_accepted_and_gives_no_row(lake: Lake) -> None:
    lake.land(FILE, lines([event(1), b"null", event(3)]))
    assert lake.ingest().accepted == 3
    assert lake.rows(EVENT_SOURCE, "event_id, _kafka_offset") == [("e1", 100), ("e3", 102)]


def test_a_damaged_gzip_file_is_quarantined_whole(lake: Lake) -> None:
    file = lake.land(FILE + ".gz", lines([event(1)]))
    file.write_bytes(file.read_bytes()[:-9])
    lake.land(f"{EVENTS}/notes.txt", b"hello")
    report = lake.ingest()
    assert (report.landed, report.quarantined) == (2, 2)
    assert {entry.unit for entry in entries(lake.settings)} == {"file"}


def test_unzipping_is_bounded() -> None:
    bomb = gzip.compress(bytes(1_000_000))
    with pytest.raises(LargeError, match="more than 1,000 bytes"):
        unzip(bomb, limit=1_000)
    assert unzip(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"


def test_the_same_delivery_in_another_folder_is_a_duplicate(lake: Lake) -> None:
    data = lines([event(1), event(2)])
    lake.land(FILE, data)
    lake.land(FILE.replace("day=01", "day=02"), data)
    # The same records under another offset are a redelivery, which silver tells apart.
    lake.land(FILE.replace("0000000100", "0000000200"), data)
    report = lake.ingest()
    assert (report.landed, report.accepted, report.duplicate) == (6, 4, 2)


def test_gaps_in_offsets_are_reported(lake: Lake) -> None:
    lake.land(FILE, lines([event(1), event(2)]))
    lake.land(FILE.replace("0000000100", "0000000105"), lines([event(3)]))
    gap = "app-events, partition 3: offsets 102 to 104 have not landed"
    assert gap in lake.ingest().notices
    lake.land(FILE.replace("0000000100", "0000000102"), lines([event(n) for n in (4, 5, 6)]))
    assert gap not in lake.ingest().notices


def test_partition_folders_are_understood() -> None:
    path = "bronze/kconnect/topics/app-events/partition=4/x.json"
    assert kafka_identity(path) == (4, None)
    assert kafka_identity("a/app-events+2+0000000007.json.gz") == (2, 7)


@given(st.lists(st.text(alphabet="+/.07a\n\u0667", max_size=12), max_size=5))
def test_identities_of_many_paths_are_those_of_each(paths: list[str]) -> None:
    some = [*paths, "topic+1+2.json"]
    partitions, offsets = kafka_identities(some)
    assert list(zip(partitions, offsets, strict=True)) == [kafka_identity(path) for path in some]


def test_a_document_becomes_a_row_a_message(lake: Lake) -> None:
    document = {
        "_id": "c1",
        "userId": "12",
        "createdAt": "2026-03-01T00:00:00Z",
        "messages": [
            {
                "role": "user",
                "content": "oi",
                "timestamp": "2026-03-02T00:00:01Z",
                "metadata": {"tokens": 3, "sentiment": -0.5},
            },
            {"role": "assistant", "content": "olá", "timestamp": "2026-03-02T00:00:02Z"},
        ],
        "metadata": {"channel": "web", "language": "pt-BR", "tags": ["a", "b"]},
    }
    empty = {"_id": "c2", "createdAt": "2026-03-01T00:00:00Z"}
    lossy = {**document, "_id": "c3"}
    lossy["messages"] = [{**document["messages"][0], "metadata": {"sentiment": 0.12345}}]  # type: ignore[index]
    lake.land(f"{DOCUMENTS}/conversations+0+0000000000.json", lines([document, empty, lossy]))
    report = lake.ingest()
    assert (report.landed, report.accepted, report.quarantined) == (3, 2, 1)
    assert "decimal(6,4)" in entries(lake.settings)[0].sentence
    columns = "conversation_id, position, user_id, role, sentiment, tags, message_count, sent_at"
    assert lake.rows("kconnect.conversations", columns) == [
        ("c1", 0, 12, "user", Decimal("-0.5000"), '["a","b"]', 2, datetime(2026, 3, 2, 0, 0, 1)),
        ("c1", 1, 12, "assistant", None, '["a","b"]', 2, datetime(2026, 3, 2, 0, 0, 2)),
        ("c2", None, None, None, None, "[]", 0, None),
    ]


def test_parts_are_one_a_date_sorted_and_never_rewritten(lake: Lake) -> None:
    late, early = event(1, occurred_at="2026-03-02T10:00:00Z"), event(2)
    lake.land(FILE, lines([late, event(9), early]))
    lake.ingest()
    parts = {row["path"]: (lake.root / row["path"]).read_bytes() for row in lake.manifest()}
    assert sorted(path.split("/")[2] for path in parts) == ["date=2026-03-01", "date=2026-03-02"]
    first = pq.read_table(lake.root / min(parts)).column("event_id").to_pylist()
    assert first == ["e2", "e9"]
    lake.land(FILE.replace("0000000100", "0000000103"), lines([event(4)]))
    lake.ingest()
    assert len(lake.manifest()) == 3
    assert all((lake.root / path).read_bytes() == data for path, data in parts.items())


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.booleans(),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.text(), inner, max_size=3),
        ).filter(lambda value: not isinstance(value, list)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["lines", "array", "pretty array"]),
)
def test_splitting_gives_back_what_was_written(values: list[Any], form: str) -> None:
    usable = [value for value in values if _has_unicode(value)]
    if form == "lines":
        data = lines(usable)
    else:
        data = json.dumps(usable, indent=2 if form == "pretty array" else None).encode()
    records = split(data)
    assert records.values == usable
    assert not records.errors
    for position, value in enumerate(usable):
        if form == "lines":
            assert orjson.loads(records.raw(position)) == value


def _has_unicode(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@given(st.lists(st.none() | st.integers(-(2**70), 2**70) | st.integers().map(str)))
def test_an_integer_is_exact_or_refused(values: list[Any]) -> None:
    array, wrong = convert(values, Column("n", "bigint"))
    for position, (given_value, got) in enumerate(zip(values, array.to_pylist(), strict=True)):
        fits = given_value is not None and -(2**63) <= int(given_value) < 2**63
        assert (position in wrong) == (given_value is not None and not fits)
        assert got == (int(given_value) if fits else None)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_exact_or_refused(value: Decimal) -> None:
    array, wrong = convert([str(value)], Column("n", "decimal(10,2)"))
    if wrong:
        assert abs(value) >= 10**8 or value != round(value, 2)
    else:
        assert array.to_pylist() == [value]

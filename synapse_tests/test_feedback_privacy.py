"""Whatever a record holds, none of it leaves the lake by way of feedback (CONTRACT 7)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synapse.declarations import Declarations
from synapse.feedback.event import event_of
from synapse.feedback.fault import Faults
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Kind, Unit
from synapse.ingest.quarantine_index import Entry, QuarantineIndex
from synapse_tests.feedback_receiver import declarations_of, feedback_to, receiving
from synapse_tests.ingest_lake import (
    CHANGES,
    DOCUMENTS,
    EVENTS,
    ORDERS,
    change,
    event,
    lines,
    new_lake,
)
from synapse_tests.lakes import is_full_proof

RULES = ("readable", "schema", "key_present", "known_op", "commit_time", "column_type", "other")
NAMES = ("order_id", "label", "amount", "Op", "dms_committed_at", "user_id", "_id", "messages")
PERSONAL = st.one_of(
    st.from_regex(r"[0-9]{3}[.][0-9]{3}[.][0-9]{3}-[0-9]{2}", fullmatch=True),
    st.from_regex(r"[a-z]{6}[.][a-z]{6}@[a-z]{5}[.]com[.]br", fullmatch=True),
    st.from_regex(r"[A-Z][a-zéãç]{8} [A-Z][a-z]{8}", fullmatch=True),
    st.from_regex(r"\+55 [0-9]{2} 9[0-9]{4}-[0-9]{4}", fullmatch=True),
)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declarations:
    return declarations_of(tmp_path_factory.mktemp("declared"))


def entry_of(source: str, rule: str, sentence: str) -> Entry:
    moment = datetime(2026, 3, 1)
    return Entry(
        id="0123456789abcdef",
        source=source,
        kind=Kind.TOPIC,
        unit=Unit.RECORD,
        path="bronze/some/file.json",
        sha256="0" * 64,
        number=1,
        byte_start=0,
        byte_end=9,
        rule=rule,
        sentence=sentence,
        kafka_partition=None,
        kafka_offset=None,
        run_id="r",
        first_seen=moment,
        last_attempt=moment,
        attempts=1,
        state="open",
        reason=None,
    )


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from(["dms.shop.orders", "kconnect.app-events", "kconnect.conversations"]),
    rule=st.sampled_from(RULES),
    sentence=st.one_of(
        st.text(max_size=60),
        st.builds(
            lambda start, name, end, rest: start + name + end + rest,
            st.sampled_from(["", "column ", '"']),
            st.one_of(st.sampled_from(NAMES), st.text(min_size=1, max_size=12)),
            st.sampled_from([" is ", " was ", ": ", '" is a required property', ".", "; "]),
            st.text(max_size=40),
        ),
    ),
)
def test_a_sentence_only_chooses_among_declared_names(
    declared: Declarations, source: str, rule: str, sentence: str
) -> None:
    """Non-interference: every message is one of the few that the declarations alone allow."""
    entry, faults = entry_of(source, rule, sentence), Faults(declared)
    table, topic = declared.table_of(source), declared.topic_of(source)
    target = table or topic
    assert target is not None
    names = {column.name for column in target.columns}
    names |= {"Op", "dms_committed_at", "dms_change_seq", "BI_order_id"} if table else set()
    names |= {"op", "before", "after", "source"} if table else set()
    names |= {"_id", "userId", "createdAt", "metadata", "messages"} if topic else set()
    allowed = {
        event_of(item, faults.of(item)).body
        for item in [
            replace(entry, sentence=""),
            *(replace(entry, sentence=f"{name} is x") for name in names),
        ]
    }
    assert event_of(entry, faults.of(entry)).body in allowed


def poisoned(value: str, number: int) -> dict[str, bytes]:
    """Files of topics in which the value breaks every rule that a record can break."""
    good: dict[str, Any] = {"_id": f"c{number}", "createdAt": "2026-03-01T00:00:00Z"}
    envelope: dict[str, Any] = {
        "op": "c",
        "after": {"order_id": 1, "label": value},
        "source": {"ts_ms": 1772323200000, "lsn": 5},
    }
    records: list[Any] = [
        event(number, user_id=value),
        event(number, occurred_at=value),
        event(number, event_name=[value]),
        event(number, properties=value),
        event(number, platform={value: value}),
        {value: value},
        [value],
        value,
        b'{"event_id": "' + value.encode() + b'", ',
        value.encode(),
    ]
    documents: list[Any] = [
        {**good, "userId": value},
        {**good, "messages": [{"role": "user", "timestamp": value, "content": value}]},
        {**good, "messages": {value: value}},
        {**good, "metadata": {"tags": {value: 1}}},
        {**good, "metadata": value},
        {"_id": value},
    ]
    changes: list[Any] = [
        {**envelope, "op": value},
        {**envelope, "after": {"order_id": value}},
        {**envelope, "after": {"order_id": None, "label": value}},
        {**envelope, "after": {"order_id": 1, "amount": value}},
        {**envelope, "after": value},
        {**envelope, "source": {"ts_ms": value}},
    ]
    return {
        f"{EVENTS}/app-events+0+{number * 100:010d}.json": lines(records),
        f"{EVENTS}/app-events+1+{number * 100:010d}.json.gz": value.encode(),
        f"{DOCUMENTS}/conversations+0+{number * 100:010d}.json": lines(documents),
        f"{CHANGES}/cdc.shop.orders+0+{number * 100:010d}.json": lines(changes),
    }


def poisoned_rows(value: str, number: int) -> list[dict[str, Any]]:
    """Change rows of DMS in which the value breaks every rule that a row can break."""
    return [
        change(number, op=value),
        change(number, None, label=value),
        {**change(number), "dms_committed_at": value},
        change(number, amount=value),
        change(number, is_paid=value),
        change(number, due_on=value, weight=value),
    ]


@settings(
    max_examples=40 if is_full_proof() else 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(values=st.lists(PERSONAL, min_size=2, max_size=4, unique=True))
def test_no_value_of_any_record_is_sent(values: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, receiving() as receiver:
        lake = new_lake(Path(folder))
        rows: list[dict[str, Any]] = []
        for number, value in enumerate(values):
            for path, data in poisoned(value, number).items():
                file = lake.root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            rows += poisoned_rows(value, number)
        names = {name for row in rows for name in row}
        texts = dict.fromkeys(names - {"order_id"}, pa.string())
        whole = dict.fromkeys(sorted(names))
        lake.land_rows(
            f"{ORDERS}/2026/03/01/20260301-000000001.parquet",
            [{**whole, **row} for row in rows],
            texts,
        )
        lake.land(f"{ORDERS}/2026/03/01/20260301-000000002.parquet", values[0].encode())
        assert lake.ingest().quarantined > 20 * len(values)
        with Ledger(lake.settings.state) as ledger:
            entries = QuarantineIndex(ledger.engine).entries()
        # Not an idle test: the sentences do quote what must not be sent.
        for value in values:
            assert any(value in entry.sentence for entry in entries)
        assert feedback_to(Path(folder), webhook=receiver.url).tell(lake.settings.state) == []
        assert len(receiver.ids) == len(entries)
        sent = b"".join(request.body for request in receiver.requests)
        told = orjson.dumps([request.headers for request in receiver.requests])
        for value in values:
            for form in (value.encode(), orjson.dumps(value)[1:-1], value.encode("unicode_escape")):
                assert form not in sent
                assert form not in told
        said = [each["data"] for request in receiver.requests for each in request.events]
        assert all(data["expectation"] for data in said)
        # Most rules are about a column, and its name is what a producer needs.
        named = {name for data in said for name in data["columns"]}
        assert named >= {"user_id", "occurred_at", "userId", "amount", "is_paid", "order_id", "Op"}

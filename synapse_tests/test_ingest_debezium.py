"""Debezium envelopes land in the shape of DMS changes."""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from synapse.ingest.quarantine import entries
from synapse_tests.ingest_lake import CHANGES, SOURCE, Lake, lines, new_lake

FILE = f"{CHANGES}/cdc.shop.orders+0+0000000000.json"
COLUMNS = '"Op", dms_committed_at, dms_change_seq, order_id, label, "BI_order_id"'
MOMENT = 1772323200000
TEXT = "2026-03-01 00:00:00.000000"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def envelope(op: str, number: int, **images: Any) -> dict[str, Any]:
    source = {"ts_ms": MOMENT, "file": "mysql-bin.000003", "pos": number, "row": 0}
    return {"op": op, "source": source, "ts_ms": MOMENT + 5, **images}


def mysql(number: int) -> str:
    return f"0000000003{number:020d}00000"


def test_envelopes_become_change_rows_with_and_without_wrapper(lake: Lake) -> None:
    records: list[Any] = [
        envelope("c", 1, before=None, after={"order_id": 1, "label": "a"}),
        {"schema": None, "payload": envelope("u", 2, after={"order_id": 1, "label": "b"})},
        envelope("u", 3, before={"order_id": 1}, after={"order_id": 2, "label": "b"}),
        envelope("d", 4, before={"order_id": 2}, after=None),
        None,
        {"schema": None, "payload": None},
        envelope("t", 5),
    ]
    lake.land(FILE, lines(records))
    report = lake.ingest()
    assert (report.landed, report.accepted, report.quarantined) == (7, 7, 0)
    assert lake.rows(SOURCE, COLUMNS, "change") == [
        ("D", TEXT, mysql(4), 2, None, None),
        ("I", TEXT, mysql(1), 1, "a", None),
        ("U", TEXT, mysql(2), 1, "b", None),
        ("U", TEXT, mysql(3), 2, "b", 1),
    ]
    assert lake.rows(SOURCE, COLUMNS, "truncate") == [("T", TEXT, mysql(5), None, None, None)]
    kinds = [(row["source"], row["kind"], row["epoch"]) for row in lake.manifest()]
    assert kinds == [(SOURCE, "change", None), (SOURCE, "truncate", None)]


def test_a_snapshot_is_a_load_and_a_postgres_lsn_is_a_sequence(lake: Lake) -> None:
    snapshot = envelope("r", 1, after={"order_id": 1})
    live = envelope("c", 1, after={"order_id": 2})
    live["source"] = {"ts_ms": MOMENT, "lsn": 24023128}
    lake.land(FILE, lines([snapshot, live]))
    lake.ingest()
    kinds = {row["kind"]: (row["rows"], row["epoch"]) for row in lake.manifest()}
    assert kinds == {"load": (1, 1), "change": (1, None)}
    assert lake.rows(SOURCE, COLUMNS, "load") == [("I", TEXT, None, 1, None, None)]
    sequence = f"{24023128:030d}00000"
    assert lake.rows(SOURCE, COLUMNS, "change") == [("I", TEXT, sequence, 2, None, None)]


def test_values_are_freed_of_their_encodings(lake: Lake) -> None:
    encoded = base64.b64encode((-12345).to_bytes(2, "big", signed=True)).decode()
    fields = [
        {
            "field": "amount",
            "name": "org.apache.kafka.connect.data.Decimal",
            "parameters": {"scale": "2"},
        },
        {"field": "updated_at", "name": "io.debezium.time.MicroTimestamp"},
    ]
    image = {
        "order_id": 2**60 + 1,
        "amount": encoded,
        "due_on": 20513,
        "is_paid": 1,
        "updated_at": 1_000_000,
    }
    wrapped = {
        "schema": {"fields": [{"field": "after", "fields": fields}]},
        "payload": envelope("c", 1, after=image),
    }
    plain = envelope(
        "c",
        2,
        after={"order_id": 3, "amount": "1.50", "updated_at": MOMENT, "due_on": "2026-03-01"},
    )
    lake.land(FILE, lines([wrapped, plain]))
    assert lake.ingest().quarantined == 0
    columns = "order_id, amount, due_on::varchar, is_paid, updated_at::varchar"
    assert lake.rows(SOURCE, columns) == [
        (3, Decimal("1.50"), "2026-03-01", None, "2026-03-01 00:00:00"),
        (2**60 + 1, Decimal("-123.45"), "2026-03-01", True, "1970-01-01 00:00:01"),
    ]


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (envelope("x", 1, after={"order_id": 1}), "schema"),
        (envelope("c", 1), "schema"),
        (envelope("d", 1, after=None), "schema"),
        (envelope("c", 1, after={"label": "no key"}), "key_present"),
        (envelope("c", 1, after={"order_id": "abc"}), "column_type"),
        (envelope("c", 1, after={"order_id": 1, "amount": "AQI="}), "column_type"),
        (
            envelope("u", 1, after={"order_id": 1, "label": "__debezium_unavailable_value"}),
            "column_type",
        ),
        ({**envelope("c", 1, after={"order_id": 1}), "source": {"ts_ms": 1}}, "sequence"),
        ({**envelope("c", 1, after={"order_id": 1}), "source": {}}, "schema"),
    ],
)
def test_an_envelope_that_is_no_change_is_quarantined(
    lake: Lake, record: dict[str, Any], rule: str
) -> None:
    lake.land(FILE, lines([envelope("c", 9, after={"order_id": 9}), record]))
    report = lake.ingest()
    assert (report.accepted, report.quarantined) == (1, 1)
    (entry,) = entries(lake.settings)
    assert (entry.rule, entry.source, entry.number) == (rule, SOURCE, 2)


def test_an_undeclared_column_of_an_image_is_drift(lake: Lake) -> None:
    lake.land(FILE, lines([envelope("c", 1, after={"order_id": 1, "coupon": "x"})]))
    report = lake.ingest()
    assert [item.column for item in report.drift] == ["coupon"]

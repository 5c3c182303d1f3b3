"""Records that ingest must refuse: each breaks one hard rule of CONTRACT.md 1.3."""

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from synapse.generate.landing import BadRecord
from synapse.generate.tables import key_of


def _line(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record) + b"\n"


def bad_events(day: int, number: int) -> list[BadRecord]:
    """Bad records of app-events; day and file number make each of them unique."""
    label = f"bad-{day}-{number}"
    event = {
        "event_id": label,
        "event_name": "login",
        "user_id": 1001,
        "anonymous_id": None,
        "occurred_at": "2026-03-01T12:00:00.000Z",
        "platform": "web",
        "app_version": "4.0.0",
        "region": "SP",
        "country": "BR",
    }
    without_id = {name: value for name, value in event.items() if name != "event_id"}
    return [
        BadRecord("unreadable", _line({**event, "event_id": f"{label}-a"})[:-20] + b"\n"),
        BadRecord("key_missing", _line({**without_id, "anonymous_id": label})),
        BadRecord("schema", _line({**event, "event_id": f"{label}-c", "user_id": "abc"})),
        BadRecord("schema", _line({**event, "event_id": f"{label}-d", "occurred_at": "yesterday"})),
    ]


def bad_documents(day: int, number: int) -> list[BadRecord]:
    """Bad records of the topic conversations."""
    label = f"bad-{day}-{number}"
    document = {
        "_id": label,
        "userId": 1001,
        "createdAt": "2026-03-01T12:00:00.000Z",
        "messages": [],
        "metadata": {"channel": "web", "language": "pt-BR", "tags": []},
    }
    without_id = {name: value for name, value in document.items() if name != "_id"}
    return [
        BadRecord("unreadable", _line(document)[:-9] + b"\n"),
        BadRecord("key_missing", _line({**without_id, "metadata": {"channel": label}})),
        BadRecord("schema", _line({**document, "_id": f"{label}-c", "userId": "not-a-number"})),
    ]


def bad_envelopes(day: int, number: int, good: Mapping[str, Any]) -> list[BadRecord]:
    """Bad records of a Debezium topic, made from the payload of a good change."""
    label = f"bad-{day}-{number}"
    image = {**(good["after"] or good["before"]), "currency": label}
    change = {**good, "op": "u", "before": None, "after": image}
    without_key = {name: value for name, value in image.items() if name != "payment_id"}
    return [
        BadRecord("unreadable", _line(change)[:-30] + b"\n"),
        BadRecord("operation", _line({**change, "op": "x"})),
        BadRecord("key_missing", _line({**change, "after": without_key})),
        BadRecord("schema", _line({**change, "after": {**image, "payment_id": "abc"}})),
        BadRecord("commit_time", _line({**change, "source": {**good["source"], "ts_ms": None}})),
    ]


BAD_ROW_RULES = ("operation", "key_missing", "commit_time")


def bad_rows(good: pa.Table, table: str) -> pa.Table:
    """Rows of a DMS change file that break BAD_ROW_RULES, made from its first row."""
    row = good.slice(0, 1)
    return pa.concat_tables(
        [
            _with(row, "Op", "X"),
            _with(_with(row, key_of(table), None), "Op", "U"),
            _with(row, "dms_committed_at", "2026-02-30 25:61:00.000000"),
        ]
    )


def _with(row: pa.Table, name: str, value: str | None) -> pa.Table:
    place = row.schema.get_field_index(name)
    field = row.schema.field(place)
    return row.set_column(place, field, pa.array([value], field.type))

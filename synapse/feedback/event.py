"""What a producer is told about one quarantine entry: a CloudEvent 1.0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from synapse.feedback.fault import Fault
from synapse.ingest.quarantine_index import Entry

_TOPIC_FOLDER = re.compile(r"/topics/([^/]+)/")


@dataclass(frozen=True)
class Event:
    """The state of an entry as one message.

    id: the same for the same (entry, state, attempts), so that receivers can tell repetitions.
    key: the source, so that a topic keeps the order of what concerns one producer. body: JSON.
    """

    entry_id: str
    state: str
    attempts: int
    key: str
    id: str
    body: bytes


def event_of(entry: Entry, fault: Fault) -> Event:
    """The event of an entry: where and why, and no value of the record."""
    became = _became(entry)
    event_id = f"{entry.id}:{became}:{entry.attempts}"
    data: dict[str, Any] = {
        "entry_id": entry.id,
        "state": became,
        "source": entry.source,
        "kind": str(entry.kind),
        "unit": str(entry.unit),
        "path": entry.path,
        "number": entry.number,
        "byte_start": entry.byte_start,
        "byte_end": entry.byte_end,
        "rule": entry.rule,
        "columns": fault.columns,
        "expectation": fault.expectation,
        "kafka_topic": _topic(entry.path),
        "kafka_partition": entry.kafka_partition,
        "kafka_offset": entry.kafka_offset,
        "first_seen": _moment(entry.first_seen),
        "attempts": entry.attempts,
        "show": f"synapse quarantine show {entry.id}",
    }
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/synapse/sources/{quote(entry.source)}",
        "type": f"synapse.quarantine.{became}",
        "subject": entry.id,
        "time": _moment(entry.last_attempt),
        "datacontenttype": "application/json",
        "data": data,
    }
    return Event(entry.id, entry.state, entry.attempts, entry.source, event_id, orjson.dumps(event))


def _became(entry: Entry) -> str:
    if entry.state != "open":
        return entry.state
    return "refused" if entry.attempts == 1 else "failed_again"


def _topic(path: str) -> str | None:
    found = _TOPIC_FOLDER.search(path)
    return found[1] if found else None


def _moment(naive_utc: datetime) -> str:
    return naive_utc.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")

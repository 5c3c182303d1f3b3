"""A reader of bronze of its own, in plain Python.

It knows nothing of how the generator keeps its state: it recovers every source table, event and
document from the files (and from truth/arrivals, which says where overwritten versions are).
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from synapse.generate.tables import SCHEMAS, key_of

Row = dict[str, Any]
_NEVER, _ALWAYS = datetime(1, 1, 1), datetime(9999, 1, 1)


def rows_of(path: Path) -> list[Row]:
    """Return the rows of a Parquet file."""
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows


def parse(stamp: str) -> datetime | None:
    """Return a commit time, or None where it is none."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """Return timestamps without their zone (UTC)."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def dms_changes(lake: Path, table: str) -> tuple[list[Row], list[tuple[datetime, list[Row]]]]:
    """Accepted change rows, and the loads (instant, rows) of a table, from bronze alone."""
    changes: list[Row] = []
    loads: dict[int, list[Row]] = defaultdict(list)
    for one in rows_of(lake / "truth" / "arrivals.parquet"):
        if not one["path"].startswith(f"bronze/dms/synapse/{table}/"):
            continue
        path = lake / one["copy"]
        if "LOAD" in path.name:
            loads[one["version"]] += rows_of(path)
        elif path.read_bytes()[-4:] == b"PAR1":
            changes += rows_of(path)
    good = [
        row
        for row in changes
        if row["Op"] in "IUD" and row[key_of(table)] is not None and parse(row["dms_committed_at"])
    ]
    instants = []
    for number in sorted(loads):
        stamps = [row.get("dms_committed_at") for row in loads[number]]
        began = min((parse(stamp) or _ALWAYS for stamp in stamps if stamp), default=None)
        instants.append((began or _NEVER, loads[number]))
    return good, instants


def recover(lake: Path, table: str) -> dict[int, Row]:
    """Living rows by key: epochs first, then the sequence; a delete ends, absence ends."""
    key, names = key_of(table), SCHEMAS[table].names
    changes, loads = dms_changes(lake, table)
    changes.sort(key=lambda row: str(row["dms_change_seq"]))
    state: dict[int, Row] = {}

    def apply(row: Row) -> None:
        before = row.get(f"BI_{key}")
        if before is not None and before != row[key]:
            state.pop(before, None)
        if row["Op"] == "D":
            state.pop(row[key], None)
        else:
            state[row[key]] = {name: plain(row[name]) for name in names}

    for number, (instant, rows) in enumerate(loads):
        state = {row[key]: {name: plain(row[name]) for name in names} for row in rows}
        following = loads[number + 1][0] if number + 1 < len(loads) else _ALWAYS
        for row in changes:
            if instant <= (parse(row["dms_committed_at"]) or _ALWAYS) < following:
                apply(row)
    return state


def records(lake: Path, topic: str) -> Iterator[tuple[tuple[int, int], Any]]:
    """Parseable records of a topic with their (offset, partition)."""
    for path in sorted((lake / "bronze/kconnect/topics" / topic).rglob("*.json*")):
        _, partition, offset = path.name.split(".json")[0].rsplit("+", 2)
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for number, line in enumerate(data.splitlines()):
            try:
                yield (int(offset) + number, int(partition)), json.loads(line)
            except json.JSONDecodeError:
                continue


def when(value: Any) -> datetime:
    """A Debezium or RFC 3339 time as UTC without zone."""
    if isinstance(value, int):
        scale = 1_000 if abs(value) < 10**14 else 1_000_000
        return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(
            microseconds=value * (1_000_000 // scale)
        )
    return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)


def recover_payments(lake: Path) -> dict[int, Row]:
    """Living payments by key, from the Debezium topic."""
    changes = []
    for _, record in records(lake, "cdc.synapse.payments"):
        payload = (record or {}).get("payload", record)
        image = payload and (payload["after"] or payload["before"])
        if image and isinstance(image.get("payment_id"), int) and payload["op"] in "cudr":
            source = payload["source"]
            if source["ts_ms"] is not None:
                place = (payload["op"] != "r", source["file"], source["pos"], source["row"])
                changes.append((place, payload["op"], image))
    state: dict[int, Row] = {}
    for _, op, image in sorted(changes, key=lambda change: change[0]):
        state.pop(image["payment_id"], None)
        if op != "d":
            state[image["payment_id"]] = {
                name: when(value) if name.endswith("_at") and value is not None else value
                for name, value in image.items()
            }
    return state


def recover_events(lake: Path) -> dict[str, Row]:
    """Accepted events by id: of several deliveries the least (partition, offset)."""
    best: dict[str, tuple[tuple[int, int], Row]] = {}
    for (offset, partition), event in records(lake, "app-events"):
        place = (partition, offset)
        try:
            event["user_id"] = None if event["user_id"] is None else int(event["user_id"])
            event["occurred_at"] = when(event["occurred_at"])
            known = best.get(event["event_id"])
        except (KeyError, ValueError):
            continue
        if known is None or place < known[0]:
            best[event["event_id"]] = (place, event)
    return {event_id: event for event_id, (_, event) in best.items()}


def recover_documents(lake: Path) -> dict[str, Row]:
    """The latest accepted delivery of each document."""
    newest: dict[str, tuple[tuple[int, int], Row]] = {}
    for place, document in records(lake, "conversations"):
        good = "_id" in document and str(document["userId"]).isdigit()
        if good and (document["_id"] not in newest or place > newest[document["_id"]][0]):
            newest[document["_id"]] = (place, document)
    return {one: document for one, (_, document) in newest.items()}

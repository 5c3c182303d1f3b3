"""A lake with sound files beside which hostile ones land."""

from __future__ import annotations

from pathlib import Path

from synapse_tests.ingest_lake import EVENTS, ORDERS, SOURCE, Lake, change, event, lines, new_lake

EVENT_SOURCE = "kconnect.app-events"
DAY = f"{ORDERS}/2026/03/01"
TOPIC_FILE = f"{EVENTS}/app-events+7+0000000000.json"
TABLE_FILE = f"{DAY}/20260301-000000001.parquet"
GOOD = lines([event(1), event(2)])


def hostile_lake(folder: Path) -> Lake:
    """A lake with sound neighbours: an event and a change."""
    lake = new_lake(folder)
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

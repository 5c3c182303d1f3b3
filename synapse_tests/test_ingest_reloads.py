"""Epochs: a reload is taken whole, once it is complete, and never half."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from synapse.ingest.epochs import CurrentEpoch, LoadFile, plan_epochs
from synapse.ingest.quarantine import discard, entries
from synapse_tests.ingest_lake import AS_OF, ORDERS, SOURCE, Lake, new_lake

NOW = AS_OF.replace(tzinfo=None)
FIRST = f"{ORDERS}/LOAD00000001.parquet"
SECOND = f"{ORDERS}/LOAD00000002.parquet"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def loaded(order_id: int, minutes_ago: int) -> dict[str, Any]:
    moment = NOW - timedelta(minutes=minutes_ago)
    return {
        "Op": "I",
        "dms_committed_at": f"{moment:%Y-%m-%d %H:%M:%S}.000000",
        "order_id": order_id,
    }


def epochs(lake: Lake) -> list[tuple[str, int]]:
    return sorted((row["landed_path"].split("/")[-1], row["epoch"]) for row in lake.manifest())


def test_a_load_under_a_new_name_joins_the_current_epoch(lake: Lake) -> None:
    lake.land_rows(FIRST, [loaded(1, 600)])
    lake.ingest()
    lake.land_rows(SECOND, [loaded(2, 590)])
    lake.ingest()
    assert [epoch for _, epoch in epochs(lake)] == [1, 1]


def test_a_running_reload_waits_and_is_taken_whole_when_it_is_complete(lake: Lake) -> None:
    lake.land_rows(FIRST, [loaded(1, 600), loaded(2, 600)])
    lake.ingest()
    lake.land_rows(FIRST, [loaded(1, 40)])
    lake.land_rows(SECOND, [loaded(3, 20)])
    waiting = lake.ingest()
    assert (waiting.landed, waiting.pending) == (0, 2)
    assert any("reload may still be running" in notice for notice in waiting.notices)
    assert len(lake.manifest()) == 1
    assert lake.ingest().pending == 2
    done = lake.ingest(AS_OF + timedelta(minutes=10))
    assert (done.landed, done.accepted, done.pending) == (2, 2, 0)
    assert epochs(lake) == [
        ("LOAD00000001.parquet", 1),
        ("LOAD00000001.parquet", 2),
        ("LOAD00000002.parquet", 2),
    ]
    instants = [row["epoch_at"] for row in lake.manifest() if row["epoch"] == 2]
    assert min(instants) == NOW - timedelta(minutes=40)
    assert lake.ingest(AS_OF + timedelta(minutes=10)).landed == 0


def test_a_reload_that_starts_over_while_it_waits_is_only_taken_once(lake: Lake) -> None:
    lake.land_rows(FIRST, [loaded(1, 600)])
    lake.ingest()
    lake.land_rows(FIRST, [loaded(2, 20)])
    assert lake.ingest().pending == 1
    lake.land_rows(FIRST, [loaded(3, 5), loaded(4, 5)])
    assert lake.ingest().pending == 2
    done = lake.ingest(AS_OF + timedelta(hours=1))
    assert (done.accepted, done.pending) == (2, 0)
    assert epochs(lake) == [("LOAD00000001.parquet", 1), ("LOAD00000001.parquet", 2)]
    with_key = [row[0] for row in lake.rows(SOURCE, "order_id")]
    assert with_key == [1, 3, 4]


def test_a_refused_file_of_a_reload_holds_the_others_until_it_is_mended_or_discarded(
    lake: Lake,
) -> None:
    lake.land_rows(FIRST, [loaded(1, 600)])
    lake.land_rows(SECOND, [loaded(2, 600)])
    lake.ingest()
    lake.land_rows(FIRST, [loaded(1, 60)])
    lake.land(SECOND, b"PAR1 cut off")
    later = AS_OF + timedelta(hours=1)
    report = lake.ingest(later)
    assert (report.quarantined, report.pending) == (1, 1)
    assert lake.ingest(later).pending == 1
    (entry,) = entries(lake.settings)
    discard(lake.settings, [entry.id[:8]], "the table fits one file now")
    assert lake.ingest(later).accepted == 1
    assert max(epoch for _, epoch in epochs(lake)) == 2


def test_an_overwritten_load_without_transfer_time_waits_and_says_why(lake: Lake) -> None:
    lake.land_rows(FIRST, [{"order_id": 1}])
    lake.ingest()
    lake.land_rows(FIRST, [{"order_id": 2}])
    report = lake.ingest()
    assert report.pending == 1
    assert any("carries no transfer time" in notice for notice in report.notices)


def test_a_reload_under_a_later_prefix_is_the_next_epoch(lake: Lake) -> None:
    declared = lake.project / "models" / "bronze" / "_sources.yml"
    text = declared.read_text().replace(
        "sequence: true", "sequence: true, prefixes: [again/orders]", 1
    )
    declared.write_text(text)
    lake.land_rows(FIRST, [loaded(1, 600)])
    lake.ingest()
    lake.land_rows("bronze/dms/again/orders/LOAD00000001.parquet", [loaded(2, 60)])
    assert lake.ingest().accepted == 1
    assert epochs(lake)[-1][1] == 2


def test_a_late_file_of_the_current_reload_joins_it() -> None:
    instant = datetime(2026, 3, 1)
    current = CurrentEpoch(2, instant, paths=frozenset({"one"}), earlier=frozenset({"two"}))
    late = LoadFile("two", "hash", 0, instant + timedelta(hours=1), instant + timedelta(hours=1))
    plan = plan_epochs(current, [late], as_of=NOW, quiet=timedelta(minutes=30))
    assert plan.accept == {"two": 2}


def test_bytes_older_than_the_current_load_are_no_reload() -> None:
    instant = datetime(2026, 3, 1)
    current = CurrentEpoch(1, instant, paths=frozenset({"one"}))
    old = LoadFile("one", "hash", 0, instant - timedelta(days=1), instant - timedelta(days=1))
    plan = plan_epochs(current, [old], as_of=NOW, quiet=timedelta(minutes=30))
    assert not plan.accept
    assert "not newer" in plan.held["one"]

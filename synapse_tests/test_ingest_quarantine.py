"""A replay after a fix leaves what a clean landing would have left; poison never loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synapse.errors import UsageError
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Counts
from synapse.ingest.quarantine import discard, entries, show
from synapse.ingest.replay import ReplayReport, replay
from synapse_tests.ingest_lake import (
    AS_OF,
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

ROWS = f"{ORDERS}/2026/03/01/20260301-000000001.parquet"
RECORDS = f"{EVENTS}/app-events+0+0000000000.json"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def declare(lake: Lake, old: str, new: str) -> None:
    file = lake.project / "models" / "bronze" / "_sources.yml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def again(lake: Lake, ids: list[str] | None = None) -> ReplayReport:
    return replay(lake.settings, lake.project, ids, as_of=AS_OF)


def totals(lake: Lake) -> dict[str, Counts]:
    with Ledger(lake.settings.state) as ledger:
        found = ledger.totals()
    for count in found.values():
        assert count.landed == count.accepted + count.duplicate + count.quarantined
    return found


def test_replayed_rows_equal_a_clean_landing(lake: Lake, tmp_path: Path) -> None:
    rows = [change(1, 1, amount="1.5"), change(2, 2, amount="1.234"), change(3, 3, amount="x")]
    lake.land_rows(ROWS, rows, {"amount": pa.string()})
    lake.ingest()
    assert len(entries(lake.settings)) == 2
    declare(lake, "decimal(10,2)", "decimal(12,3)")
    report = again(lake)
    assert (len(report.accepted), len(report.refused)) == (1, 1)
    (left,) = entries(lake.settings)
    assert (left.number, left.attempts) == (3, 2)
    assert totals(lake)[SOURCE] == Counts(landed=3, accepted=2, quarantined=1, files=1)
    clean = new_lake(tmp_path / "clean")
    declare(clean, "decimal(10,2)", "decimal(12,3)")
    clean.land_rows(ROWS, rows, {"amount": pa.string()})
    clean.ingest()
    columns = '"Op", dms_committed_at, dms_change_seq, order_id, label, amount::decimal(12,3)'
    assert lake.rows(SOURCE, columns) == clean.rows(SOURCE, columns)
    assert lake.ingest().landed == 0


def test_replayed_load_rows_keep_their_epoch(lake: Lake) -> None:
    moment = "2026-03-01 00:00:00.000000"
    rows: list[dict[str, Any]] = [
        {"dms_committed_at": moment, "order_id": 1, "is_paid": "yes"},
        {"dms_committed_at": moment, "order_id": 2, "is_paid": "t"},
    ]
    lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", rows)
    lake.ingest()
    declare(lake, "name: is_paid, data_type: boolean", "name: is_paid, data_type: varchar")
    assert len(again(lake).accepted) == 1
    replayed = [row for row in lake.manifest() if "replay" in row["path"]]
    assert [(row["kind"], row["epoch"], row["rows"]) for row in replayed] == [("load", 1, 1)]
    assert replayed[0]["epoch_at"] is not None


def test_replayed_records_keep_their_identity(lake: Lake) -> None:
    big = str(2**63)
    lake.land(RECORDS, lines([event(1), event(2, user_id=big), event(3, user_id="x")]))
    lake.ingest()
    declare(lake, "name: user_id, data_type: bigint", "name: user_id, data_type: varchar")
    report = again(lake)
    assert (len(report.accepted), len(report.refused)) == (1, 1)
    rows = lake.rows("kconnect.app-events", "event_id, _kafka_offset, _source_line, _source_file")
    assert rows == [("e1", 0, 1, RECORDS), ("e2", 1, 2, RECORDS)]
    assert totals(lake)["kconnect.app-events"] == Counts(3, 2, 0, 1, files=1)


def test_a_poison_record_counts_its_attempts_and_goes_nowhere(lake: Lake) -> None:
    lake.land(RECORDS, lines([b"{", event(1)]))
    lake.ingest()
    for attempt in (2, 3):
        assert not again(lake).accepted
        assert [entry.attempts for entry in entries(lake.settings)] == [attempt]
    assert len(lake.manifest()) == 1
    assert lake.ingest().landed == 0


def test_a_replayed_debezium_record_becomes_a_change(lake: Lake) -> None:
    envelope = {
        "op": "c",
        "after": {"order_id": 1, "is_paid": "maybe"},
        "source": {"ts_ms": 1772323200000, "lsn": 5},
    }
    lake.land(f"{CHANGES}/cdc.shop.orders+0+0000000000.json", lines([envelope]))
    assert lake.ingest().quarantined == 1
    declare(lake, "name: is_paid, data_type: boolean", "name: is_paid, data_type: varchar")
    assert len(again(lake).accepted) == 1
    assert lake.rows(SOURCE, '"Op", order_id, is_paid') == [("I", 1, "maybe")]


def test_a_whole_file_lands_as_if_for_the_first_time(lake: Lake) -> None:
    rows = [{"Op": "I", "dms_committed_at": "2026-03-01 00:00:00.000000", "id": n} for n in (1, 2)]
    lake.land_rows(ROWS, rows)
    assert lake.ingest().quarantined == 1
    assert len(again(lake).refused) == 1
    declare(lake, "key: [order_id]", "key: [id]")
    declare(lake, "- {name: order_id, data_type: bigint}", "- {name: id, data_type: bigint}")
    assert len(again(lake).accepted) == 1
    assert entries(lake.settings) == []
    assert totals(lake)[SOURCE] == Counts(landed=2, accepted=2, files=1)
    assert [row["path"] for row in lake.manifest()] == [ROWS]
    assert lake.ingest().landed == 0


def test_a_discarded_entry_stays_counted_and_is_not_tried_again(lake: Lake) -> None:
    lake.land(RECORDS, lines([b"{", event(1)]))
    lake.ingest()
    (entry,) = entries(lake.settings)
    with pytest.raises(UsageError, match="--reason"):
        discard(lake.settings, [entry.id], " ")
    assert discard(lake.settings, [entry.id[:6]], "the producer sent garbage") == [entry.id]
    assert entries(lake.settings) == []
    (kept,) = entries(lake.settings, state="discarded")
    assert kept.reason == "the producer sent garbage"
    assert again(lake).accepted == []
    assert totals(lake)["kconnect.app-events"].quarantined == 1


def test_an_unknown_id_is_bad_usage(lake: Lake) -> None:
    lake.land(RECORDS, lines([event(1)]))
    lake.ingest()
    with pytest.raises(UsageError, match="No quarantine entry beef"):
        show(lake.settings, "beef")

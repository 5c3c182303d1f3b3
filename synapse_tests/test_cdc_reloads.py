"""The hazards of loads, reloads, truncates and switches of the source, from landing to silver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synapse.cli import app
from synapse.errors import UsageError
from synapse.ingest.ledger import Ledger
from synapse.ingest.service import ingest
from synapse_tests.cdc_project import CdcTable
from synapse_tests.ingest_lake import AS_OF, ORDERS, change
from synapse_tests.silver_lake import (
    COLUMNS,
    MOMENT,
    NOW,
    Silver,
    after,
    change_path,
    deliver,
    envelope,
    loaded,
    open_silver,
)

AGAIN = "bronze/dms/again/orders"


@pytest.fixture
def silver(tmp_path: Path) -> Iterator[Silver]:
    opened = open_silver(tmp_path)
    yield opened
    opened.engine.close()


def test_a_reload_in_place_closes_absent_keys_as_of_the_reload(silver: Silver) -> None:
    first, second = NOW - timedelta(days=5), NOW - timedelta(hours=2)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(n, first) for n in (1, 2, 3)])
    silver.take()
    rows = [loaded(1, second), loaded(3, second, label="new")]
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", rows)
    silver.take()
    assert silver.states() == [(1, False), (2, True), (3, False)]
    assert silver.versions() == [
        (1, "loaded 1", first, None),
        (2, "loaded 2", first, second),
        (3, "loaded 3", first, second),
        (3, "new", second, None),
    ]
    # A change of before the reload lands late: it is older than the load.
    stamp = f"{second - after(1):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(change_path(1), [change(1, 2, op="U", dms_committed_at=stamp)])
    silver.take()
    assert silver.states() == [(1, False), (2, True), (3, False)]


@pytest.fixture
def two_prefixes(tmp_path: Path) -> Silver:
    cdc = {"sequence": True, "prefixes": ["again/orders"]}
    return open_silver(tmp_path, CdcTable("orders", ["order_id"], COLUMNS, cdc))


def test_a_reload_under_a_declared_prefix_is_taken_whole(two_prefixes: Silver) -> None:
    silver = two_prefixes
    first, second = NOW - timedelta(days=5), NOW - timedelta(minutes=20)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(n, first) for n in (1, 2)])
    silver.take()
    silver.lake.land_rows(f"{AGAIN}/LOAD00000001.parquet", [loaded(2, second, label="again")])
    assert silver.take().pending == 1
    assert silver.living() == [(1, "loaded 1"), (2, "loaded 2")]
    silver.lake.land_rows(f"{AGAIN}/LOAD00000002.parquet", [loaded(3, second + after(1))])
    assert silver.take().pending == 2
    silver.take(AS_OF + timedelta(minutes=30))
    assert silver.living() == [(2, "again"), (3, "loaded 3")]


def test_a_waiting_reload_is_taken_once_somebody_confirms_it(silver: Silver) -> None:
    lake = silver.lake
    lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, NOW - timedelta(days=1))])
    silver.take()
    lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(2, NOW - timedelta(minutes=5))])
    waiting = silver.take()
    assert waiting.pending == 1
    assert any("--confirm-reload" in notice for notice in waiting.notices)
    (lake.project / "dbt_project.yml").write_text("name: synapse\n")
    result = CliRunner().invoke(
        app,
        [
            *("ingest", "--lake", str(lake.root), "--project-dir", str(lake.project)),
            *("--as-of", AS_OF.isoformat(), "--confirm-reload", "dms.shop.orders"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "which was confirmed: epoch 2" in " ".join(result.output.split())
    silver.engine.run()
    assert silver.states() == [(1, True), (2, False)]
    with Ledger(lake.settings.state) as ledger, ledger.engine.connect() as connection:
        said = connection.exec_driver_sql("select message from ingest_runs where message <> ''")
        assert said.scalars().all() == ["reload confirmed: dms.shop.orders"]


def test_confirming_a_reload_of_an_undeclared_table_is_bad_usage(silver: Silver) -> None:
    silver.lake.land_rows(change_path(1), [change(1)])
    with pytest.raises(UsageError, match=r"dms\.shop\.nope.*the tables are dms\.shop\.orders"):
        ingest(
            silver.lake.settings,
            silver.lake.project,
            as_of=AS_OF,
            confirm_reloads=["dms.shop.nope"],
        )


@pytest.mark.parametrize("named", [2, "again/orders"])
def test_a_reload_without_transfer_time_takes_its_declared_instant(
    tmp_path: Path, named: int | str
) -> None:
    instant = NOW - timedelta(hours=3)
    cdc = {
        "sequence": True,
        "prefixes": ["again/orders"],
        "reload_at": {named: f"{instant:%Y-%m-%d %H:%M:%S}"},
    }
    silver = open_silver(tmp_path, CdcTable("orders", ["order_id"], COLUMNS, cdc))
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, None), loaded(2, None)])
    silver.take()
    rows = [loaded(2, None, label="again")]
    silver.lake.land_rows(f"{AGAIN}/LOAD00000001.parquet", rows)
    silver.lake.land_rows(f"{AGAIN}/LOAD00000002.parquet", [loaded(3, None)])
    silver.take()
    assert silver.living() == [(2, "again"), (3, "loaded 3")]
    assert silver.versions() == [
        (1, "loaded 1", datetime(1970, 1, 1), instant),
        (2, "loaded 2", datetime(1970, 1, 1), instant),
        (2, "again", instant, None),
        (3, "loaded 3", instant, None),
    ]


def test_a_reload_without_any_instant_waits_whole(two_prefixes: Silver) -> None:
    silver = two_prefixes
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, None)])
    silver.take()
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(2, None)])
    silver.lake.land_rows(f"{ORDERS}/LOAD00000002.parquet", [loaded(3, None)])
    report = silver.take()
    assert report.pending == 2
    assert any("cdc.reload_at" in notice for notice in report.notices)
    assert silver.living() == [(1, "loaded 1")]


def test_a_refused_file_of_a_new_name_holds_its_reload_too(silver: Silver) -> None:
    first, second = NOW - timedelta(days=5), NOW - timedelta(hours=2)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, first)])
    silver.take()
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(2, second)])
    silver.lake.land(f"{ORDERS}/LOAD00000002.parquet", b"PAR1 cut off")
    report = silver.take()
    assert (report.quarantined, report.pending) == (1, 1)
    assert silver.living() == [(1, "loaded 1")]
    silver.lake.land_rows(f"{ORDERS}/LOAD00000002.parquet", [loaded(3, second)])
    assert silver.take().accepted == 2
    assert silver.living() == [(2, "loaded 2"), (3, "loaded 3")]


def test_a_truncate_ends_every_key_at_its_instant(silver: Silver) -> None:
    later = MOMENT + after(9)
    deliver(
        silver,
        0,
        [
            envelope("c", 1, MOMENT, after={"order_id": 1, "label": "a"}),
            envelope("c", 2, MOMENT, after={"order_id": 2, "label": "b"}),
        ],
    )
    silver.take()
    deliver(silver, 2, [envelope("t", 5, later)])
    report = silver.take()
    assert (report.landed, report.accepted) == (1, 1)
    assert silver.states() == [(1, True), (2, True)]
    assert silver.versions() == [(1, "a", MOMENT, later), (2, "b", MOMENT, later)]
    # Late: of before the truncate (dead too), and of the transaction after it (living).
    deliver(
        silver,
        3,
        [
            envelope("c", 3, MOMENT, after={"order_id": 3, "label": "late"}),
            envelope("c", 6, later, after={"order_id": 1, "label": "again"}),
        ],
    )
    silver.take()
    assert silver.states() == [(1, False), (2, True), (3, True)]
    silver.engine.run(full_refresh=True)
    assert silver.states() == [(1, False), (2, True), (3, True)]
    assert silver.query("select _op, order_id from silver.base_dms__orders where _op = 'T'") == [
        ("T", None)
    ]


def test_a_truncate_and_inserts_of_one_instant_without_sequence(tmp_path: Path) -> None:
    """Truncate and fill in one transaction: D before I, as everywhere."""
    silver = open_silver(tmp_path, CdcTable("orders", ["order_id"], COLUMNS, {"sequence": False}))
    old = envelope("c", 1, MOMENT - after(60), after={"order_id": 1, "label": "old"})
    new = envelope("c", 3, MOMENT, after={"order_id": 2, "label": "new"})
    deliver(silver, 0, [old, new, envelope("t", 2, MOMENT)])
    silver.take()
    assert silver.states() == [(1, True), (2, False)]


def test_files_that_vanish_from_bronze_are_told_and_stay_accepted(silver: Silver) -> None:
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, NOW - timedelta(days=2))])
    one = silver.lake.land_rows(change_path(1), [change(1, 2)])
    silver.lake.land_rows(change_path(2), [change(2, 3)])
    other = silver.lake.land_rows("bronze/dms/shop/refunds/20260301-000000001.parquet", [change(1)])
    assert not any("left bronze" in notice for notice in silver.take().notices)
    before = silver.states()
    one.unlink()
    (sentence,) = [text for text in silver.take().notices if "left bronze" in text]
    assert "dms.shop.orders: 1 accepted change file(s) have left bronze" in sentence
    for file in (silver.lake.root / ORDERS).rglob("*.parquet"):
        file.unlink()
    report = silver.take()
    (sentence,) = [text for text in report.notices if "left bronze" in text]
    assert "all of its 3 accepted file(s) have left bronze" in sentence
    assert "HandleSourceTableTruncated" in sentence
    assert other.exists()
    assert (report.landed, len(silver.lake.manifest())) == (0, 4)
    assert silver.states() == before


def test_a_load_that_dms_replaces_has_not_vanished(silver: Silver) -> None:
    silver.lake.land_rows(change_path(1), [change(1, 2)])
    first = silver.lake.land_rows(
        f"{ORDERS}/LOAD00000002.parquet", [loaded(1, NOW - timedelta(days=2))]
    )
    silver.take()
    first.unlink()
    assert not any("left bronze" in notice for notice in silver.take().notices)


def test_a_switch_from_dms_to_debezium_waits_for_its_snapshot_and_starts_an_epoch(
    silver: Silver,
) -> None:
    started = NOW - timedelta(days=2)
    switched = NOW - timedelta(minutes=10)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(n, started) for n in (1, 2)])
    stamp = f"{started + after(5):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(change_path(1), [change(999, 2, op="U", dms_committed_at=stamp)])
    silver.take()
    # A DMS sequence is larger than any position of a binlog: it must not win.
    live = envelope(
        "u", 7, switched + after(9), before=None, after={"order_id": 2, "label": "by debezium"}
    )
    deliver(silver, 5, [live])
    report = silver.take()
    assert report.pending == 1
    assert any("once a Debezium snapshot" in notice for notice in report.notices)
    deliver(silver, 0, [envelope("r", 6, switched, after={"order_id": 2, "label": "snapshot"})])
    assert silver.take().pending == 2
    assert silver.living() == [(1, "loaded 1"), (2, "label 999")]
    report = silver.take(AS_OF + timedelta(minutes=30))
    assert (report.accepted, report.pending) == (2, 0)
    assert any("Debezium feeds this table from now on" in notice for notice in report.notices)
    assert silver.living() == [(2, "by debezium")]
    assert silver.states() == [(1, True), (2, False)]
    snapshot = [row["epoch"] for row in silver.lake.manifest() if row["kind"] == "load"]
    assert sorted(snapshot) == [1, 2]
    # What follows needs no further waiting.
    deliver(silver, 6, [envelope("d", 8, switched + after(20), before={"order_id": 2})])
    assert silver.take(AS_OF + timedelta(minutes=31)).accepted == 1
    assert silver.living() == []


def test_a_switch_from_debezium_to_dms_waits_for_its_load_and_starts_an_epoch(
    silver: Silver,
) -> None:
    started, switched = NOW - timedelta(days=2), NOW - timedelta(hours=3)
    deliver(
        silver,
        0,
        [
            envelope("r", 1, started, after={"order_id": 1, "label": "snapshot"}),
            envelope("r", 1, started, after={"order_id": 2, "label": "snapshot"}),
            envelope("u", 2, started + after(5), after={"order_id": 1, "label": "live"}),
        ],
    )
    silver.take()
    stamp = f"{switched + after(5):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(
        change_path(1), [change(1, 1, op="U", dms_committed_at=stamp, label="by dms")]
    )
    report = silver.take()
    assert report.pending == 1
    assert any("once a full load of DMS has landed" in notice for notice in report.notices)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, switched)])
    assert silver.take().accepted == 2
    assert silver.states() == [(1, False), (2, True)]
    assert silver.living() == [(1, "by dms")]


def test_both_sources_in_one_ingest_are_a_switch_too(silver: Silver) -> None:
    started, switched = NOW - timedelta(days=2), NOW - timedelta(hours=3)
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, started)])
    deliver(silver, 0, [envelope("r", 1, switched, after={"order_id": 2, "label": "snapshot"})])
    silver.take()
    epochs = {row["path"].split("/")[0]: row["epoch"] for row in silver.lake.manifest()}
    assert epochs == {"retained": 1, "consolidated": 2}
    assert silver.states() == [(1, True), (2, False)]

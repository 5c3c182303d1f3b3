"""DMS Parquet: what is accepted, what is refused and why, redelivery, drift."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synapse.ingest.quarantine import entries, show
from synapse_tests.ingest_lake import ORDERS, SOURCE, Lake, change, new_lake

DAY = f"{ORDERS}/2026/03/01"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def test_a_clean_change_file_is_read_where_it_lies(lake: Lake) -> None:
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1), change(2, op="D")])
    report = lake.ingest()
    assert (report.landed, report.accepted, report.files) == (2, 2, 1)
    (row,) = lake.manifest()
    assert row["path"] == row["landed_path"] == f"{DAY}/20260301-000000001.parquet"
    assert (row["source"], row["kind"], row["rows"], row["epoch"]) == (SOURCE, "change", 2, None)


def test_a_load_file_without_op_is_copied_by_content(lake: Lake) -> None:
    file = lake.land_rows(f"{ORDERS}/LOAD0000000A.parquet", [{"order_id": 1, "label": "x"}])
    assert lake.ingest().accepted == 1
    (row,) = lake.manifest()
    assert row["path"] == f"retained/{row['sha256']}"
    assert (lake.root / row["path"]).read_bytes() == file.read_bytes()
    assert (row["kind"], row["epoch"], row["epoch_at"]) == ("load", 1, None)


@pytest.mark.parametrize(
    ("bad", "rule", "says"),
    [
        ({"order_id": None}, "key_present", "order_id is NULL"),
        ({"op": "X"}, "known_op", "Op is 'X'"),
        ({"op": None}, "known_op", "Op is NULL"),
        ({"dms_committed_at": None}, "commit_time", "dms_committed_at is NULL"),
        ({"dms_committed_at": "2026-02-30 00:00:00.000000"}, "commit_time", "2026-02-30"),
        ({"dms_committed_at": "2026-03-01"}, "commit_time", "2026-03-01"),
        ({"dms_committed_at": "2026-03-01 00:00:00.000000-03"}, "commit_time", "-03"),
        ({"amount": "1.234"}, "column_type", "amount is '1.234'"),
        ({"amount": "a"}, "column_type", "decimal(10,2)"),
        ({"is_paid": "maybe"}, "column_type", "is_paid is 'maybe'"),
        ({"due_on": "2026-03-01 10:00:00"}, "column_type", "due_on"),
        ({"weight": "heavy"}, "column_type", "weight"),
        ({"updated_at": "yesterday"}, "column_type", "updated_at"),
    ],
)
def test_a_row_that_breaks_a_hard_rule_is_quarantined_and_the_others_go_on(
    lake: Lake, bad: dict[str, Any], rule: str, says: str
) -> None:
    good = {
        "amount": "1.20",
        "is_paid": "t",
        "due_on": "2026-03-01",
        "weight": "1.5",
        "updated_at": "2026-03-01T10:00:00-03:00",
    }
    path = f"{DAY}/20260301-000000001.parquet"
    texts = {name: pa.string() for name in good}
    lake.land_rows(path, [change(1, 7, **good), change(2, **{**good, **bad})], texts)
    report = lake.ingest()
    assert (report.landed, report.accepted, report.quarantined) == (2, 1, 1)
    (entry,) = entries(lake.settings)
    assert (entry.path, entry.number, entry.rule, entry.attempts) == (path, 2, rule, 1)
    assert says in entry.sentence
    assert b'"label":"label 2"' in show(lake.settings, entry.id).payload
    (row,) = lake.manifest()
    assert row["path"] == f"retained/clean-{row['sha256']}.parquet"
    columns = "order_id, amount, is_paid, due_on::varchar, weight, updated_at"
    assert lake.rows(SOURCE, columns) == [
        (7, Decimal("1.20"), True, "2026-03-01", 1.5, datetime(2026, 3, 1, 13))
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2**62], pa.decimal128(38, 0)),
        ([1, 2**53], pa.float64()),
        (["1", str(2**63 - 1)], pa.string()),
        ([1, 2], pa.int16()),
    ],
)
def test_a_number_of_another_physical_type_becomes_the_declared_one_exactly(
    lake: Lake, values: list[Any], kind: pa.DataType
) -> None:
    rows = [change(number, value) for number, value in enumerate(values)]
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", rows, {"order_id": kind})
    assert lake.ingest().quarantined == 0
    assert [row[0] for row in lake.rows(SOURCE, "order_id")] == [int(value) for value in values]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Decimal("1.5"), pa.decimal128(10, 1)),
        (2**63, pa.uint64()),
        (1.5, pa.float64()),
        ("1.5", pa.string()),
        (2.0**60, pa.float64()),
    ],
)
def test_a_number_that_would_lose_something_is_quarantined(
    lake: Lake, value: Any, kind: pa.DataType
) -> None:
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1, value)], {"order_id": kind})
    report = lake.ingest()
    assert (report.accepted, report.quarantined) == (0, 1)
    assert lake.manifest() == []


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (
            {"Op": "I", "dms_committed_at": "2026-03-01 00:00:00.000000", "label": "x"},
            "key_present",
        ),
        ({"dms_committed_at": "2026-03-01 00:00:00.000000", "order_id": 1}, "known_op"),
        ({"Op": "I", "order_id": 1}, "commit_time"),
        ({"Op": "I", "dms_committed_at": 5, "order_id": 1}, "commit_time"),
        (change(1, label={"nested": 1}), "column_type"),
    ],
)
def test_a_file_no_row_of_which_can_be_accepted_is_quarantined_whole(
    lake: Lake, row: dict[str, Any], rule: str
) -> None:
    file = lake.land_rows(f"{DAY}/20260301-000000001.parquet", [row, row])
    lake.land_rows(f"{DAY}/20260301-000000002.parquet", [change(9)])
    report = lake.ingest()
    assert (report.landed, report.accepted, report.quarantined) == (2, 1, 1)
    (entry,) = entries(lake.settings)
    assert (entry.unit, entry.rule) == ("file", rule)
    raw = Path(show(lake.settings, entry.id).raw_file or "")
    assert raw is not None
    assert raw.read_bytes() == file.read_bytes()


def test_a_truncated_file_is_quarantined_and_its_neighbours_are_not(lake: Lake) -> None:
    whole = lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1)])
    lake.land(f"{DAY}/20260301-000000002.parquet", whole.read_bytes()[:-20])
    lake.land(f"{DAY}/20260301-000000003.parquet", b"")
    lake.land(f"{DAY}/20260301-000000004.csv", b"I,1")
    report = lake.ingest()
    assert (report.accepted, report.quarantined) == (1, 3)
    assert {entry.rule for entry in entries(lake.settings)} == {"readable"}


def test_broken_pages_under_a_whole_footer_condemn_only_their_file(lake: Lake) -> None:
    rows = [change(number) for number in range(500)]
    whole = lake.land_rows(f"{DAY}/20260301-000000001.parquet", rows).read_bytes()
    broken = bytearray(lake.land_rows(f"{DAY}/20260301-000000002.parquet", rows[1:]).read_bytes())
    broken[4:2000] = bytes(1996)
    lake.land(f"{DAY}/20260301-000000002.parquet", bytes(broken))
    assert len(whole) > 4000
    report = lake.ingest()
    assert (report.accepted, report.quarantined) == (500, 1)


def test_the_same_bytes_under_another_name_are_duplicates(lake: Lake) -> None:
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1), change(2)])
    lake.land_rows(f"{DAY}/20260301-000000002.parquet", [change(1), change(2)])
    report = lake.ingest()
    assert (report.landed, report.accepted, report.duplicate) == (4, 2, 2)
    lake.land_rows(f"{ORDERS}/2026/03/02/20260302-000000001.parquet", [change(1), change(2)])
    report = lake.ingest()
    assert (report.landed, report.accepted, report.duplicate) == (2, 0, 2)
    assert len(lake.manifest()) == 1


def test_an_undeclared_column_is_drift_and_refuses_nothing(lake: Lake) -> None:
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1, coupon="X")])
    report = lake.ingest()
    assert (report.accepted, report.quarantined) == (1, 0)
    found = {(item.column, item.change) for item in report.drift}
    assert ("coupon", "undeclared") in found
    assert ("weight", "missing") in found
    assert any("coupon" in notice for notice in report.notices)


def test_an_undeclared_table_is_reported_and_not_touched(lake: Lake) -> None:
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [change(1)])
    lake.land_rows("bronze/dms/shop/returns/LOAD00000001.parquet", [{"id": 1}])
    report = lake.ingest()
    assert report.unknown == {"dms.shop.returns": 1}
    assert report.landed == 1


def test_a_commit_time_of_a_true_timestamp_and_no_date_folders_are_accepted(
    lake: Lake,
) -> None:
    rows = [change(1, dms_committed_at=datetime(2026, 3, 1))]
    for kind in (pa.timestamp("us"), pa.timestamp("ms", tz="UTC"), pa.timestamp("ns")):
        path = f"{ORDERS}/20260301-0000000010000000001{kind.unit}.parquet"
        lake.land_rows(path, rows, {"dms_committed_at": kind})
    assert lake.ingest().accepted == 3


def test_a_key_only_delete_and_a_before_image_pass(lake: Lake) -> None:
    row = change(1, op="D", label=None, amount=None)
    moved = {**change(2, 5, op="U"), "BI_order_id": 4}
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [row])
    lake.land_rows(f"{DAY}/20260301-000000002.parquet", [moved])
    report = lake.ingest()
    assert report.accepted == 2
    assert not any(item.column == "BI_order_id" for item in report.drift)


def test_names_of_columns_match_whatever_their_case(lake: Lake) -> None:
    row = {name.upper(): value for name, value in change(1).items()}
    lake.land_rows(f"{DAY}/20260301-000000001.parquet", [row])
    assert lake.ingest().accepted == 1


def test_a_change_file_that_was_overwritten_lands_under_a_path_of_its_own(lake: Lake) -> None:
    path = f"{DAY}/20260301-000000001.parquet"
    lake.land_rows(path, [change(1)])
    lake.ingest()
    lake.land_rows(path, [change(1), change(2)])
    assert lake.ingest().accepted == 2
    assert sorted(row["path"].split("/")[0] for row in lake.manifest()) == ["bronze", "retained"]

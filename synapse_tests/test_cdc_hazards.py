"""The hazards of DMS and Debezium, one by one, from files that land to silver: rows and columns.

Loads, reloads and switches: test_cdc_reloads.py. docs/hazards.md lists them all, and
`test_cdc_cases.py` mixes them at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from synapse.errors import SynapseError
from synapse_tests.cdc_project import CdcTable
from synapse_tests.ingest_lake import ORDERS, change
from synapse_tests.silver_lake import (
    COLUMNS,
    MOMENT,
    Silver,
    after,
    change_path,
    loaded,
    open_silver,
)


@pytest.fixture
def silver(tmp_path: Path) -> Iterator[Silver]:
    opened = open_silver(tmp_path)
    yield opened
    opened.engine.close()


def test_load_counters_are_hexadecimal_and_a_load_without_op_is_all_inserts(
    silver: Silver,
) -> None:
    for counter, order_id in (("00000009", 1), ("0000000A", 2), ("0000000f", 3), ("000000AB", 4)):
        silver.lake.land_rows(
            f"{ORDERS}/LOAD{counter}.parquet", [{"order_id": order_id, "label": counter}]
        )
    silver.take()
    assert [row["kind"] for row in silver.lake.manifest()] == ["load"] * 4
    assert silver.living("order_id, _op, label") == [
        (1, "I", "00000009"),
        (2, "I", "0000000A"),
        (3, "I", "0000000f"),
        (4, "I", "000000AB"),
    ]


def test_a_load_without_transfer_time_is_before_every_change(silver: Silver) -> None:
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, None), loaded(2, None)])
    silver.lake.land_rows(change_path(1), [change(1, 1, op="U"), change(2, 2, op="D")])
    silver.take()
    assert silver.living() == [(1, "label 1")]
    assert silver.versions()[0] == (1, "loaded 1", datetime(1970, 1, 1), MOMENT + after(1))


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        (pa.string(), 0.000001),
        (pa.timestamp("us"), 0.000001),
        (pa.timestamp("ms"), 0.001),
        (pa.timestamp("us", tz="UTC"), 0.000001),
        (pa.timestamp("us", tz="America/Sao_Paulo"), 0.000001),
    ],
)
def test_commit_times_of_every_physical_type_mean_utc(
    silver: Silver, kind: pa.DataType, precision: float
) -> None:
    moment: Any = datetime(2026, 3, 1, 12) + after(precision)
    if kind == pa.string():
        moment = f"{moment:%Y-%m-%d %H:%M:%S.%f}"
    elif kind.tz:
        moment = pa.scalar(moment, pa.timestamp("us", tz="UTC")).as_py()
    rows = [change(1, dms_committed_at=moment, updated_at=moment)]
    types = {"dms_committed_at": kind, "updated_at": kind}
    silver.lake.land_rows(change_path(1), rows, types)
    silver.take()
    expected = datetime(2026, 3, 1, 12) + after(precision)
    assert silver.living("_committed_at, updated_at") == [(expected, expected)]


def test_names_with_ten_digits_without_date_folders_and_several_of_one_instant(
    silver: Silver,
) -> None:
    paths = [
        f"{ORDERS}/20260301-0000000001.parquet",
        f"{ORDERS}/20260301-000000001.parquet",
        f"{ORDERS}/2026/03/01/20260301-0000000001.parquet",
        f"{ORDERS}/2026/03/01/20260301-000000001_2.parquet",
    ]
    for number, path in enumerate(paths, start=1):
        silver.lake.land_rows(path, [change(1, number)])
    silver.take()
    assert [row[0] for row in silver.living()] == [1, 2, 3, 4]


def test_rows_in_no_order_and_changes_of_one_transaction(silver: Silver) -> None:
    same = {"dms_committed_at": "2026-03-01 00:00:00.000000"}
    rows = [
        change(3, 1, op="U", **same),
        change(1, 1, **same),
        change(4, 2, op="D", **same),
        change(2, 2, **same),
        change(6, 2, **same),
    ]
    silver.lake.land_rows(change_path(1), rows)
    silver.take()
    assert silver.living() == [(1, "label 3"), (2, "label 6")]
    assert [version[1] for version in silver.versions()] == ["label 3", "label 6"]


def test_a_late_file_in_an_old_folder_changes_the_past_only(silver: Silver) -> None:
    silver.lake.land_rows(change_path(2, "2026/03/02"), [change(5, 1, op="U")])
    silver.take()
    silver.lake.land_rows(change_path(1), [change(1, 1), change(2, 1, op="U")])
    silver.take()
    assert silver.living() == [(1, "label 5")]
    assert [version[1] for version in silver.versions()] == ["label 1", "label 2", "label 5"]


def test_a_late_older_change_does_not_raise_the_dead(silver: Silver) -> None:
    silver.lake.land_rows(change_path(2), [change(9, 1, op="D", label=None)])
    silver.take()
    assert silver.living() == []
    silver.lake.land_rows(change_path(1), [change(1, 1), change(2, 1, op="U")])
    silver.take()
    assert silver.living() == []
    assert silver.query("select label, _is_deleted from silver.stg_dms__orders") == [
        ("label 2", True)
    ]


def test_redelivery_under_another_name_and_overlapping_ranges_count_once(silver: Silver) -> None:
    rows = [change(number, 1, op="U") for number in range(1, 8)]
    silver.lake.land_rows(change_path(1), rows[:4])
    silver.lake.land_rows(change_path(2), rows[:4])
    silver.take()
    silver.lake.land_rows(change_path(3, "2026/03/02"), rows[2:])
    silver.lake.land_rows(f"{ORDERS}/20260302-000000004.parquet", list(reversed(rows)))
    silver.take()
    assert silver.query("select count(*) from silver.base_dms__orders") == [(7,)]
    assert [version[1] for version in silver.versions()] == [row["label"] for row in rows]


def test_several_tasks_write_one_table(tmp_path: Path) -> None:
    """Two tasks, one into the table's folder and one into another: their ranges overlap."""
    table = CdcTable(
        "orders", ["order_id"], COLUMNS, {"sequence": True, "prefixes": ["second/orders"]}
    )
    silver = open_silver(tmp_path, table)
    rows = [change(number, number % 3, op="U") for number in range(1, 10)]
    silver.lake.land_rows(change_path(1), rows[:6])
    silver.lake.land_rows("bronze/dms/second/orders/20260301-000000001.parquet", rows[3:])
    silver.lake.land_rows(f"{ORDERS}/20260301-000000001.parquet", rows[5:7])
    report = silver.take()
    assert report.unknown == {}
    assert silver.living() == [(0, "label 9"), (1, "label 7"), (2, "label 8")]
    assert silver.query("select count(*) from silver.base_dms__orders") == [(9,)]


def test_a_changed_key_closes_the_old_row(silver: Silver) -> None:
    silver.lake.land_rows(
        change_path(1), [{**change(2, 7, op="U"), "BI_order_id": 1}, change(1, 1)]
    )
    silver.take()
    assert silver.states() == [(1, True), (7, False)]
    assert silver.versions() == [
        (1, "label 1", MOMENT + after(1), MOMENT + after(2)),
        (7, "label 2", MOMENT + after(2), None),
    ]


def test_before_images_of_every_column_are_no_drift(silver: Silver) -> None:
    row = {**change(1, 1), "BI_order_id": 1, "BI_label": "before", "BI_gone": "undeclared"}
    silver.lake.land_rows(change_path(1), [row])
    report = silver.take()
    undeclared = [item.column for item in report.drift if item.change == "undeclared"]
    assert undeclared == ["BI_gone"]


def test_columns_appear_and_disappear_and_silver_reads_them_all(silver: Silver) -> None:
    bare = {key: value for key, value in change(1, 1).items() if key != "label"}
    silver.lake.land_rows(change_path(1), [bare])
    silver.lake.land_rows(change_path(2), [change(2, 2, coupon="x", updated_at=MOMENT)])
    silver.take()
    silver.lake.land_rows(change_path(3), [change(3, 3)])
    silver.take()
    assert silver.living("order_id, label, updated_at") == [
        (1, None, None),
        (2, "label 2", MOMENT),
        (3, "label 3", None),
    ]


def test_a_column_declared_later_leaves_the_identity_of_what_never_carried_it(
    tmp_path: Path,
) -> None:
    """Redelivered after the declaration, such a change is the one that silver has."""
    identities = []
    for name, more in (("before", {}), ("after", {"note": "varchar", "points": "bigint"})):
        table = CdcTable("orders", ["order_id"], {**COLUMNS, **more}, {"sequence": True})
        (tmp_path / name).mkdir()
        silver = open_silver(tmp_path / name, table)
        silver.lake.land_rows(change_path(1), [change(1, 1), change(2, 1, op="D", label=None)])
        silver.take()
        identities.append(silver.query("select _change_id from silver.base_dms__orders"))
        silver.engine.close()
    assert identities[0] == identities[1]


ODD_KEYS = [
    *("", " ", "a", "a ", " a", "A", "é", "e\u0301", "a/b", "a'b", 'a"b', "a;b=c", "\x1f", "0"),
    *("00", "NULL", "\N{GRINNING FACE}", "line\nbreak", "%_\\"),
]


@pytest.mark.parametrize("is_composite", [False, True])
def test_text_keys_differ_by_every_character(tmp_path: Path, is_composite: bool) -> None:
    """Blanks, case, unicode forms, the empty text: what the source tells apart stays apart."""
    key = ["tenant", "order_id"] if is_composite else ["order_id"]
    columns = {**dict.fromkeys(key, "varchar"), "label": "varchar"}
    silver = open_silver(tmp_path, CdcTable("orders", key, columns, {"sequence": True}))
    rows = [
        change(number, odd, tenant=ODD_KEYS[-number])
        for number, odd in enumerate(ODD_KEYS, start=1)
    ]
    silver.lake.land_rows(change_path(1), rows)
    silver.take()
    later = [
        change(100 + number, odd, op="D", label=None, tenant=ODD_KEYS[-number])
        for number, odd in enumerate(ODD_KEYS, start=1)
        if number % 2
    ]
    silver.lake.land_rows(change_path(2), later)
    silver.take()
    assert sorted(silver.states()) == sorted(
        (odd, bool(number % 2)) for number, odd in enumerate(ODD_KEYS, start=1)
    )
    assert len(silver.versions()) == len(ODD_KEYS)


def test_composite_keys_that_read_alike_when_joined_are_two(tmp_path: Path) -> None:
    key = ["tenant", "order_id"]
    columns = {"tenant": "varchar", "order_id": "varchar", "label": "varchar"}
    silver = open_silver(tmp_path, CdcTable("orders", key, columns, {"sequence": True}))
    pairs = [("a", "b/c"), ("a/b", "c"), ("a", ""), ("", "a")]
    rows = [change(n, second, tenant=first) for n, (first, second) in enumerate(pairs)]
    silver.lake.land_rows(change_path(1), rows)
    silver.take()
    silver.lake.land_rows(change_path(2), [change(9, "b/c", op="D", tenant="a")])
    silver.take()
    assert silver.living("tenant, order_id") == [("", "a"), ("a", ""), ("a/b", "c")]


def test_decimal_and_moment_keys_are_one_whatever_their_scale(tmp_path: Path) -> None:
    key = ["order_id", "updated_at"]
    columns = {"order_id": "decimal(12,3)", "updated_at": "timestamp", "label": "varchar"}
    silver = open_silver(tmp_path, CdcTable("orders", key, columns, {"sequence": True}))
    types = {"order_id": pa.decimal128(10, 2), "updated_at": pa.timestamp("ms")}
    row = change(1, Decimal("1.20"), updated_at=MOMENT)
    silver.lake.land_rows(
        change_path(1), [row, change(2, Decimal("1.25"), updated_at=MOMENT)], types
    )
    silver.take()
    row = change(3, Decimal("1.200"), op="D", updated_at=MOMENT)
    silver.lake.land_rows(change_path(2), [row], {"order_id": pa.decimal128(12, 3)})
    silver.take()
    assert silver.living("order_id") == [(Decimal("1.250"),)]


@pytest.mark.parametrize(
    ("cdc", "says"),
    [
        ({}, "declares no key. Without one, a change cannot be told from another row's"),
        ({"key": []}, "declares no key"),
        ({"key": ["nope"]}, "key column 'nope' is not among its columns"),
        ({"key": ["weight"]}, "is a double, and two doubles that print alike need not be equal"),
        ({"key": ["order_id"], "reload_at": {"elsewhere": "2026-03-01"}}, "neither the number of"),
        ({"key": ["order_id"], "reload_at": {2: "soon"}}, "give an instant in UTC"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused_with_an_explanation(
    tmp_path: Path, cdc: dict[str, Any], says: str
) -> None:
    silver = open_silver(tmp_path)
    file = silver.lake.project / "models" / "bronze" / "_sources.yml"
    declared = yaml.safe_load(file.read_text())
    table = declared["sources"][0]["tables"][0]
    table["config"]["meta"]["cdc"] = cdc
    table["columns"].append({"name": "weight", "data_type": "double"})
    file.write_text(yaml.safe_dump(declared))
    silver.lake.land_rows(change_path(1), [change(1)])
    with pytest.raises(SynapseError, match="table orders") as refused:
        silver.lake.ingest()
    assert says in str(refused.value)

"""The hazards of DMS and Debezium, one by one: from files that land to silver.

docs/hazards.md lists them all; `test_cdc_properties.py` mixes them at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from synapse.cli import app
from synapse.errors import SynapseError, UsageError
from synapse.ingest.ledger import Ledger
from synapse.ingest.service import IngestReport, ingest
from synapse_tests.cdc_project import CdcTable
from synapse_tests.ingest_lake import AS_OF, CHANGES, ORDERS, Lake, change, lines, new_lake
from synapse_tests.silver_engine import SilverEngine

NOW = AS_OF.replace(tzinfo=None)
AGAIN = "bronze/dms/again/orders"
COLUMNS = {"order_id": "bigint", "label": "varchar", "updated_at": "timestamp"}
ORDERS_TABLE = CdcTable("orders", ["order_id"], COLUMNS, {"sequence": True})
State = list[tuple[Any, ...]]


@dataclass
class Silver:
    """A lake with one declared table, and silver over it."""

    lake: Lake
    table: CdcTable
    engine: SilverEngine

    def take(self, as_of: datetime = AS_OF) -> IngestReport:
        """Ingest, then one incremental run; whatever it reads, a rebuild must read the same."""
        report = self.lake.ingest(as_of)
        if self.lake.manifest():
            self.engine.run()
        return report

    def living(self, columns: str = "order_id, label") -> State:
        """Rows of the current state that are not deleted."""
        return self.query(f"select {columns} from silver.stg_dms__orders where not _is_deleted")

    def states(self) -> State:
        """Key and whether it is deleted."""
        return self.query("select order_id, _is_deleted from silver.stg_dms__orders")

    def versions(self) -> State:
        """The history: key, label, from, to."""
        return self.engine.connection.execute(
            "select order_id, label, _valid_from, _valid_to from silver.hist_dms__orders "
            "order by order_id, _version"
        ).fetchall()

    def query(self, sql: str) -> State:
        """Sorted rows."""
        return self.engine.connection.execute(f"{sql} order by all").fetchall()


def open_silver(folder: Path, table: CdcTable = ORDERS_TABLE) -> Silver:
    """An empty lake whose project declares the table (and the usual topics)."""
    lake = new_lake(folder)
    file = lake.project / "models" / "bronze" / "_sources.yml"
    declared = yaml.safe_load(file.read_text())
    (entry,) = [t for t in declared["sources"][0]["tables"] if t["name"] == "orders"]
    entry["config"]["meta"]["cdc"] = {"key": list(table.key), **table.cdc}
    entry["columns"] = [{"name": n, "data_type": kind} for n, kind in table.columns.items()]
    file.write_text(yaml.safe_dump(declared))
    return Silver(lake, table, SilverEngine(lake.root, "shop", [table]))


@pytest.fixture
def silver(tmp_path: Path) -> Iterator[Silver]:
    opened = open_silver(tmp_path)
    yield opened
    opened.engine.close()


def name(number: int, day: str = "2026/03/01") -> str:
    """A change file's path."""
    return f"{ORDERS}/{day}/{day.replace('/', '')}-{number:09d}.parquet"


def loaded(order_id: Any, moment: datetime | None, **values: Any) -> dict[str, Any]:
    """A row of a full load."""
    stamp = {} if moment is None else {"dms_committed_at": f"{moment:%Y-%m-%d %H:%M:%S.%f}"}
    return {"Op": "I", **stamp, "order_id": order_id, "label": f"loaded {order_id}", **values}


def envelope(op: str, position: int, moment: datetime, **images: Any) -> dict[str, Any]:
    """A Debezium record from MySQL."""
    milliseconds = int((moment - datetime(1970, 1, 1)) / timedelta(milliseconds=1))
    source = {"ts_ms": milliseconds, "file": "mysql-bin.000003", "pos": position, "row": 0}
    return {"op": op, "source": source, **images}


def deliver(silver: Silver, offset: int, records: list[Any]) -> None:
    """Land a file of the table's Debezium topic."""
    silver.lake.land(f"{CHANGES}/cdc.shop.orders+0+{offset:010d}.json", lines(records))


MOMENT = datetime(2026, 3, 1)


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
    silver.lake.land_rows(name(1), [change(1, 1, op="U"), change(2, 2, op="D")])
    silver.take()
    assert silver.living() == [(1, "label 1")]
    assert silver.versions()[0] == (1, "loaded 1", datetime(1970, 1, 1), MOMENT + _s(1))


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


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
    moment: Any = datetime(2026, 3, 1, 12) + _s(precision)
    if kind == pa.string():
        moment = f"{moment:%Y-%m-%d %H:%M:%S.%f}"
    elif kind.tz:
        moment = pa.scalar(moment, pa.timestamp("us", tz="UTC")).as_py()
    rows = [change(1, dms_committed_at=moment, updated_at=moment)]
    types = {"dms_committed_at": kind, "updated_at": kind}
    silver.lake.land_rows(name(1), rows, types)
    silver.take()
    expected = datetime(2026, 3, 1, 12) + _s(precision)
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
    silver.lake.land_rows(name(1), rows)
    silver.take()
    assert silver.living() == [(1, "label 3"), (2, "label 6")]
    assert [version[1] for version in silver.versions()] == ["label 3", "label 6"]


def test_a_late_file_in_an_old_folder_changes_the_past_only(silver: Silver) -> None:
    silver.lake.land_rows(name(2, "2026/03/02"), [change(5, 1, op="U")])
    silver.take()
    silver.lake.land_rows(name(1), [change(1, 1), change(2, 1, op="U")])
    silver.take()
    assert silver.living() == [(1, "label 5")]
    assert [version[1] for version in silver.versions()] == ["label 1", "label 2", "label 5"]


def test_a_late_older_change_does_not_raise_the_dead(silver: Silver) -> None:
    silver.lake.land_rows(name(2), [change(9, 1, op="D", label=None)])
    silver.take()
    assert silver.living() == []
    silver.lake.land_rows(name(1), [change(1, 1), change(2, 1, op="U")])
    silver.take()
    assert silver.living() == []
    assert silver.query("select label, _is_deleted from silver.stg_dms__orders") == [
        ("label 2", True)
    ]


def test_redelivery_under_another_name_and_overlapping_ranges_count_once(silver: Silver) -> None:
    rows = [change(number, 1, op="U") for number in range(1, 8)]
    silver.lake.land_rows(name(1), rows[:4])
    silver.lake.land_rows(name(2), rows[:4])
    silver.take()
    silver.lake.land_rows(name(3, "2026/03/02"), rows[2:])
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
    silver.lake.land_rows(name(1), rows[:6])
    silver.lake.land_rows("bronze/dms/second/orders/20260301-000000001.parquet", rows[3:])
    silver.lake.land_rows(f"{ORDERS}/20260301-000000001.parquet", rows[5:7])
    report = silver.take()
    assert report.unknown == {}
    assert silver.living() == [(0, "label 9"), (1, "label 7"), (2, "label 8")]
    assert silver.query("select count(*) from silver.base_dms__orders") == [(9,)]


def test_a_changed_key_closes_the_old_row(silver: Silver) -> None:
    silver.lake.land_rows(name(1), [{**change(2, 7, op="U"), "BI_order_id": 1}, change(1, 1)])
    silver.take()
    assert silver.states() == [(1, True), (7, False)]
    assert silver.versions() == [
        (1, "label 1", MOMENT + _s(1), MOMENT + _s(2)),
        (7, "label 2", MOMENT + _s(2), None),
    ]


def test_before_images_of_every_column_are_no_drift(silver: Silver) -> None:
    row = {**change(1, 1), "BI_order_id": 1, "BI_label": "before", "BI_gone": "undeclared"}
    silver.lake.land_rows(name(1), [row])
    report = silver.take()
    undeclared = [item.column for item in report.drift if item.change == "undeclared"]
    assert undeclared == ["BI_gone"]


def test_columns_appear_and_disappear_and_silver_reads_them_all(silver: Silver) -> None:
    bare = {key: value for key, value in change(1, 1).items() if key != "label"}
    silver.lake.land_rows(name(1), [bare])
    silver.lake.land_rows(name(2), [change(2, 2, coupon="x", updated_at=MOMENT)])
    silver.take()
    silver.lake.land_rows(name(3), [change(3, 3)])
    silver.take()
    assert silver.living("order_id, label, updated_at") == [
        (1, None, None),
        (2, "label 2", MOMENT),
        (3, "label 3", None),
    ]


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
    silver.lake.land_rows(name(1), rows)
    silver.take()
    later = [
        change(100 + number, odd, op="D", label=None, tenant=ODD_KEYS[-number])
        for number, odd in enumerate(ODD_KEYS, start=1)
        if number % 2
    ]
    silver.lake.land_rows(name(2), later)
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
    silver.lake.land_rows(name(1), rows)
    silver.take()
    silver.lake.land_rows(name(2), [change(9, "b/c", op="D", tenant="a")])
    silver.take()
    assert silver.living("tenant, order_id") == [("", "a"), ("a", ""), ("a/b", "c")]


def test_decimal_and_moment_keys_are_one_whatever_their_scale(tmp_path: Path) -> None:
    key = ["order_id", "updated_at"]
    columns = {"order_id": "decimal(12,3)", "updated_at": "timestamp", "label": "varchar"}
    silver = open_silver(tmp_path, CdcTable("orders", key, columns, {"sequence": True}))
    types = {"order_id": pa.decimal128(10, 2), "updated_at": pa.timestamp("ms")}
    row = change(1, Decimal("1.20"), updated_at=MOMENT)
    silver.lake.land_rows(name(1), [row, change(2, Decimal("1.25"), updated_at=MOMENT)], types)
    silver.take()
    row = change(3, Decimal("1.200"), op="D", updated_at=MOMENT)
    silver.lake.land_rows(name(2), [row], {"order_id": pa.decimal128(12, 3)})
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
    silver.lake.land_rows(name(1), [change(1)])
    with pytest.raises(SynapseError, match="table orders") as refused:
        silver.lake.ingest()
    assert says in str(refused.value)


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
    stamp = f"{second - _s(1):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(name(1), [change(1, 2, op="U", dms_committed_at=stamp)])
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
    silver.lake.land_rows(f"{AGAIN}/LOAD00000002.parquet", [loaded(3, second + _s(1))])
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
    silver.lake.land_rows(name(1), [change(1)])
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
    later = MOMENT + _s(9)
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
    old = envelope("c", 1, MOMENT - _s(60), after={"order_id": 1, "label": "old"})
    new = envelope("c", 3, MOMENT, after={"order_id": 2, "label": "new"})
    deliver(silver, 0, [old, new, envelope("t", 2, MOMENT)])
    silver.take()
    assert silver.states() == [(1, True), (2, False)]


def test_files_that_vanish_from_bronze_are_told_and_stay_accepted(silver: Silver) -> None:
    silver.lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [loaded(1, NOW - timedelta(days=2))])
    one = silver.lake.land_rows(name(1), [change(1, 2)])
    silver.lake.land_rows(name(2), [change(2, 3)])
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
    silver.lake.land_rows(name(1), [change(1, 2)])
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
    stamp = f"{started + _s(5):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(name(1), [change(999, 2, op="U", dms_committed_at=stamp)])
    silver.take()
    # A DMS sequence is larger than any position of a binlog: it must not win.
    live = envelope(
        "u", 7, switched + _s(9), before=None, after={"order_id": 2, "label": "by debezium"}
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
    deliver(silver, 6, [envelope("d", 8, switched + _s(20), before={"order_id": 2})])
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
            envelope("u", 2, started + _s(5), after={"order_id": 1, "label": "live"}),
        ],
    )
    silver.take()
    stamp = f"{switched + _s(5):%Y-%m-%d %H:%M:%S.%f}"
    silver.lake.land_rows(name(1), [change(1, 1, op="U", dms_committed_at=stamp, label="by dms")])
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

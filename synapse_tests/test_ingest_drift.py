"""Columns that appear, disappear, are renamed or change their type: told, and nothing lost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, select

from synapse.declarations import Column
from synapse.ingest import tables
from synapse.ingest.layouts import Layouts
from synapse.ingest.ledger_rows import add_drift
from synapse.ingest.lossless import compare_types, conversion
from synapse.ingest.model import Drift, DriftKind
from synapse.ingest.quarantine import entries
from synapse.ingest.replay import replay
from synapse_tests.ingest_lake import AS_OF, ORDERS, SOURCE, Lake, change, new_lake

FIRST = f"{ORDERS}/2026/03/01/20260301-000000001.parquet"
SECOND = f"{ORDERS}/2026/03/02/20260302-000000001.parquet"
LATE = f"{ORDERS}/2026/02/01/20260201-000000001.parquet"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def land(lake: Lake, path: str, types: dict[str, pa.DataType] | None = None, **values: Any) -> None:
    """Land one change of another key for each file, so that no two files hold the same bytes."""
    number = int("".join(filter(str.isdigit, path.rsplit("/", 1)[-1]))) % 1_000_000_007
    lake.land_rows(path, [change(number, number, **values)], types)


def told(lake: Lake) -> list[tuple[str, str, str, str]]:
    """What an ingest says of drift between files; the declaration's own is another matter."""
    by_declaration = (DriftKind.UNDECLARED, DriftKind.MISSING)
    return sorted(
        (item.change.value, item.was, item.column, item.physical_type)
        for item in lake.ingest().drift
        if item.change not in by_declaration
    )


def test_a_first_file_has_nothing_to_differ_from(lake: Lake) -> None:
    land(lake, FIRST, coupon="x")
    assert told(lake) == []


def test_added_and_dropped_columns_are_told_once(lake: Lake) -> None:
    land(lake, FIRST, amount=Decimal("1.00"))
    lake.ingest()
    land(lake, SECOND, is_paid=True)
    assert told(lake) == [
        ("added", "", "is_paid", "BOOLEAN"),
        ("dropped", "", "amount", "DECIMAL(3,2)"),
    ]
    land(lake, SECOND.replace("20260302", "20260303"), is_paid=True)
    assert told(lake) == []


def test_a_column_that_goes_as_another_of_its_type_comes_is_a_likely_rename(lake: Lake) -> None:
    land(lake, FIRST, coupon="x", weight=1.0)
    lake.ingest()
    land(lake, SECOND, voucher="x", is_paid=True)
    assert told(lake) == [
        ("added", "", "is_paid", "BOOLEAN"),
        ("dropped", "", "weight", "DOUBLE"),
        ("renamed", "coupon", "voucher", "VARCHAR"),
    ]
    lake.land_rows(SECOND.replace("20260302", "20260303"), [change(3, 3, coupon="x", weight=1.0)])
    sentences = [notice for notice in lake.ingest().notices if "probably called" in notice]
    assert sentences == [
        f"{SOURCE}: column voucher is probably called coupon (VARCHAR) since {ORDERS}/2026/03/02/"
        "20260303-000000001.parquet: one went as the other came; declare the new name, and "
        "coalesce the two where both are read"
    ]


def test_renames_of_one_type_are_told_apart_by_their_place(lake: Lake) -> None:
    land(lake, FIRST, one="x", two="y")
    lake.ingest()
    land(lake, SECOND, uno="x", due="y")
    assert told(lake) == [
        ("renamed", "one", "uno", "VARCHAR"),
        ("renamed", "two", "due", "VARCHAR"),
    ]


def test_a_renamed_key_refuses_the_file_and_says_what_happened(lake: Lake) -> None:
    land(lake, FIRST)
    lake.ingest()
    row = change(2)
    row["id"] = row.pop("order_id")
    lake.land_rows(SECOND, [row])
    assert told(lake) == [("renamed", "order_id", "id", "BIGINT")]
    (entry,) = entries(lake.settings)
    assert entry.rule == "key_present"


def test_a_late_file_of_an_older_layout_is_no_news(lake: Lake) -> None:
    land(lake, FIRST, is_paid=True)
    lake.ingest()
    land(lake, LATE)
    assert told(lake) == []
    land(lake, SECOND, is_paid=True)
    assert told(lake) == []


def test_files_of_one_ingest_are_compared_in_the_order_in_which_they_were_written(
    lake: Lake,
) -> None:
    land(lake, SECOND, is_paid=True)
    land(lake, LATE)
    land(lake, FIRST)
    assert told(lake) == [("added", "", "is_paid", "BOOLEAN")]


@pytest.mark.parametrize(
    ("old", "new", "change_told"),
    [
        (pa.int32(), pa.int64(), "widened"),
        (pa.int64(), pa.int32(), "narrowed"),
        (pa.int64(), pa.decimal128(19, 0), "widened"),
        (pa.int64(), pa.float64(), "retyped"),
    ],
)
def test_a_changed_type_is_told_and_its_values_flow(
    lake: Lake, old: pa.DataType, new: pa.DataType, change_told: str
) -> None:
    land(lake, FIRST, {"order_id": old})
    lake.ingest()
    land(lake, SECOND, {"order_id": new})
    ((told_as, _, column, _),) = told(lake)
    assert (told_as, column) == (change_told, "order_id")
    assert len(lake.rows(SOURCE, "order_id")) == 2


def test_a_widening_flows_up_to_the_declared_type_and_the_rest_waits_for_a_wider_one(
    lake: Lake,
) -> None:
    land(lake, FIRST, {"amount": pa.decimal128(10, 2)}, amount=Decimal("1.20"))
    lake.ingest()
    rows = [change(1, 1, amount=Decimal("7.5000")), change(2, 2, amount=Decimal("7.5001"))]
    lake.land_rows(SECOND, rows, {"amount": pa.decimal128(18, 4)})
    assert told(lake) == [("widened", "DECIMAL(10,2)", "amount", "DECIMAL(18,4)")]
    assert Decimal("7.50") in {row[0] for row in lake.rows(SOURCE, "amount")}
    (entry,) = entries(lake.settings)
    assert (entry.rule, entry.number) == ("column_type", 2)
    assert "amount is '7.5001'" in entry.sentence
    assert "DECIMAL(18,4) and holds more: declare such a type" in entry.sentence
    declared = lake.project / "models" / "bronze" / "_sources.yml"
    declared.write_text(declared.read_text().replace("decimal(10,2)", "decimal(18,4)"))
    assert replay(lake.settings, lake.project, as_of=AS_OF).accepted == [entry.id]
    assert Decimal("7.5001") in {row[0] for row in lake.rows(SOURCE, "amount")}


TYPES = [
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", "HUGEINT"),
    *("DECIMAL(9,2)", "DECIMAL(10,2)", "DECIMAL(18,2)", "DECIMAL(18,4)", "DECIMAL(38,0)"),
    *("FLOAT", "DOUBLE", "VARCHAR", "BOOLEAN", "BLOB"),
    *("DATE", "TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"),
]


@given(st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_widened_one_way_is_narrowed_the_other(before: str, after: str) -> None:
    there, back = compare_types(before, after), compare_types(after, before)
    opposite = {DriftKind.WIDENED: DriftKind.NARROWED, DriftKind.NARROWED: DriftKind.WIDENED}
    assert back == (opposite.get(there, there) if there else None)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("SMALLINT", "bigint"), ("INTEGER", "double"), ("DECIMAL(9,2)", "decimal(18,4)")],
)
def test_what_is_called_a_widening_converts_without_a_test(narrow: str, wide: str) -> None:
    found = conversion("x", narrow, Column("x", wide))
    assert found is not None
    assert found.test is None
    assert compare_types(narrow, wide.upper()) is DriftKind.WIDENED


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"), st.sampled_from(["INTEGER", "BIGINT", "VARCHAR"]), min_size=1
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_told_turns_each_layout_into_the_next(generations: list[dict[str, str]]) -> None:
    layouts = Layouts("s", [])
    replayed: dict[str, str] = dict(generations[0])
    for number, generation in enumerate(generations):
        for item in layouts.see(f"file {number}", f"{number:03d}", generation):
            if item.change in (DriftKind.DROPPED, DriftKind.RENAMED):
                replayed.pop(item.was or item.column)
            if item.change is not DriftKind.DROPPED:
                replayed[item.column] = item.physical_type
        current = {item.column: item.physical_type for item in layouts.columns if item.is_current}
        assert current == generation
        assert replayed == generation


LAYOUTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.sampled_from(["INTEGER", "VARCHAR"]), min_size=1
)


@given(LAYOUTS, LAYOUTS)
def test_a_rename_is_the_only_one_of_its_type_or_keeps_its_place(
    before: dict[str, str], after: dict[str, str]
) -> None:
    layouts = Layouts("s", [])
    layouts.see("file 1", "1", before)
    drift = layouts.see("file 2", "2", after)
    went = [name for name in before if name not in after]
    came = [name for name in after if name not in before]
    expected = {
        (old, new)
        for old in went
        for new in came
        if before[old] == after[new]
        and (
            [before[each] for each in went].count(before[old])
            == [after[each] for each in came].count(after[new])
            == 1
            or [*before].index(old) == [*after].index(new)
        )
    }
    told = {(item.was, item.column) for item in drift if item.change is DriftKind.RENAMED}
    assert told == expected


def test_drift_of_many_columns_takes_few_statements_and_is_seen_again() -> None:
    """A hostile file has a hundred thousand columns."""
    engine = create_engine("sqlite://")
    tables.DRIFT.create(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    first, then = datetime(2026, 3, 1), datetime(2026, 3, 2)
    many = [Drift("s", f"c{n}", DriftKind.ADDED, "BIGINT", "file") for n in range(12_000)]
    with engine.begin() as connection:
        add_drift(connection, "run 1", [*many[:6_000], *many[:6_000]], first)
        add_drift(connection, "run 2", many, then)
        assert len(statements) <= 10
        rows = connection.execute(select(tables.DRIFT)).all()
    assert {row.column_name: (row.run_id, row.first_seen, row.last_seen) for row in rows} == {
        item.column: ("run 1", first, then) if n < 6_000 else ("run 2", then, then)
        for n, item in enumerate(many)
    }
    assert len(rows) == len(many)

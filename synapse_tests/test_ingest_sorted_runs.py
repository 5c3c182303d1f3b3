"""Runs that are sorted on disk merge to what one sort gives, and few rows are ever held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.ingest import runs
from synapse.ingest.runs import merge_runs, write_run

KEYS = ("at", "partition", "name")
SCHEMA = pa.schema([("at", pa.int64()), ("partition", pa.int32()), ("name", pa.string())])
Row = tuple[int, int | None, str | None]
ROWS = st.tuples(
    st.integers(0, 3),
    st.none() | st.integers(0, 2),
    st.none() | st.sampled_from(["", "a", "b", "\uffff", "\U0001f600"]),
)


def written(folder: Path, number: int, rows: Sequence[Row]) -> Path:
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.table(dict(zip(KEYS, columns, strict=True)), schema=SCHEMA)
    path = folder / f"{number}.arrow"
    write_run(iter([table.sort_by([(key, "ascending") for key in KEYS])]), path)
    return path


def in_one_sort(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """NULL last, text by its bytes: the order of Arrow, written by hand."""
    return sorted(
        (row for part in parts for row in part),
        key=lambda row: [
            (value is None, value.encode() if isinstance(value, str) else value or 0)
            for value in row
        ],
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=40), min_size=1, max_size=6))
def test_a_merge_is_one_sort_of_all(parts: list[list[Row]]) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(runs, "_ROWS_HELD", 4)
        patch.setattr(runs, "_ROWS_PER_BATCH", 2)
        paths = [written(Path(folder), number, rows) for number, rows in enumerate(parts)]
        merged = [
            tuple(row.values()) for table in merge_runs(paths, KEYS) for row in table.to_pylist()
        ]
    assert merged == in_one_sort(parts)


@pytest.mark.parametrize("shared", [1, 2, 3])
def test_rows_that_have_keys_in_common_are_not_held_together(tmp_path: Path, shared: int) -> None:
    """A bomb of records says one time a million times."""
    total, each = 40, 5_000

    def row(number: int) -> Row:
        own: Row = (number, number, str(number).zfill(9))
        alike: Row = (7, 7, "same")
        return (*alike[:shared], *own[shared:])  # type: ignore[return-value]

    paths = [
        written(tmp_path, run, [row(number * total + run) for number in range(each)])
        for run in range(total)
    ]
    sizes = [table.num_rows for table in merge_runs(paths, KEYS)]
    assert sum(sizes) == total * each
    # Each run has its share at hand, and what a batch goes beyond it.
    assert max(sizes) <= runs._ROWS_HELD + total * runs._ROWS_PER_BATCH

"""Sorted runs on disk and their merge, in memory that does not grow with the volume.

DuckDB's sort gives up below about 100 MB of memory; runs that are sorted already need far less.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

# Rows of all runs together that the merge holds; each run gets its share.
_ROWS_HELD = 20_000
# What of each run is at hand at least: however many runs there are, together they hold little.
_ROWS_PER_BATCH = 256
_Place = tuple[tuple[bool, Any], ...]
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def write_run(tables: Iterator[pa.Table], path: Path) -> None:
    """Write sorted rows, of which there is one table at least."""
    first = next(tables)
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, first.schema, options=_OPTIONS) as writer,
    ):
        for table in chain([first], tables):
            writer.write_table(table, max_chunksize=_ROWS_PER_BATCH)
            # What compression took in small pieces would stay with the process, run by run more.
            pa.default_memory_pool().release_unused()


def merge_runs(paths: Sequence[Path], keys: Sequence[str]) -> Iterator[pa.Table]:
    """All rows of the runs in the order of `keys`, NULL last.

    In each round, every row that lies no further than the least of what the runs have shown so far
    is at hand, whichever run it is in: those rows are sorted and given out. All keys are compared:
    of rows that have the first one in common, however many, no more than the others are held.
    """
    rows = max(_ROWS_HELD // len(paths), 1)
    runs = [_Run(path, keys, rows) for path in paths]
    order = [(key, "ascending") for key in keys]
    while any(not run.is_empty for run in runs):
        for run in runs:
            run.fill()
        horizon = min((run.last for run in runs if run.has_more), default=None)
        ready = [part for run in runs if (part := run.up_to(horizon)) is not None]
        # Files that come in the order of time make runs that hardly overlap.
        yield ready[0] if len(ready) == 1 else pa.concat_tables(ready).sort_by(order)


class _Run:
    """What is at hand of one run."""

    def __init__(self, path: Path, keys: Sequence[str], rows: int) -> None:
        self._file = pa.ipc.open_file(pa.OSFile(str(path)))
        self._keys = keys
        self._rows = rows
        self._next = 0
        self._held: pa.Table | None = None
        self._first: _Place = ()
        self.last: _Place = ()
        """The place of the last row at hand."""

    @property
    def has_more(self) -> bool:
        """Whether rows are left that are not at hand."""
        return bool(self._next < self._file.num_record_batches)

    @property
    def is_empty(self) -> bool:
        """Whether all has been given out."""
        return self._held is None and not self.has_more

    def fill(self) -> None:
        """Have enough rows at hand."""
        while self.has_more and (self._held is None or self._held.num_rows < self._rows):
            batch = pa.Table.from_batches([self._file.get_batch(self._next)])
            self._next += 1
            self._held = batch if self._held is None else pa.concat_tables([self._held, batch])
            self._first = _place(self._held, self._keys, 0)
            self.last = _place(self._held, self._keys, self._held.num_rows - 1)

    def up_to(self, horizon: _Place | None) -> pa.Table | None:
        """Take the rows that lie no further than `horizon`, all of them for None, if any."""
        table = self._held
        if table is None or horizon is None or self.last <= horizon:
            self._held = None
            return table
        if self._first > horizon:
            return None
        count = bisect_right(
            range(table.num_rows), horizon, key=lambda row: _place(table, self._keys, row)
        )
        self._held = table.slice(count)
        self._first = _place(table, self._keys, count)
        return table.slice(0, count)


def _place(table: pa.Table, keys: Sequence[str], row: int) -> _Place:
    """Where a row lies in the order of Arrow's sort: NULL after all values."""
    values = [table.column(key)[row].as_py() for key in keys]
    return tuple((value is None, "" if value is None else value) for value in values)

"""Consolidated Parquet parts: one folder a topic and date, sorted, never rewritten in place.

What does not fit in memory is written aside in sorted runs, which are merged in the end: so a large
volume becomes parts of about TARGET_BYTES, and memory stays the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synapse.declarations import moments_of
from synapse.ingest import TOPICS_ROOT
from synapse.ingest.files import close_quietly, sha256_of
from synapse.ingest.model import Kind, ManifestRow
from synapse.ingest.moments import layout_of_schema
from synapse.ingest.runs import merge_runs, write_run
from synapse.ingest.shapes import Rowset, Shape, lineage_prefix
from synapse.lake import Lake
from synapse.whole_files import aside

# Between 128 and 256 MB is what Athena and DuckDB scan best.
TARGET_BYTES = 192 * 1024 * 1024
# A rest smaller than this share of a part is written with the part before it.
_LEAST_SHARE = 1 / 3
# Typed rows held before a run is written: a day of 70,000 events (71 MB) is sorted once, in memory.
_BYTES_HELD = 80 * 1024 * 1024
_ROWS_PER_GROUP = 30_000
# Rows of what is held that are put in order at once; the order itself is known of all.
_ROWS_PER_SLICE = 10_000
_EPOCH = date(1970, 1, 1)


@dataclass
class _Runs:
    """Sorted runs of one kind and day, on disk."""

    paths: list[Path] = field(default_factory=list)
    rows: int = 0


class PartWriter:
    """Gathers the rows of one topic and writes its parts.

    epoch is that of load rows; scratch is a folder for runs, made when needed.
    """

    def __init__(
        self, lake: Lake, topic: str, shape: Shape, part_id: str, epoch: int, scratch: Path
    ) -> None:
        self._lake = lake
        self._topic = topic
        self._shape = shape
        self._part_id = part_id
        self._epoch = epoch
        self._scratch = scratch
        self._written: list[ManifestRow] = []
        self._is_cdc = shape.source.startswith("dms.")
        self._held: dict[Kind, list[pa.Table]] = {}
        self._held_bytes = 0
        self._runs: dict[tuple[Kind, date], _Runs] = {}

    def add(self, rowsets: Iterable[Rowset]) -> None:
        """Take rows; writes a run when enough are held."""
        for rowset in rowsets:
            if rowset.table.num_rows:
                self._held.setdefault(rowset.kind, []).append(rowset.table)
                self._held_bytes += rowset.table.nbytes
        if self._held_bytes > _BYTES_HELD:
            self._spill()

    def finish(self) -> list[ManifestRow]:
        """Write the parts; return a manifest row for each."""
        if not self._runs:
            for kind, day, count, tables in self._days():
                self._write(kind, day, count, _made_ahead(_regrouped(tables)))
            return self._written
        self._spill()
        for (kind, day), runs in sorted(self._runs.items()):
            rows = merge_runs(runs.paths, self._sort_keys())
            self._write(kind, day, runs.rows, _regrouped(rows))
        shutil.rmtree(self._scratch)
        return self._written

    def discard(self) -> None:
        """Give up what was taken; nothing of it has been written where it could be seen."""
        self._held, self._held_bytes, self._runs = {}, 0, {}
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _spill(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        for kind, day, rows, tables in self._days():
            runs = self._runs.setdefault((kind, day), _Runs())
            path = self._scratch / f"{self._topic}-{kind}-{day}-{len(runs.paths)}.arrow"
            write_run(tables, path)
            runs.paths.append(path)
            runs.rows += rows

    def _days(self) -> Iterator[tuple[Kind, date, int, Iterator[pa.Table]]]:
        """What is held, by kind and UTC date: how many rows, and those, sorted, in slices.

        It is held no longer.
        """
        held, self._held, self._held_bytes = self._held, {}, 0
        for kind in sorted(held):
            table = _in_one_piece(held.pop(kind))
            days = self._day_numbers(table)
            keys = pa.table({"_day": days, **{key: table[key] for key in self._sort_keys()}})
            order = pc.sort_indices(keys, [(key, "ascending") for key in keys.column_names])
            start = 0
            for item in sorted(pc.value_counts(days).to_pylist(), key=itemgetter("values")):
                rows = item["counts"]
                day = _EPOCH + timedelta(days=item["values"])
                yield kind, day, rows, _in_order(table, order.slice(start, rows))
                start += rows

    def _sort_keys(self) -> tuple[str, ...]:
        named = (self._shape.time_column, *self._shape.sort_by)
        return (*named, "_kafka_partition", "_kafka_offset", "_payload_hash")

    def _day_numbers(self, table: pa.Table) -> pa.ChunkedArray:
        """The UTC date of each row, as days since 1970."""
        times = table.column(self._shape.time_column)
        if self._is_cdc:
            times = pc.strptime(pc.utf8_slice_codeunits(times, 0, 10), "%Y-%m-%d", "us")
        return times.cast(pa.date32(), safe=False).cast(pa.int32())

    def _write(self, kind: Kind, day: date, rows: int, tables: Iterator[pa.Table]) -> None:
        """Write parts of one day until there are no rows left."""
        while rows:
            rows -= self._write_part(kind, day, rows, tables)

    def _write_part(self, kind: Kind, day: date, rows: int, tables: Iterator[pa.Table]) -> int:
        """Write one part of at most `rows` rows; return how many it has."""
        path = (
            f"consolidated/{self._topic}/date={day.isoformat()}/"
            f"part-{self._part_id}-{len(self._written) + 1:05d}.parquet"
        )
        target = self._lake.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = aside(target)
        first = next(tables)
        schema = first.schema
        earliest = first.column(self._shape.time_column)[0].as_py()
        # A dictionary of values that hardly repeat would cost time for nothing.
        unique = {*self._sort_keys(), f"{lineage_prefix(self._shape)}_line"}
        repeating = [name for name in first.column_names if name not in unique]
        written = 0
        with pa.OSFile(str(temporary), "wb") as sink:
            writer = pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=repeating)
            try:
                table: pa.Table | None = first
                del first  # no more than one group of rows is held while the next one is made
                while table is not None:
                    writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
                    written += table.num_rows
                    table = None
                    rest = (rows - written) * sink.tell() / written
                    if sink.tell() >= TARGET_BYTES and rest >= TARGET_BYTES * _LEAST_SHARE:
                        break
                    table = next(tables, None)
                writer.close()
            except BaseException:
                close_quietly(writer)
                raise
        is_load = kind is Kind.LOAD
        self._written.append(
            ManifestRow(
                path=path,
                landed_path=f"{TOPICS_ROOT}/{self._topic}",
                source=self._shape.source,
                kind=kind,
                rows=written,
                bytes=temporary.stat().st_size,
                sha256=sha256_of(temporary),
                epoch=self._epoch if is_load else None,
                epoch_at=datetime.fromisoformat(earliest) if is_load else None,
                layout=layout_of_schema(
                    schema, [*moments_of(self._shape.columns), self._shape.time_column]
                ),
            )
        )
        temporary.replace(target)
        self._lake.publish(path)
        return written


def _in_one_piece(tables: list[pa.Table]) -> pa.Table:
    """The rows of tables, which are emptied on the way, with each column in one chunk.

    Rows are then picked in another order at a fifth of the price. No more than one column is held
    twice.
    """
    schema = tables[0].schema
    columns = []
    for field_ in schema:
        chunks = [chunk for table in tables for chunk in table[field_.name].chunks]
        tables[:] = [table.drop_columns(field_.name) for table in tables]
        columns.append(pa.concat_arrays(chunks))
        del chunks
        # The many small pieces of memory go back to the system before the next large one is asked.
        pa.default_memory_pool().release_unused()
    return pa.table(columns, schema=schema)


def _in_order(table: pa.Table, order: pa.Array) -> Iterator[pa.Table]:
    """The rows at some indices, a slice at a time."""
    for start in range(0, len(order), _ROWS_PER_SLICE):
        yield table.take(order.slice(start, _ROWS_PER_SLICE))


def _regrouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of the size of a row group."""
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        del table
        if rows >= _ROWS_PER_GROUP:
            group, held, rows = pa.concat_tables(held), [], 0
            yield group
            del group
    if held:
        yield pa.concat_tables(held)


def _made_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables, each made while the one before it is written: Arrow does both unlocked.

    That is one group of rows more, for which there is room where there was room for all.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, tables, None)
        while (table := coming.result()) is not None:
            coming = pool.submit(next, tables, None)
            yield table
            del table

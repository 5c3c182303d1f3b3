"""Consolidated Parquet parts: one folder a topic and date, sorted, never rewritten in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synapse.ingest.files import sha256_of, write_atomically
from synapse.ingest.model import Kind, ManifestRow
from synapse.ingest.shapes import Shape

# Typed rows held before parts are written: bounds memory, whatever the number of files.
_BYTES_PER_FLUSH = 64 * 1024 * 1024
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Rowset:
    """Typed rows of one kind."""

    kind: Kind
    table: pa.Table


def lineage_prefix(shape: Shape) -> str:
    """What the columns <prefix>_file and <prefix>_line of a part begin with."""
    return "_landed" if shape.source.startswith("dms.") else "_source"


class PartWriter:
    """Gathers the rows of one topic and writes its parts. epoch is that of load rows."""

    def __init__(self, lake: Path, topic: str, shape: Shape, part_id: str, epoch: int) -> None:
        self._lake = lake
        self._topic = topic
        self._shape = shape
        self._part_id = part_id
        self._epoch = epoch
        self._written: list[ManifestRow] = []
        self._is_cdc = shape.source.startswith("dms.")
        self._held: dict[Kind, list[pa.Table]] = {}
        self._held_bytes = 0

    def add(self, rowsets: Iterable[Rowset]) -> None:
        """Take rows; writes parts when enough are held."""
        for rowset in rowsets:
            self._held.setdefault(rowset.kind, []).append(rowset.table)
            self._held_bytes += rowset.table.nbytes
        if self._held_bytes > _BYTES_PER_FLUSH:
            self._flush()

    def finish(self) -> list[ManifestRow]:
        """Write what is left; return a manifest row for every part."""
        self._flush()
        return self._written

    def _flush(self) -> None:
        for kind, tables in sorted(self._held.items()):
            table = pa.concat_tables(tables)
            table = table.append_column("_day", self._days(table))
            table = table.sort_by([(key, "ascending") for key in ("_day", *self._sort_keys())])
            days = table.column("_day")
            table = table.drop_columns("_day")
            start = 0
            for item in pc.value_counts(days.combine_chunks()):
                rows = item["counts"].as_py()
                day = _EPOCH + timedelta(days=item["values"].as_py())
                self._write(kind, day, table.slice(start, rows))
                start += rows
        self._held = {}
        self._held_bytes = 0

    def _sort_keys(self) -> tuple[str, ...]:
        named = (self._shape.time_column, *self._shape.sort_by)
        return (*named, "_kafka_partition", "_kafka_offset", "_payload_hash")

    def _days(self, table: pa.Table) -> pa.Array:
        """The UTC date of each row, as days since 1970."""
        times = table.column(self._shape.time_column)
        if self._is_cdc:
            times = pc.strptime(pc.utf8_slice_codeunits(times, 0, 10), "%Y-%m-%d", "us")
        return times.cast(pa.date32(), safe=False).cast(pa.int32())

    def _write(self, kind: Kind, day: date, table: pa.Table) -> None:
        path = (
            f"consolidated/{self._topic}/date={day.isoformat()}/"
            f"part-{self._part_id}-{len(self._written) + 1:05d}.parquet"
        )
        unique = [*self._sort_keys(), f"{lineage_prefix(self._shape)}_line"]
        write_atomically(table, self._lake / path, unique)
        self._written.append(self._manifest_row(path, kind, table))

    def _manifest_row(self, path: str, kind: Kind, table: pa.Table) -> ManifestRow:
        epoch_at = None
        if kind is Kind.LOAD:
            earliest = pc.min(table.column(self._shape.time_column)).as_py()
            epoch_at = datetime.fromisoformat(earliest)
        return ManifestRow(
            path=path,
            landed_path=f"bronze/kconnect/topics/{self._topic}",
            source=self._shape.source,
            kind=kind,
            rows=table.num_rows,
            bytes=(self._lake / path).stat().st_size,
            sha256=sha256_of(self._lake / path),
            epoch=self._epoch if kind is Kind.LOAD else None,
            epoch_at=epoch_at,
        )

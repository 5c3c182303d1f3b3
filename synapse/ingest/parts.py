"""Consolidated Parquet parts: one folder a topic and date, sorted, never rewritten in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synapse.ingest.files import sha256_of, write_atomically
from synapse.ingest.model import Kind, ManifestRow
from synapse.ingest.shapes import Shape

# Typed rows held before parts are written: bounds memory, whatever the number of files.
_BYTES_PER_FLUSH = 64 * 1024 * 1024


@dataclass(frozen=True)
class DayTable:
    """Typed rows of one kind whose time lies on one date (UTC)."""

    kind: Kind
    day: date
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
        self._buffers: dict[tuple[Kind, date], list[pa.Table]] = {}
        self._buffered = 0

    def add(self, tables: Iterable[DayTable]) -> None:
        """Take rows; writes parts when enough are held."""
        for item in tables:
            self._buffers.setdefault((item.kind, item.day), []).append(item.table)
            self._buffered += item.table.nbytes
        if self._buffered > _BYTES_PER_FLUSH:
            self._flush()

    def finish(self) -> list[ManifestRow]:
        """Write what is left; return a manifest row for every part."""
        self._flush()
        return self._written

    def _flush(self) -> None:
        for (kind, day), tables in sorted(self._buffers.items()):
            names = (self._shape.time_column, *self._shape.sort_by)
            keys = [*names, "_kafka_partition", "_kafka_offset", "_payload_hash"]
            table = pa.concat_tables(tables).sort_by([(key, "ascending") for key in keys])
            path = (
                f"consolidated/{self._topic}/date={day.isoformat()}/"
                f"part-{self._part_id}-{len(self._written) + 1:05d}.parquet"
            )
            line = f"{lineage_prefix(self._shape)}_line"
            write_atomically(table, self._lake / path, [*keys, line])
            self._written.append(self._manifest_row(path, kind, table))
        self._buffers = {}
        self._buffered = 0

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

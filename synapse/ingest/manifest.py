"""The manifest: Parquet parts that list what silver reads. The one entrance to silver."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.ingest.files import write_atomically
from synapse.ingest.model import Kind, ManifestRow
from synapse.lake import Lake

_TIMESTAMP = pa.timestamp("us")
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("landed_path", pa.string()),
        ("source", pa.string()),
        ("kind", pa.string()),
        ("epoch", pa.int64()),
        ("epoch_at", _TIMESTAMP),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("ingested_at", _TIMESTAMP),
        ("as_of", _TIMESTAMP),
        ("run_id", pa.string()),
        ("layout", pa.string()),
    ]
)


_OF_A_ROW = [item.name for item in fields(ManifestRow)]


@dataclass(frozen=True)
class Manifest:
    """What the parts list: paths already accepted, and the names of the parts."""

    parts: tuple[str, ...]
    rows: tuple[ManifestRow, ...] = field(repr=False)

    @property
    def paths(self) -> frozenset[str]:
        """Paths that silver reads already."""
        return frozenset(row.path for row in self.rows)


def part_names(lake: Lake) -> list[str]:
    """Names of the manifest's parts, sorted; on S3 they are brought level."""
    return sorted(path.name for path in lake.sync("manifest").glob("part-*.parquet"))


def read_parts(lake: Lake, names: list[str]) -> Manifest:
    """Read the named parts."""
    rows: list[ManifestRow] = []
    for name in names:
        # Parts written before there were layouts have none, which is as good as empty.
        table = pq.read_table(lake.root / "manifest" / name, columns=_OF_A_ROW)
        rows += [ManifestRow(**{**row, "kind": Kind(row["kind"])}) for row in table.to_pylist()]
    return Manifest(tuple(names), tuple(rows))


def write_part(
    lake: Lake,
    part_id: str,
    rows: list[ManifestRow],
    *,
    run_id: str,
    as_of: datetime,
    ingested_at: datetime,
) -> str:
    """Write a part atomically and return its name; both timestamps are naive UTC."""
    ordered = sorted(rows, key=lambda row: (row.source, row.kind, row.epoch or 0, row.path))
    table = pa.Table.from_pylist(
        [
            {
                **vars(row),
                "kind": str(row.kind),
                "ingested_at": ingested_at,
                "as_of": as_of,
                "run_id": run_id,
            }
            for row in ordered
        ],
        schema=SCHEMA,
    )
    name = f"part-{part_id}.parquet"
    write_atomically(lake, table, f"manifest/{name}")
    return name

"""The quarantine folder of the lake: payloads of what was refused, and what people did about them.

quarantine/part-<id>.parquet    refusals of one ingest, with their raw payloads
quarantine/outcomes-<id>.parquet    replays and discards, so that a lost ledger knows them
quarantine/files/<sha256>    raw bytes of files refused as a whole
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.ingest.files import close_quietly, retain, write_atomically
from synapse.ingest.model import BronzeFile, Kind, Refusal, Unit
from synapse.lake import Lake
from synapse.whole_files import aside

_REFUSALS = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("kind", pa.string()),
        ("unit", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("rule", pa.string()),
        ("sentence", pa.string()),
        ("number", pa.int64()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
        ("payload", pa.binary()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("first_seen", pa.timestamp("us")),
    ]
)
_RESOLUTIONS = pa.schema(
    [
        ("id", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int64()),
        ("at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class Resolution:
    """What became of a quarantine entry: state open (failed again), replayed or discarded."""

    id: str
    state: str
    attempts: int
    at: datetime
    reason: str | None = None


def keep_raw(lake: Lake, file: BronzeFile, sha256: str) -> None:
    """Copy the bytes of a refused file of bronze."""
    lake.fetch([file])
    retain(lake, file.path, sha256, f"quarantine/files/{sha256}")


class RefusalWriter:
    """Writes the refusals of one ingest, with their payloads, as they come.

    Nothing is seen of them before `finish`; seen is naive UTC.
    """

    def __init__(self, lake: Lake, part_id: str, seen: datetime) -> None:
        self._lake = lake
        self._path = f"quarantine/part-{part_id}.parquet"
        self._temporary = aside(lake.root / self._path)
        self._seen = seen
        self._writer: pq.ParquetWriter | None = None

    def add(self, refusals: list[Refusal]) -> None:
        """Take some more."""
        rows = [
            {
                **vars(refusal),
                "id": refusal.id,
                "kind": str(refusal.kind),
                "unit": str(refusal.unit),
                "first_seen": self._seen,
            }
            for refusal in refusals
        ]
        if self._writer is None:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, _REFUSALS, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(rows, schema=_REFUSALS))

    def abandon(self) -> None:
        """Leave nothing of what is not finished."""
        if self._writer is not None:
            close_quietly(self._writer)
            self._writer = None
            self._temporary.unlink(missing_ok=True)

    def finish(self) -> None:
        """Make them visible, all at once."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._temporary.replace(self._lake.root / self._path)
            self._lake.publish(self._path)


def read_refusals(lake: Lake, part_ids: list[str] | None = None) -> dict[str, Refusal]:
    """Refusals by id, of the given ingests (those that refused something) or of all."""
    folder = lake.sync("quarantine")
    if part_ids is None:
        paths = sorted(folder.glob("part-*.parquet"))
    else:
        wanted = [folder / f"part-{part_id}.parquet" for part_id in sorted(set(part_ids))]
        paths = [path for path in wanted if path.exists()]
    found = {}
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            key = row.pop("id")
            del row["first_seen"]
            found[key] = Refusal(**{**row, "kind": Kind(row["kind"]), "unit": Unit(row["unit"])})
    return found


def write_resolutions(lake: Lake, part_id: str, resolutions: list[Resolution]) -> None:
    """Write what a replay or a discard did."""
    table = pa.Table.from_pylist([vars(item) for item in resolutions], schema=_RESOLUTIONS)
    write_atomically(lake, table, f"quarantine/outcomes-{part_id}.parquet")


def read_resolutions(lake: Lake) -> dict[str, Resolution]:
    """The newest resolution of each entry.

    A replay only counts with its part of the manifest, without which it was killed half-way.
    """
    found: dict[str, Resolution] = {}
    manifest = lake.sync("manifest")
    for path in sorted(lake.sync("quarantine").glob("outcomes-*.parquet")):
        part_id = path.stem.removeprefix("outcomes-")
        is_complete = (manifest / f"part-{part_id}.parquet").exists()
        for row in pq.read_table(path).to_pylist():
            item = Resolution(**row)
            if item.state == "replayed" and not is_complete:
                continue
            if item.id not in found or item.at >= found[item.id].at:
                found[item.id] = item
    return found

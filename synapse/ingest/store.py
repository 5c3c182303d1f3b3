"""The quarantine folder of the lake: payloads of what was refused, and what people did about them.

quarantine/part-<id>.parquet    refusals of one ingest, with their raw payloads
quarantine/outcomes-<id>.parquet    replays and discards, so that a lost ledger knows them
quarantine/files/<sha256>    raw bytes of files refused as a whole
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.ingest.files import retain, write_atomically
from synapse.ingest.model import Kind, Refusal, Unit

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


def keep_raw(lake: Path, path: str, sha256: str) -> Path:
    """Copy the bytes of a refused file of bronze, and return where they lie."""
    target = lake / "quarantine" / "files" / sha256
    retain(lake, path, sha256, target)
    return target


def write_refusals(lake: Path, part_id: str, refusals: list[Refusal], seen: datetime) -> None:
    """Write the refusals of one ingest; seen is naive UTC."""
    rows = [
        {
            **vars(refusal),
            "id": refusal.id,
            "kind": str(refusal.kind),
            "unit": str(refusal.unit),
            "first_seen": seen,
        }
        for refusal in refusals
    ]
    path = lake / "quarantine" / f"part-{part_id}.parquet"
    write_atomically(pa.Table.from_pylist(rows, schema=_REFUSALS), path)


def read_refusals(lake: Path, part_ids: list[str] | None = None) -> dict[str, Refusal]:
    """Refusals by id, of the given ingests or of all."""
    folder = lake / "quarantine"
    if part_ids is None:
        paths = sorted(folder.glob("part-*.parquet"))
    else:
        paths = [folder / f"part-{part_id}.parquet" for part_id in sorted(set(part_ids))]
    found = {}
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            key = row.pop("id")
            del row["first_seen"]
            found[key] = Refusal(**{**row, "kind": Kind(row["kind"]), "unit": Unit(row["unit"])})
    return found


def write_resolutions(lake: Path, part_id: str, resolutions: list[Resolution]) -> None:
    """Write what a replay or a discard did."""
    table = pa.Table.from_pylist([vars(item) for item in resolutions], schema=_RESOLUTIONS)
    write_atomically(table, lake / "quarantine" / f"outcomes-{part_id}.parquet")


def read_resolutions(lake: Path) -> dict[str, Resolution]:
    """The newest resolution of each entry.

    A replay only counts with its part of the manifest, without which it was killed half-way.
    """
    found: dict[str, Resolution] = {}
    for path in sorted((lake / "quarantine").glob("outcomes-*.parquet")):
        part_id = path.stem.removeprefix("outcomes-")
        is_complete = (lake / "manifest" / f"part-{part_id}.parquet").exists()
        for row in pq.read_table(path).to_pylist():
            item = Resolution(**row)
            if item.state == "replayed" and not is_complete:
                continue
            if item.id not in found or item.at >= found[item.id].at:
                found[item.id] = item
    return found

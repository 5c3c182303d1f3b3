"""Taking over what the manifest knows and the ledger does not, so that nothing is accepted twice.

The ledger was lost, or a run was killed after its part of the manifest was in place.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import pyarrow.compute as pc
import pyarrow.parquet as pq

from synapse.ingest.ledger import Ledger
from synapse.ingest.manifest import part_names, read_parts
from synapse.ingest.model import (
    BronzeFile,
    Counts,
    Kind,
    ManifestRow,
    Outcome,
    Recorded,
    Refusal,
    State,
    Unit,
)
from synapse.ingest.quarantine_index import QuarantineIndex
from synapse.ingest.store import Resolution, read_refusals, read_resolutions
from synapse.lake import Lake

REPLAYED_ROWS = "retained/replay-"
# No file has this size: the next look at bronze finds the file changed and compares its bytes.
_UNKNOWN_SIZE = -1


def recover(
    lake: Lake, ledger: Ledger, run_id: str, as_of: datetime
) -> tuple[Recorded, dict[str, Resolution]]:
    """Seed the ledger from manifest parts that it does not know.

    Returns what topic files need to know, and the resolutions of quarantine entries to apply once
    the refusals are in the ledger again.
    """
    known = ledger.known_parts()
    unseen = [name for name in part_names(lake) if name not in known]
    if not unseen:
        return Recorded(), {}
    manifest = read_parts(lake, unseen)
    resolutions = read_resolutions(lake)
    refusals = {
        key: refusal
        for key, refusal in read_refusals(lake).items()
        if key not in resolutions or resolutions[key].state != "replayed"
    }
    outcomes, refused_rows = _dms(list(manifest.rows), refusals)
    counts: dict[str, Counts] = defaultdict(Counts)
    for outcome in outcomes:
        counts[outcome.source].add(outcome.counts())
        counts[outcome.source].add(
            ledger.uncounted(outcome.source, outcome.file.path, outcome.sha256)
        )
    # Replays of a killed run first: their entries are open in a ledger that was not lost.
    QuarantineIndex(ledger.engine).resolve(resolutions.values(), run_id)
    ledger.seed(
        run_id,
        as_of=as_of,
        outcomes=outcomes,
        refusals=refused_rows,
        counts=counts,
        parts=unseen,
    )
    paths = _consolidated_files(lake, list(manifest.rows))
    by_path: dict[str, dict[int, Refusal]] = defaultdict(dict)
    for refusal in refusals.values():
        if refusal.path in paths and refusal.unit is Unit.RECORD and refusal.number is not None:
            by_path[refusal.path][refusal.number] = refusal
    return Recorded(paths, dict(by_path)), resolutions


def _dms(
    rows: list[ManifestRow], refusals: dict[str, Refusal]
) -> tuple[list[Outcome], list[Refusal]]:
    by_file: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    for refusal in refusals.values():
        if refusal.unit is Unit.ROW:
            by_file[refusal.path, refusal.sha256].append(refusal)
    outcomes: dict[tuple[str, str], Outcome] = {}
    refused: list[Refusal] = []
    direct = [row for row in rows if _is_dms_file(row) and not _is_replay(row)]
    for row in direct:
        bad = by_file[row.landed_path, row.sha256]
        refused += bad
        outcomes[row.landed_path, row.sha256] = Outcome(
            file=BronzeFile(row.landed_path, _UNKNOWN_SIZE, ""),
            sha256=row.sha256,
            source=row.source,
            kind=row.kind,
            state=State.ACCEPTED,
            landed=row.rows + len(bad),
            accepted=row.rows,
            quarantined=len(bad),
            epoch=row.epoch,
            transfer_from=row.epoch_at,
        )
    for row in rows:
        if _is_dms_file(row) and _is_replay(row) and (row.landed_path, row.sha256) in outcomes:
            outcome = outcomes[row.landed_path, row.sha256]
            outcome.landed += row.rows
            outcome.accepted += row.rows
    return list(outcomes.values()), refused


def _is_dms_file(row: ManifestRow) -> bool:
    return row.kind is not Kind.TOPIC and not row.path.startswith("consolidated/")


def _is_replay(row: ManifestRow) -> bool:
    return row.path.startswith(REPLAYED_ROWS)


def _consolidated_files(lake: Lake, rows: list[ManifestRow]) -> frozenset[str]:
    paths: set[str] = set()
    for row in rows:
        if row.path.startswith("consolidated/"):
            column = "_source_file" if row.kind is Kind.TOPIC else "_landed_file"
            lake.fetch([BronzeFile(row.path, row.bytes, "")])
            table = pq.read_table(lake.root / row.path, columns=[column])
            paths.update(pc.unique(table.column(column)).to_pylist())
    return frozenset(paths)

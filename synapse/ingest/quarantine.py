"""`synapse quarantine list|show|discard`: what was refused, and giving it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synapse.errors import UsageError
from synapse.feedback.service import Feedback
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Refusal, Unit
from synapse.ingest.quarantine_index import Entry, QuarantineIndex
from synapse.ingest.service import opened
from synapse.ingest.store import Resolution, read_refusals, write_resolutions
from synapse.lake import Lake
from synapse.runner.clock import utc_now
from synapse.settings import Settings


@dataclass(frozen=True)
class Shown:
    """An entry with its raw payload.

    payload: the record's bytes, or a row as JSON of texts. raw_file: where the bytes of a whole
    file lie.
    """

    entry: Entry
    payload: bytes
    raw_file: str | None


def entries(
    settings: Settings,
    *,
    state: str | None = "open",
    source: str | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """What was refused, by source, path and number; state None means every state."""
    with _ledger(settings) as ledger:
        return QuarantineIndex(ledger.engine).entries(state=state, source=source, limit=limit)


def show(settings: Settings, entry_id: str) -> Shown:
    """One entry with its payload; the beginning of an id suffices. Raises UsageError if unknown."""
    with _ledger(settings) as ledger:
        entry = find_entry(ledger, entry_id)
    if entry.unit is Unit.FILE:
        return Shown(entry, b"", f"{settings.location}/quarantine/files/{entry.sha256}")
    return Shown(entry, payloads_of(settings.open_lake(), [entry])[entry.id].payload, None)


def discard(settings: Settings, ids: Sequence[str], reason: str) -> list[str]:
    """Give entries up, with a reason; they stay counted as quarantined. Returns their ids."""
    if not reason.strip():
        raise UsageError("Say why: --reason must not be empty.")
    feedback = Feedback.load()
    lake = settings.open_lake()
    with opened(settings, lake, None) as (ledger, part_id):
        found = [find_entry(ledger, entry_id) for entry_id in ids]
        now = utc_now()
        resolutions = [
            Resolution(entry.id, "discarded", entry.attempts, now, reason) for entry in found
        ]
        write_resolutions(lake, part_id, resolutions)
        QuarantineIndex(ledger.engine).resolve(resolutions, part_id)
        ledger.discard_files(
            [(entry.source, entry.path, entry.sha256) for entry in found if entry.unit is Unit.FILE]
        )
    # What could not be told is among the notices of the next ingest, which tries again.
    feedback.tell(settings.state)
    return [entry.id for entry in found]


def _ledger(settings: Settings) -> Ledger:
    settings.require_lake()
    return Ledger(settings.state)


def find_entry(ledger: Ledger, entry_id: str) -> Entry:
    """The entry whose id begins so. Raises UsageError when none or several do."""
    found = QuarantineIndex(ledger.engine).entries(state=None, ids=[entry_id])
    if not found:
        raise UsageError(f"No quarantine entry {entry_id}; `synapse quarantine list` shows them.")
    if len(found) > 1:
        raise UsageError(f"{len(found)} quarantine entries begin with {entry_id}; give more of it.")
    return found[0]


def payloads_of(lake: Lake, chosen: list[Entry]) -> dict[str, Refusal]:
    """What was refused, with payloads, by id (of these entries at least)."""
    found = read_refusals(lake, [entry.run_id for entry in chosen])
    if any(entry.id not in found for entry in chosen):
        # The ledger was rebuilt: its run is not the one that wrote the payload.
        found = read_refusals(lake)
    return found

"""One source of changes per table: a switch from DMS to Debezium, or back, starts an epoch.

Sequences of two sources cannot be compared, so nothing of the new one is taken before its own full
load (LOAD files, or a Debezium snapshot) is there whole: until then its files wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow.compute as pc

from synapse.declarations import DmsTable, Topic
from synapse.ingest import DMS_ROOT, TOPICS_ROOT
from synapse.ingest.epochs import CurrentEpoch
from synapse.ingest.manifest import part_names, read_parts
from synapse.ingest.model import Harvest, Kind, ManifestRow, Outcome, State
from synapse.ingest.shapes import Rowset
from synapse.ingest.work import Work

_PARTS = "consolidated/"


def _loads(work: Work, table: DmsTable) -> list[ManifestRow]:
    """The table's accepted loads; read from the manifest only where two sources have landed."""
    rows = read_parts(work.lake, part_names(work.lake)).rows
    return [row for row in rows if row.source == table.source and row.kind is Kind.LOAD]


def debezium_epoch(work: Work, table: DmsTable) -> CurrentEpoch | None:
    """The newest epoch, where a Debezium snapshot and not DMS began it."""
    if not work.ledger.has_files_below(table.source, f"{TOPICS_ROOT}/"):
        return None
    loads = _loads(work, table)
    number = max((row.epoch or 0 for row in loads), default=0)
    newest = [row for row in loads if row.epoch == number]
    if not newest or not all(row.path.startswith(_PARTS) for row in newest):
        return None
    instants = [row.epoch_at for row in newest if row.epoch_at is not None]
    return CurrentEpoch(number, min(instants, default=None), is_of_other_source=True)


def snapshot_epoch(work: Work, target: Topic | DmsTable) -> int:
    """The epoch that a Debezium snapshot belongs to: the newest, unless DMS began that one."""
    if isinstance(target, Topic) or not _is_fed_by_dms(work, target):
        return 1
    began = debezium_epoch(work, target)
    if began is not None:
        return began.number
    newest = max((row.epoch or 0 for row in _loads(work, target)), default=0)
    return max(newest, work.fed.get(target.source, 0)) + 1


def _is_fed_by_dms(work: Work, table: DmsTable) -> bool:
    return table.source in work.fed or work.ledger.has_files_below(table.source, f"{DMS_ROOT}/")


@dataclass
class Switch:
    """A table that DMS has fed, while the first files of its Debezium topic are read."""

    work: Work
    table: DmsTable
    newest: datetime | None = None

    @classmethod
    def of(cls, work: Work, target: Topic | DmsTable) -> Switch | None:
        """The switch that these files would be; None where the table has one source."""
        if isinstance(target, Topic) or not _is_fed_by_dms(work, target):
            return None
        return None if debezium_epoch(work, target) else cls(work, target)

    def see(self, rowsets: list[Rowset]) -> None:
        """Look for the snapshot among the rows."""
        for rowset in rowsets:
            if rowset.kind is Kind.LOAD and rowset.table.num_rows:
                newest = pc.max(rowset.table.column(self.table.commit_column)).as_py()
                read = datetime.fromisoformat(newest)
                self.newest = max(self.newest or read, read)

    def why_held(self) -> str | None:
        """Why the topic has to wait; None when its snapshot is there and complete."""
        if self.newest is None:
            return (
                "DMS feeds this table and Debezium's changes cannot be ordered against its; they "
                "are taken once a Debezium snapshot (snapshot.mode) of the table has landed"
            )
        due = self.work.as_of - self.work.quiet
        if self.newest > due and self.table.source not in self.work.confirmed:
            return (
                f"the Debezium snapshot, which replaces what DMS fed, may still be running: its "
                f"newest row {self.newest} must lie {self.work.quiet} before as-of "
                f"{self.work.as_of}, or confirm it: "
                f"synapse ingest --confirm-reload {self.table.source}"
            )
        return None

    def hold(self, harvest: Harvest, why: str) -> Harvest:
        """The harvest of files that wait: they are looked at again by every ingest."""
        held = Harvest(touched=harvest.touched)
        for outcome in harvest.outcomes:
            if outcome.state is State.DUPLICATE:
                continue
            held.outcomes.append(_held(outcome))
        if held.outcomes:
            held.notices.append(
                f"{self.table.source}: {len(held.outcomes)} file(s) of {self.table.topic} wait: "
                f"{why}"
            )
        return held

    def sentence(self) -> str:
        """What to say of a switch that was made."""
        return (
            f"{self.table.source}: Debezium feeds this table from now on; its snapshot began a new "
            "epoch. Stop the DMS task: changes of both would be mixed"
        )


def _held(outcome: Outcome) -> Outcome:
    return replace(outcome, state=State.HELD, accepted=0, quarantined=0)

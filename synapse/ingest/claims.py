"""What became of files, written to the ledger as ingest goes on, so that memory does not grow."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

from synapse.ingest.ledger import Ledger
from synapse.ingest.ledger_rows import FileRow, file_row
from synapse.ingest.model import BronzeFile, Counts, Kind, Mark, Outcome, Refusal, State
from synapse.ingest.offsets import merged
from synapse.ingest.store import RefusalWriter

_PER_TRANSACTION = 10_000
# Files settled lately: more than readers and the buffer hold, whose rows no query finds yet.
_REMEMBERED = 40_000
_READ = (State.ACCEPTED, State.DUPLICATE)


class Claims:
    """Gathers outcomes and refusals of topic files.

    counts: by source. offsets: (topic, partition) -> ranges of Kafka offsets that have landed.
    """

    def __init__(self, ledger: Ledger, run_id: str, refusals: RefusalWriter) -> None:
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self.offsets: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self._ledger = ledger
        self._run_id = run_id
        self._writer = refusals
        self._rows: list[FileRow] = []
        self._refusals: list[Refusal] = []
        self._recent: dict[str, list[FileRow]] = {}

    def recent(self, outcome: Outcome) -> dict[str, int]:
        """Records landed by path, of files of the same name and bytes that were added lately."""
        wanted = outcome.source, outcome.file.name
        return {
            row.path: row.landed
            for row in self._recent.get(outcome.sha256, ())
            if (row.source, row.name) == wanted
        }

    def add(self, outcome: Outcome) -> None:
        """Take what became of a file that the ledger does not know."""
        self.note(outcome)
        self._take([file_row(outcome, self._run_id)])

    def add_new(
        self, source: str, kind: Kind, topic: str, files: list[BronzeFile], marks: list[Mark]
    ) -> bool:
        """Take what became of many files that the ledger does not know, at a fifth of the price.

        Says no, and takes nothing, when the bytes of one came before: each has to be looked at.
        """
        digests = {mark.sha256 for mark in marks}
        if len(digests) < len(marks) or not digests.isdisjoint(self._recent):
            return False
        rows = []
        for mark in marks:
            position, digest, state, landed, accepted, quarantined, partition, first = mark
            file = files[position]
            rows.append(
                FileRow(
                    source,
                    file.name,
                    file.path,
                    digest,
                    file.size,
                    file.etag,
                    kind.value,
                    state,
                    landed,
                    accepted,
                    0,
                    quarantined,
                    None,
                    None,
                    None,
                    partition,
                    first,
                    self._run_id,
                )
            )
            self._cover(topic, partition, first, landed, state)
        self.counts[source].add(
            Counts(
                landed=sum(mark.landed for mark in marks),
                accepted=sum(mark.accepted for mark in marks),
                quarantined=sum(mark.quarantined for mark in marks),
                files=len(marks),
            )
        )
        self._take(rows)
        return True

    def note(self, outcome: Outcome) -> None:
        """Count an outcome, and the offsets that it covers."""
        self.counts[outcome.source].add(outcome.counts())
        self._cover(
            outcome.kafka_topic or outcome.source,
            outcome.kafka_partition,
            outcome.kafka_offset,
            outcome.landed,
            outcome.state,
        )

    def refuse(self, refusals: list[Refusal]) -> None:
        """Keep what was refused."""
        for start in range(0, len(refusals), _PER_TRANSACTION):
            some = refusals[start : start + _PER_TRANSACTION]
            self._writer.add(some)
            self._refusals += some
            if len(self._refusals) >= _PER_TRANSACTION:
                self.flush()

    def flush(self) -> None:
        """Write what is gathered."""
        if self._rows or self._refusals:
            self._ledger.claim(self._run_id, self._rows, self._refusals)
            self._rows, self._refusals = [], []

    def _take(self, rows: list[FileRow]) -> None:
        self._rows += rows
        for row in rows:
            self._recent.setdefault(row.sha256, []).append(row)
        if len(self._recent) > _REMEMBERED:
            for digest in list(islice(self._recent, len(self._recent) - _REMEMBERED)):
                del self._recent[digest]
        if len(self._rows) >= _PER_TRANSACTION:
            self.flush()

    def _cover(
        self, topic: str, partition: int | None, first: int | None, landed: int, state: str
    ) -> None:
        """Note the offsets of a file that was read, the first of which its path tells."""
        if not landed or partition is None or first is None or state not in _READ:
            return
        ranges = self.offsets[topic, partition]
        ranges.append((first, first + landed - 1))
        if len(ranges) > _PER_TRANSACTION:
            ranges[:] = merged(ranges)

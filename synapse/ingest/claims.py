"""What became of files, written to the ledger as ingest goes on, so that memory does not grow."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice, repeat

from synapse.ingest.ledger import Ledger
from synapse.ingest.ledger_rows import FileRow, FileRows, file_row
from synapse.ingest.model import BronzeFile, Counts, Kind, Marks, Outcome, Refusal, State
from synapse.ingest.offsets import merged
from synapse.ingest.store import RefusalWriter

_PER_TRANSACTION = 10_000
# Files settled lately: more than readers and the buffer hold, whose rows no query finds yet.
_REMEMBERED = 40_000
_READ = (State.ACCEPTED, State.DUPLICATE)
# Of a file that was settled lately: source, name, path, and how many records landed.
_Recent = tuple[str, str, str, int]


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
        self._rows = FileRows()
        self._refusals: list[Refusal] = []
        self._recent: dict[str, tuple[_Recent, ...]] = {}

    def recent(self, outcome: Outcome) -> dict[str, int]:
        """Records landed by path, of files of the same name and bytes that were added lately."""
        wanted = outcome.source, outcome.file.name
        return {
            path: landed
            for source, name, path, landed in self._recent.get(outcome.sha256, ())
            if (source, name) == wanted
        }

    def add(self, outcome: Outcome) -> None:
        """Take what became of a file that the ledger does not know."""
        self.note(outcome)
        row = file_row(outcome, self._run_id)
        self._rows.add(row)
        seen = row.source, row.name, row.path, row.landed
        self._recent[row.sha256] = (*self._recent.get(row.sha256, ()), seen)
        self._settle()

    def add_new(
        self, source: str, kind: Kind, topic: str, files: list[BronzeFile], marks: Marks
    ) -> bool:
        """Take what became of many files that the ledger does not know, at a tenth of the price.

        Says no, and takes nothing, when the bytes of one came before, or when not all of them have
        one state: each has to be looked at.
        """
        digests, states = set(marks.digests), set(marks.states)
        # Asked of the keys, of which there are many, and not of the digests: it would look at each.
        is_new = self._recent.keys().isdisjoint(digests)
        if len(digests) < len(marks) or len(states) != 1 or not is_new:
            return False
        (state,) = states
        if len(marks) < len(files):
            files = [files[position] for position in marks.positions]
        paths, sizes, etags = zip(*files, strict=True)
        names = [path[path.rfind("/") + 1 :] for path in paths]
        self._rows.add_alike(
            FileRow(source, kind=kind.value, state=state, run_id=self._run_id),
            names,
            paths,
            marks.digests,
            sizes,
            etags,
            marks.landed,
            marks.accepted,
            marks.quarantined,
            marks.partitions,
            marks.offsets,
        )
        seen = zip(repeat(source, len(names)), names, paths, marks.landed, strict=True)
        self._recent.update(zip(marks.digests, zip(seen, strict=True), strict=True))
        self._cover(topic, state, marks.partitions, marks.offsets, marks.landed)
        self.counts[source].add(
            Counts(
                landed=sum(marks.landed),
                accepted=sum(marks.accepted),
                quarantined=sum(marks.quarantined),
                files=len(marks),
            )
        )
        self._settle()
        return True

    def note(self, outcome: Outcome) -> None:
        """Count an outcome, and the offsets that it covers."""
        self.counts[outcome.source].add(outcome.counts())
        self._cover(
            outcome.kafka_topic or outcome.source,
            outcome.state,
            [outcome.kafka_partition],
            [outcome.kafka_offset],
            [outcome.landed],
        )

    def refuse(self, refusals: list[Refusal]) -> None:
        """Keep what was refused."""
        for start in range(0, len(refusals), _PER_TRANSACTION):
            some = refusals[start : start + _PER_TRANSACTION]
            self._writer.add(some)
            self._refusals += some
            if len(self._refusals) >= _PER_TRANSACTION:
                self.flush()

    def finish(self) -> None:
        """Write what is left; from now on the ledger knows every file."""
        self.flush()
        self._recent.clear()

    def flush(self) -> None:
        """Write what is gathered."""
        if len(self._rows) or self._refusals:
            self._ledger.claim(self._run_id, self._rows, self._refusals)
            self._rows, self._refusals = FileRows(), []

    def _settle(self) -> None:
        """Forget what is no longer recent, and write when there is enough."""
        if len(self._recent) > _REMEMBERED:
            for digest in list(islice(self._recent, len(self._recent) - _REMEMBERED)):
                del self._recent[digest]
        if len(self._rows) >= _PER_TRANSACTION:
            self.flush()

    def _cover(
        self,
        topic: str,
        state: str,
        partitions: list[int | None],
        firsts: list[int | None],
        landed: list[int],
    ) -> None:
        """Note the offsets of files that were read, the first of which their paths tell."""
        if state not in _READ:
            return
        offsets = self.offsets
        for partition, first, count in zip(partitions, firsts, landed, strict=True):
            if count and partition is not None and first is not None:
                offsets[topic, partition].append((first, first + count - 1))
        for key in {(topic, partition) for partition in partitions if partition is not None}:
            ranges = offsets.get(key, [])
            if len(ranges) > _PER_TRANSACTION:
                ranges[:] = merged(ranges)

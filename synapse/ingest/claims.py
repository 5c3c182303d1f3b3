"""What became of files, written to the ledger as ingest goes on, so that memory does not grow."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Counts, Outcome, Refusal, State
from synapse.ingest.offsets import merged
from synapse.ingest.store import RefusalWriter

_PER_TRANSACTION = 5_000
# Files settled lately: more than readers and the buffer hold, whose rows no query finds yet.
_REMEMBERED = 25_000


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
        self._outcomes: list[Outcome] = []
        self._refusals: list[Refusal] = []
        self._recent: OrderedDict[tuple[str, str, str], dict[str, int]] = OrderedDict()

    def recent(self, source: str, name: str, sha256: str) -> dict[str, int]:
        """Records landed by path, of files of that name and bytes that were added lately."""
        return self._recent.get((source, name, sha256), {})

    def add(self, outcome: Outcome) -> None:
        """Take what became of a file that the ledger does not know."""
        self.note(outcome)
        self._outcomes.append(outcome)
        key = outcome.source, outcome.file.name, outcome.sha256
        self._recent.setdefault(key, {})[outcome.file.path] = outcome.landed
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        if len(self._outcomes) >= _PER_TRANSACTION:
            self.flush()

    def note(self, outcome: Outcome) -> None:
        """Count an outcome, and the offsets that it covers."""
        self.counts[outcome.source].add(outcome.counts())
        is_read = outcome.state in (State.ACCEPTED, State.DUPLICATE)
        partition, first = outcome.kafka_partition, outcome.kafka_offset
        if is_read and outcome.landed and partition is not None and first is not None:
            ranges = self.offsets[outcome.kafka_topic or outcome.source, partition]
            ranges.append((first, first + outcome.landed - 1))
            if len(ranges) > _PER_TRANSACTION:
                ranges[:] = merged(ranges)

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
        if self._outcomes or self._refusals:
            self._ledger.claim(self._run_id, self._outcomes, self._refusals)
            self._outcomes, self._refusals = [], []

"""The new files of a topic: shared out to readers, checked for redelivery, gathered into parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synapse.declarations import DmsTable, Topic
from synapse.ingest.consolidate import Delivery
from synapse.ingest.files import sha256_of
from synapse.ingest.large import TooLong, examine, pieces
from synapse.ingest.model import BronzeFile, Harvest, Marks, Outcome, Refusal, State, Unit
from synapse.ingest.parts import PartWriter
from synapse.ingest.reading import (
    ReadJob,
    ReadResult,
    converter_of,
    kind_of_files,
    name_of,
    outcome_of,
    outcomes_of,
    refused_whole,
    require_suffix,
    shape_of,
)
from synapse.ingest.records import WHOLE_BYTES, UnreadableError
from synapse.ingest.shapes import Rowset, lineage_prefix
from synapse.ingest.store import keep_raw
from synapse.ingest.switching import Switch, snapshot_epoch
from synapse.ingest.versions import Version
from synapse.ingest.work import Work

# A job is large enough to be worth its journey, and small enough that its rows are no burden.
_FILES_PER_JOB = 512
_BYTES_PER_JOB = 4 * 1024 * 1024
_ZIPPED = 8  # how many times its size a gzip file of records holds, about
# A file of which more is refused is not looked at any further.
MOST_REFUSED = 100_000

Known = dict[str, list[Version]]


class Fate(Enum):
    """What a file's records are: new, redelivered, or already in parts that the ledger forgot."""

    NEW = "new"
    TOUCHED = "touched"  # the same bytes at the same path: only the file's time has changed
    DUPLICATE = "duplicate"
    RECORDED = "recorded"


def ingest_topic(work: Work, target: Topic | DmsTable, files: Iterable[BronzeFile]) -> Harvest:
    """Deal with the new files of a topic (or of a table's Debezium topic), as they are listed."""
    step = _Topic(work, target)
    for result in work.readers.read(step.jobs(files)):
        step.settle(result)
    for file in step.large:
        step.read_large(file)
    return step.finish()


def part_writer(work: Work, target: Topic | DmsTable, part_id: str) -> PartWriter:
    """What writes the parts of a topic; load rows (Debezium snapshots) get the newest epoch."""
    epoch = snapshot_epoch(work, target)
    scratch = work.lake.root / "consolidated" / f".{part_id}"
    return PartWriter(work.lake, name_of(target), shape_of(target), part_id, epoch, scratch)


class _Topic:
    def __init__(self, work: Work, target: Topic | DmsTable) -> None:
        self.harvest = Harvest()
        self.writer = part_writer(work, target, work.part_id)
        self.large: list[BronzeFile] = []
        self._work = work
        self._target = target
        self._switch = Switch.of(work, target)
        self._file_column = f"{lineage_prefix(shape_of(target))}_file"
        self._jobs_known: deque[tuple[list[BronzeFile], Known]] = deque()
        self._done = 0

    def jobs(self, files: Iterable[BronzeFile]) -> Iterator[ReadJob]:
        """What is new among the listed files, cut into jobs."""
        listed = iter(files)
        chosen: list[BronzeFile] = []
        known: Known = {}
        size = 0
        while batch := list(islice(listed, _FILES_PER_JOB)):
            names = [file.path[file.path.rfind("/") + 1 :] for file in batch]
            found = self._work.ledger.known(self._target.source, names)
            sizes = [file.size * (_ZIPPED if file.path.endswith(".gz") else 1) for file in batch]
            is_full = len(batch) == _FILES_PER_JOB
            if is_full and not found and not chosen and sum(sizes) < _BYTES_PER_JOB:
                # Nearly every batch of very many: the job that the loop below would make of it.
                yield self._job(batch, {})
                continue
            for file, name, weight in zip(batch, names, sizes, strict=True):
                versions = found.get(name, [])
                if versions and not self._is_new(file, versions):
                    continue
                if file.size > WHOLE_BYTES:
                    self.large.append(file)
                    continue
                if versions:
                    known[name] = versions
                chosen.append(file)
                size += weight
                if len(chosen) == _FILES_PER_JOB or size >= _BYTES_PER_JOB:
                    yield self._job(chosen, known)
                    chosen, known, size = [], {}, 0
        if chosen:
            yield self._job(chosen, known)

    def _is_new(self, file: BronzeFile, versions: list[Version]) -> bool:
        return not any(
            version.is_of(file)
            and (version.path, version.sha256) not in self._work.forget
            and not version.is_held
            for version in versions
        )

    def _job(self, files: list[BronzeFile], known: Known) -> ReadJob:
        self._jobs_known.append((files, known))
        return ReadJob(self._work.lake, self._target, files)

    def settle(self, result: ReadResult) -> None:
        """Take over a job's result: jobs come back in the order in which they were made."""
        files, known = self._jobs_known.popleft()
        withdrawn = set()
        if not self._take_new(files, known, result.marks):
            withdrawn = self._take_each(files, known, result.marks)
        refusals = result.refusals
        if withdrawn:
            refusals = [refusal for refusal in refusals if refusal.path not in withdrawn]
            result.tables = [self._without(rowset, withdrawn) for rowset in result.tables]
        if any(refusal.unit is Unit.FILE for refusal in refusals):
            by_path = {file.path: file for file in files}
            for refusal in refusals:
                if refusal.unit is Unit.FILE:
                    keep_raw(self._work.lake, by_path[refusal.path], refusal.sha256)
        self._refuse(refusals)
        for drift in result.drift:
            self.harvest.see_drift(drift)
        self._write(result.tables)
        self.large += result.large
        self._done += len(files)
        if self._work.progress:
            self._work.progress(f"consolidate {name_of(self._target)}", self._done, 0)

    def _take_new(self, files: list[BronzeFile], known: Known, marks: Marks) -> bool:
        """Book a job of which no file has anything to do with what landed before, if it is one."""
        return (
            not known
            and self._switch is None
            and not self._work.recorded.paths
            and self._work.claims.add_new(
                self._target.source,
                kind_of_files(self._target),
                name_of(self._target),
                files,
                marks,
            )
        )

    def _take_each(self, files: list[BronzeFile], known: Known, marks: Marks) -> set[str]:
        """Find out what became of each file, and book it; returns paths of what is not new."""
        withdrawn = set()
        for mark in marks:
            outcome = outcome_of(self._target, files, mark)
            versions = known.get(outcome.file.name, [])
            fate = self._fate(outcome, versions)
            if fate is not Fate.NEW:
                withdrawn.add(outcome.file.path)
            self._book(outcome, fate, versions)
        return withdrawn

    def _fate(self, outcome: Outcome, versions: list[Version]) -> Fate:
        """Whether the file's records have landed before; a duplicate is counted as one."""
        path, digest = outcome.file.path, outcome.sha256
        # A name carries partition and offset: the same bytes under it elsewhere are one delivery.
        twins = {
            version.path: version.landed
            for version in versions
            if version.sha256 == digest
            and (version.path, digest) not in self._work.forget
            and not version.is_held
        }
        twins |= self._work.claims.recent(outcome)
        if path in twins:
            return Fate.TOUCHED
        if twins:
            outcome.state = State.DUPLICATE
            outcome.landed = outcome.duplicate = next(iter(twins.values()))
            outcome.accepted = outcome.quarantined = 0
            return Fate.DUPLICATE
        is_recorded = path in self._work.recorded.paths and outcome.state is State.ACCEPTED
        return Fate.RECORDED if is_recorded else Fate.NEW

    def _book(self, outcome: Outcome, fate: Fate, versions: list[Version]) -> None:
        """Write down what became of a file that has been read."""
        file, digest = outcome.file, outcome.sha256
        if fate is Fate.TOUCHED:
            self.harvest.touched.append((outcome.source, file, digest))
            return
        if fate is Fate.RECORDED:
            # Its good records are in consolidated parts: only what was refused is taken over.
            refused = self._work.recorded.refusals.get(file.path, {})
            outcome.quarantined = len(refused)
            outcome.accepted = outcome.landed - len(refused)
            self._refuse(list(refused.values()))
        is_known = any((one.path, one.sha256) == (file.path, digest) for one in versions)
        if is_known or self._switch is not None:
            # A row of the ledger is replaced, or files may have to wait: when all is committed.
            self.harvest.outcomes.append(outcome)
        else:
            self._work.claims.add(outcome)

    def _refuse(self, refusals: list[Refusal]) -> None:
        if self._work.forget or self._switch is not None:
            self.harvest.refusals += refusals
        else:
            self._work.claims.refuse(refusals)

    def _write(self, tables: list[Rowset]) -> None:
        if self._switch is not None:
            self._switch.see(tables)
        self.writer.add(tables)

    def finish(self) -> Harvest:
        """Write the parts, unless the topic has to wait for its snapshot."""
        harvest = self.harvest
        if self._switch is not None:
            harvest.outcomes.sort(key=lambda outcome: outcome.file.path)
            why = self._switch.why_held()
            if why is not None:
                self.writer.discard()
                return self._switch.hold(harvest, why)
            if harvest.outcomes:
                harvest.notices.append(self._switch.sentence())
        harvest.manifest += self.writer.finish()
        return harvest

    def _without(self, rowset: Rowset, paths: set[str]) -> Rowset:
        is_withdrawn = pc.is_in(rowset.table.column(self._file_column), pa.array(sorted(paths)))
        return Rowset(rowset.kind, rowset.table.filter(pc.invert(is_withdrawn)))

    def read_large(self, file: BronzeFile) -> None:
        """Read a file in pieces."""
        lake = self._work.lake
        lake.fetch([file])
        path = lake.root / file.path
        outcome = outcomes_of(self._target)(file, sha256_of(path))
        refusal: Refusal | None = None
        size = 0
        try:
            require_suffix(file)
            size = examine(path)
        except UnreadableError as error:
            refusal = refused_whole(outcome, str(error))
        versions = self._work.ledger.known(outcome.source, [file.name]).get(file.name, [])
        fate = self._fate(outcome, versions)
        if fate is Fate.NEW and refusal is not None:
            self._refuse_and_keep(file, refusal)
        elif fate is Fate.NEW:
            self._read_pieces(outcome, path, size)
        elif fate is Fate.RECORDED:
            outcome.landed = _landed(path, self._work.recorded.refusals.get(file.path, {}), size)
        self._book(outcome, fate, versions)
        lake.release([file])

    def _read_pieces(self, outcome: Outcome, path: Path, size: int) -> None:
        converter = converter_of(self._target)
        first = outcome.kafka_offset
        for piece in pieces(path):
            number = outcome.landed + 1
            if outcome.quarantined > MOST_REFUSED:
                start = piece.start
                sentence = (
                    f"more than {MOST_REFUSED:,} records of the file were refused: from here on it "
                    "was not looked at"
                )
                self._refuse_range(outcome, start, size, sentence)
                break
            if isinstance(piece, TooLong):
                length = piece.end - piece.start
                sentence = f"the record has {length:,} bytes, more than any record of Kafka"
                self._refuse_range(outcome, piece.start, piece.end, sentence)
                continue
            outcome.landed += len(piece.values)
            offset = None if first is None else first + number - 1
            converter.add(piece, Delivery(outcome, number, offset))
            self._write(converter.take())
            self._refuse(converter.harvest.refusals)
            converter.harvest.refusals = []
        for drift in converter.harvest.drift.values():
            self.harvest.see_drift(drift)

    def _refuse_range(self, outcome: Outcome, start: int, end: int, sentence: str) -> None:
        """Refuse bytes [start, end) as one record, whose bytes are kept with its whole file."""
        outcome.landed += 1
        outcome.quarantined += 1
        refusal = _without_payload(outcome, start, end, sentence)
        self._refuse_and_keep(outcome.file, refusal)

    def _refuse_and_keep(self, file: BronzeFile, refusal: Refusal) -> None:
        keep_raw(self._work.lake, file, refusal.sha256)
        self._refuse([refusal])


def _landed(path: Path, refused: dict[int, Refusal], size: int) -> int:
    """How many records of a large file landed when it was read before."""
    for number, refusal in refused.items():
        if not refusal.payload and refusal.byte_end == size:
            return number  # the last one, or all that was not looked at
    return sum(1 if isinstance(piece, TooLong) else len(piece.values) for piece in pieces(path))


def _without_payload(outcome: Outcome, start: int, end: int, sentence: str) -> Refusal:
    number = outcome.landed
    return Refusal(
        source=outcome.source,
        kind=outcome.kind,
        unit=Unit.RECORD,
        path=outcome.file.path,
        sha256=outcome.sha256,
        rule="readable",
        sentence=f"{sentence}; the bytes are in quarantine/files/{outcome.sha256}",
        number=number,
        byte_start=start,
        byte_end=end,
        kafka_partition=outcome.kafka_partition,
        kafka_offset=None if outcome.kafka_offset is None else outcome.kafka_offset + number - 1,
    )

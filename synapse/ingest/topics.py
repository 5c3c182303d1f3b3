"""The new files of one topic: shared out to readers, gathered into parts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from synapse.declarations import DmsTable, Topic
from synapse.ingest.model import BronzeFile, Harvest, Recorded
from synapse.ingest.parts import PartWriter
from synapse.ingest.reading import ReadJob, Twins, name_of, shape_of
from synapse.ingest.switching import Switch, snapshot_epoch
from synapse.ingest.work import Work

# A job is large enough to be worth its journey, and small enough that its rows are no burden.
_FILES_PER_JOB = 256
_BYTES_PER_JOB = 4 * 1024 * 1024


def ingest_topic(work: Work, target: Topic | DmsTable, files: list[BronzeFile]) -> Harvest:
    """Deal with the new files of a topic (or of a table's Debezium topic)."""
    writer = part_writer(work, target, work.part_id)
    switch = Switch.of(work, target)
    harvest = Harvest()
    done = 0
    for result in work.readers.read(_jobs(work, target, files)):
        harvest.merge(result.harvest)
        writer.add(result.tables)
        if switch is not None:
            switch.see(result.tables)
        done += len(result.harvest.outcomes) + len(result.harvest.touched)
        if work.progress:
            work.progress(f"consolidate {name_of(target)}", done, len(files))
    harvest.outcomes.sort(key=lambda outcome: outcome.file.path)
    if switch is not None:
        why = switch.why_held()
        if why is not None:
            return switch.hold(harvest, why)
        harvest.notices.append(switch.sentence())
    harvest.manifest += writer.finish()
    return harvest


def part_writer(work: Work, target: Topic | DmsTable, part_id: str) -> PartWriter:
    """What writes the parts of a topic; load rows (Debezium snapshots) get the newest epoch."""
    epoch = snapshot_epoch(work, target)
    return PartWriter(work.lake, name_of(target), shape_of(target), part_id, epoch)


def _jobs(work: Work, target: Topic | DmsTable, files: list[BronzeFile]) -> Iterator[ReadJob]:
    known = _known_deliveries(work, target.source)
    recorded = work.recorded
    chosen: list[BronzeFile] = []
    size = 0

    def job() -> ReadJob:
        names = {file.name for file in chosen}
        paths = {file.path for file in chosen}
        return ReadJob(
            work.lake,
            target,
            list(chosen),
            {key: twins for key, twins in known.items() if key[0] in names} if known else {},
            Recorded(
                frozenset(paths & recorded.paths),
                {path: recorded.refusals[path] for path in paths & recorded.refusals.keys()},
            ),
        )

    # A redelivery has the name of the first delivery: they must meet in one job.
    for _, several in groupby(sorted(files, key=_name_and_path), key=lambda file: file.name):
        for file in several:
            chosen.append(file)
            size += file.size
        if len(chosen) >= _FILES_PER_JOB or size >= _BYTES_PER_JOB:
            yield job()
            chosen, size = [], 0
    if chosen:
        yield job()


def _name_and_path(file: BronzeFile) -> tuple[str, str]:
    return file.name, file.path


def _known_deliveries(work: Work, source: str) -> dict[tuple[str, str], Twins]:
    """(file name, sha256) -> path -> records landed.

    A name carries partition and offset: the same bytes under it elsewhere are the same delivery.
    """
    known: dict[tuple[str, str], Twins] = {}
    for digest, versions in work.ledger.hashes(source, work.forget).items():
        for path, landed in versions:
            known.setdefault((path.rsplit("/", 1)[-1], digest), {})[path] = landed
    return known

"""`synapse ingest`: from what landed to what silver may read. Safe to repeat and safe to kill.

Order of writes: data files, quarantine, the manifest's part (by one rename), the ledger. Killed
before the rename, a run leaves files that nothing refers to; killed after it, the next run takes
the part over (recover.py).
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy.exc import SQLAlchemyError

from synapse.declarations import Declarations, load_declarations
from synapse.errors import SynapseError, UsageError
from synapse.garbage import without_cycle_search
from synapse.ingest.discover import Routed, route, scan_bronze
from synapse.ingest.dms import connect
from synapse.ingest.dms_table import ingest_table
from synapse.ingest.ledger import Ledger
from synapse.ingest.manifest import part_names, write_part
from synapse.ingest.model import BronzeFile, Counts, Drift, Harvest
from synapse.ingest.quarantine_index import QuarantineIndex
from synapse.ingest.readers import Readers
from synapse.ingest.recover import recover
from synapse.ingest.store import write_refusals
from synapse.ingest.topics import ingest_topic
from synapse.ingest.vanished import vanished_notices
from synapse.ingest.work import Work
from synapse.progress import Progress
from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.lease import lease
from synapse.settings import Settings

__all__ = ["Counts", "IngestReport", "ingest"]


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did; counts are rows and records.

    Always: landed = accepted + duplicate + quarantined, in sum and for each source. pending: rows
    of a reload that is not complete, counted as landed once it is. unknown: undeclared sources and
    how many files they hold. notices: sentences for a person.
    """

    run_id: str
    as_of: datetime
    landed: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    pending: int = 0
    files: int = 0
    sources: dict[str, Counts] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    seconds: float = 0.0


def ingest(
    settings: Settings,
    project_dir: Path,
    *,
    as_of: datetime,
    run_id: str | None = None,
    progress: Progress | None = None,
    confirm_reloads: Collection[str] = (),
) -> IngestReport:
    """Find what is new in bronze; accept, consolidate or quarantine it, and say so.

    as_of: aware, or naive UTC. confirm_reloads: sources (dms.<schema>.<table>) whose waiting reload
    is complete, as somebody knows who started it. progress is called with (what, done, total).

    Raises SynapseError for an empty lake, wrong declarations or a store that cannot be reached,
    LeaseHeldError while another ingest is at work; bad input is quarantined and raises nothing.
    """
    began = time.monotonic()
    declarations = load_declarations(project_dir)
    _require_tables(declarations, confirm_reloads)
    files = scan_bronze(settings.lake)
    with opened(settings, run_id) as (ledger, part_id):
        as_of_utc = naive_utc(as_of)
        recorded, resolutions = recover(settings.lake, ledger, f"{part_id}-recovery", as_of_utc)
        known = ledger.known_stats()
        fresh = [file for file in files if (file.path, file.size, file.mtime_ns) not in known]
        waiting, gone = _held(ledger, files)
        routed = route(fresh + waiting, declarations)
        claimed = _declared(routed)
        ledger.begin(part_id, as_of_utc, claimed)
        if confirm_reloads:
            ledger.note(part_id, f"reload confirmed: {', '.join(sorted(confirm_reloads))}")
        readers = Readers(settings.processes, _small_file_bytes(routed))
        work = Work(
            lake=settings.lake,
            ledger=ledger,
            connection=connect(),
            as_of=as_of_utc,
            quiet=timedelta(minutes=settings.reload_quiet_minutes),
            part_id=part_id,
            on_disk=frozenset((file.path, file.size, file.mtime_ns) for file in files),
            recorded=recorded,
            readers=readers,
            progress=progress,
            confirmed=frozenset(confirm_reloads),
        )
        # Records are trees: searching them for cycles doubles the time of parsing.
        with failing(ledger, part_id), readers, without_cycle_search():
            harvest = _bring_in(work, routed)
            ledger.check_claims(part_id, len(claimed))
            counts = commit(work, harvest, gone)
        if resolutions:
            QuarantineIndex(ledger.engine).resolve(resolutions.values(), part_id)
        gaps = ledger.offset_gaps() if routed.topics or routed.cdc else []
        gone_files = vanished_notices(ledger, {file.path for file in files})
    total = Counts()
    for count in counts.values():
        total.add(count)
    drift = list(harvest.drift.values())
    return IngestReport(
        run_id=run_id or part_id,
        as_of=as_of,
        **vars(total),
        sources=dict(sorted(counts.items())),
        unknown=dict(routed.unknown),
        drift=drift,
        notices=[*_notices(routed, harvest, gaps), *gone_files],
        seconds=round(time.monotonic() - began, 3),
    )


def _require_tables(declarations: Declarations, sources: Collection[str]) -> None:
    known = [table.source for table in declarations.tables]
    for source in sources:
        if source not in known:
            raise UsageError(
                f"No table {source!r} is declared, so no reload of it can be confirmed; the tables "
                f"are {', '.join(sorted(known))}."
            )


@contextmanager
def opened(settings: Settings, run_id: str | None) -> Iterator[tuple[Ledger, str]]:
    """The ledger under the ingest lease, and an id that no earlier run has written under."""
    wanted = run_id or uuid.uuid4().hex
    try:
        with lease(settings.state, wanted, name="ingest"), Ledger(settings.state) as ledger:
            parts = set(part_names(settings.lake))
            part_id, number = wanted, 1
            while ledger.has_run(part_id) or f"part-{part_id}.parquet" in parts:
                number += 1
                part_id = f"{wanted}-{number}"
            yield ledger, part_id
    except SQLAlchemyError as error:
        raise SynapseError(
            f"The state store {settings.state} (SYNAPSE_STATE) cannot be used: {error}"
        ) from error


@contextmanager
def failing(ledger: Ledger, run_id: str) -> Iterator[None]:
    """Record a failure, and say what failed in the terms of the lake."""
    try:
        yield
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        ledger.fail(run_id, str(error))
        raise SynapseError(f"Ingest stopped and accepted nothing: {error}") from error
    except BaseException as error:
        ledger.fail(run_id, str(error) or type(error).__name__)
        raise


def _held(ledger: Ledger, files: list[BronzeFile]) -> tuple[list[BronzeFile], list[str]]:
    """Held files that are still in bronze as they were, and paths of those that are not."""
    on_disk = {(file.path, file.size, file.mtime_ns) for file in files}
    waiting: list[BronzeFile] = []
    gone: list[str] = []
    for source in ledger.sources_held():
        for file in ledger.held(source).values():
            if (file.path, file.size, file.mtime_ns) in on_disk:
                waiting.append(file)
            else:
                gone.append(file.path)
    return waiting, gone


def _declared(routed: Routed) -> list[BronzeFile]:
    groups = (*routed.dms.values(), *routed.cdc.values(), *routed.topics.values())
    return [file for group in groups for file in group]


def _small_file_bytes(routed: Routed) -> int:
    groups = (*routed.cdc.values(), *routed.topics.values())
    return sum(file.size for group in groups for file in group)


def _bring_in(work: Work, routed: Routed) -> Harvest:
    harvest = Harvest()
    tables = sorted(routed.dms.items(), key=lambda item: item[0].source)
    for done, (table, files) in enumerate(tables):
        _say(work.progress, f"check {table.source}", done, len(tables))
        harvest.merge(ingest_table(work, table, sorted(files, key=lambda file: file.path)))
    cdc = sorted(routed.cdc.items(), key=lambda item: item[0].source)
    for cdc_table, files in cdc:
        harvest.merge(ingest_topic(work, cdc_table, files))
    for topic, files in sorted(routed.topics.items(), key=lambda item: item[0].name):
        harvest.merge(ingest_topic(work, topic, files))
    return harvest


def _say(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def commit(
    work: Work,
    harvest: Harvest,
    gone: list[str] | None = None,
    before_ledger: Callable[[], None] | None = None,
) -> dict[str, Counts]:
    """Make a harvest lasting, in the order that survives a kill, and return counts by source."""
    counts: dict[str, Counts] = defaultdict(Counts)
    for outcome in harvest.outcomes:
        counts[outcome.source].add(outcome.counts())
        if (outcome.file.path, outcome.sha256) in work.forget:
            counts[outcome.source].add(work.ledger.uncounted(outcome.file.path, outcome.sha256))
    now = utc_now()
    if harvest.refusals:
        write_refusals(work.lake, work.part_id, harvest.refusals, now)
    part = None
    if harvest.manifest:
        part = write_part(
            work.lake,
            work.part_id,
            harvest.manifest,
            run_id=work.part_id,
            as_of=work.as_of,
            ingested_at=now,
        )
    if before_ledger is not None:
        before_ledger()
    work.ledger.commit(
        work.part_id,
        outcomes=harvest.outcomes,
        refusals=harvest.refusals,
        drift=list(harvest.drift.values()),
        layouts=harvest.layouts,
        counts=counts,
        part=part,
        touched=harvest.touched,
        gone=gone or [],
    )
    return dict(counts)


def _notices(routed: Routed, harvest: Harvest, gaps: list[str]) -> list[str]:
    unknown = [
        f"{source}: {files} file(s) landed but models/bronze declares no such source"
        for source, files in sorted(routed.unknown.items())
    ]
    drift = [item.sentence() for item in harvest.drift.values()]
    return [*unknown, *harvest.notices, *drift, *gaps]

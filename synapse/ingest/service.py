"""`synapse ingest`: from what landed to what silver may read. Safe to repeat and safe to kill.

Order of writes: data files, quarantine, then the manifest's part (by one rename) inside the
ledger's transaction. Killed before the rename, a run leaves files that nothing refers to and claims
that the next run frees; killed after it, the next run takes the part over (recover.py).
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.exc import SQLAlchemyError

from synapse.declarations import Declarations, load_declarations
from synapse.errors import SynapseError, UsageError
from synapse.feedback.service import Feedback
from synapse.garbage import without_cycle_search
from synapse.ingest.arrow import prepare_arrow
from synapse.ingest.claims import Claims
from synapse.ingest.discover import Listing, Stat, require_bronze
from synapse.ingest.ledger import Ledger
from synapse.ingest.manifest import part_names, write_part
from synapse.ingest.model import BronzeFile, Counts, Drift, Harvest
from synapse.ingest.quarantine_index import QuarantineIndex
from synapse.ingest.readers import Readers
from synapse.ingest.recover import recover
from synapse.ingest.store import RefusalWriter
from synapse.ingest.topics import ingest_topic
from synapse.ingest.vanished import vanished_notices
from synapse.ingest.work import Work
from synapse.lake import Lake
from synapse.observe.log import log_ingest
from synapse.progress import Progress
from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.lease import lease
from synapse.settings import Settings
from synapse.state_store import unusable
from synapse.system_errors import explain

__all__ = ["Counts", "IngestReport", "ingest"]


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did; counts are rows and records.

    Always: landed = accepted + duplicate + quarantined, in sum and for each source. pending: rows
    of a reload that is not complete, counted as landed once it is. unknown: undeclared sources and
    how many files they hold. notices: sentences for a person. listed: files that were listed, all
    of bronze in a sweep; requests: the LIST requests that it took on S3. is_cut: its time was over
    before every source was looked at; another ingest goes on.
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
    is_sweep: bool = False
    is_cut: bool = False
    listed: int = 0
    requests: int = 0
    seconds: float = 0.0


def ingest(
    settings: Settings,
    project_dir: Path,
    *,
    as_of: datetime,
    run_id: str | None = None,
    sweep: bool | None = True,
    progress: Progress | None = None,
    confirm_reloads: Collection[str] = (),
    seconds: float = math.inf,
    readers: Readers | None = None,
) -> IngestReport:
    """Find what is new in bronze; accept, consolidate or quarantine it, and say so.

    as_of: aware, or naive UTC. sweep: list all of bronze; else only dated folders of the lookback,
    and all where a day has passed since the last sweep (None). progress is called with (what, done,
    total). confirm_reloads: sources (dms.<schema>.<table>) whose waiting reload is complete, as
    somebody knows who started it. seconds: after so many no further source is begun once one has
    given something; each source is taken whole, as in any ingest of what has landed by then.
    readers: those that were started early; this ingest ends them.

    Raises SynapseError for an empty lake, wrong declarations or a store that cannot be
    reached, LeaseHeldError while another ingest is at work; bad input is quarantined and raises
    nothing.
    """
    began = time.monotonic()
    prepare_arrow()
    declarations = load_declarations(project_dir)
    _require_tables(declarations, confirm_reloads)
    feedback = Feedback.load(project_dir)
    lake = settings.open_lake()
    require_bronze(lake)
    as_of_utc = naive_utc(as_of)
    with opened(settings, lake, run_id) as (ledger, part_id):
        ledger.begin(part_id, as_of_utc)
        if confirm_reloads:
            ledger.note(part_id, f"reload confirmed: {', '.join(sorted(confirm_reloads))}")
        # Records are trees: searching them for cycles doubles the time of parsing.
        with (
            failing(ledger, part_id, lake) as ending,
            readers or Readers(settings.processes) as reading,
            without_cycle_search(),
        ):
            recorded, resolutions = recover(lake, ledger, f"{part_id}-recovery", as_of_utc)
            is_sweep = ledger.sweep_is_due(as_of_utc) if sweep is None else sweep
            lookback = as_of_utc.date() - timedelta(days=settings.lookback_days)
            listing = Listing(lake, declarations, None if is_sweep else lookback, reading)
            tables, loads = listing.tables(ledger)
            work = new_work(
                settings,
                lake,
                ledger,
                part_id,
                as_of_utc,
                on_disk=loads,
                recorded=recorded,
                readers=reading,
                progress=progress,
                confirmed=frozenset(confirm_reloads),
            )
            ending.callback(work.refusals.abandon)
            waiting, gone = _held(ledger, loads)
            harvest = Harvest()

            def is_over() -> bool:
                return bool(harvest.outcomes) and time.monotonic() - began >= seconds

            is_cut = False
            for done, table in enumerate(declarations.tables):
                files = [*tables.get(table, ()), *waiting.get(table.source, ())]
                if progress:
                    progress(f"check {table.source}", done, len(declarations.tables))
                if files and is_over():
                    is_cut = True
                    break
                if files:
                    # Late: small files alone need no DuckDB, which is 35 MB.
                    from synapse.ingest.dms_table import ingest_table

                    files.sort(key=lambda file: file.path)
                    harvest.merge(ingest_table(work, table, files))
            for target, files_of_topic in () if is_cut else listing.topics():
                if is_over():
                    is_cut = True
                    break
                harvest.merge(ingest_topic(work, target, files_of_topic))
            swept = {"as_of": as_of_utc, "files": listing.files, "requests": lake.requests}
            is_whole_sweep = is_sweep and not is_cut
            counts = commit(work, harvest, gone, sweep=swept if is_whole_sweep else None)
        if resolutions:
            QuarantineIndex(ledger.engine).resolve(resolutions.values(), part_id)
        gaps = ledger.offset_gaps()
        vanished = vanished_notices(ledger, listing.dms_paths) if is_sweep else []
    total = Counts()
    for count in counts.values():
        total.add(count)
    report = IngestReport(
        run_id=run_id or part_id,
        as_of=as_of,
        **vars(total),
        sources=dict(sorted(counts.items())),
        unknown=dict(listing.unknown),
        drift=list(harvest.drift.values()),
        notices=[*_notices(listing, harvest, gaps), *vanished, *feedback.tell(settings.state)],
        is_sweep=is_sweep,
        is_cut=is_cut,
        listed=listing.files,
        requests=lake.requests,
        seconds=round(time.monotonic() - began, 3),
    )
    log_ingest(settings, report, part_id)
    return report


def _require_tables(declarations: Declarations, sources: Collection[str]) -> None:
    known = [table.source for table in declarations.tables]
    for source in sources:
        if source not in known:
            raise UsageError(
                f"No table {source!r} is declared, so no reload of it can be confirmed; the tables "
                f"are {', '.join(sorted(known))}."
            )


def new_work(
    settings: Settings,
    lake: Lake,
    ledger: Ledger,
    part_id: str,
    as_of: datetime,
    **more: Any,
) -> Work:
    """What the steps of one ingest share; `more` are further fields of Work."""
    refusals = RefusalWriter(lake, part_id, utc_now())
    return Work(
        lake=lake,
        ledger=ledger,
        claims=Claims(ledger, part_id, refusals),
        refusals=refusals,
        as_of=as_of,
        quiet=timedelta(minutes=settings.reload_quiet_minutes),
        part_id=part_id,
        **more,
    )


@contextmanager
def opened(settings: Settings, lake: Lake, run_id: str | None) -> Iterator[tuple[Ledger, str]]:
    """The ledger under the ingest lease, and an id that no earlier run has written under."""
    wanted = run_id or uuid.uuid4().hex
    try:
        with lease(settings.state, wanted, name="ingest"), Ledger(settings.state) as ledger:
            parts = set(part_names(lake))
            part_id, number = wanted, 1
            while ledger.has_run(part_id) or f"part-{part_id}.parquet" in parts:
                number += 1
                part_id = f"{wanted}-{number}"
            # What a killed ingest fetched may have been overwritten in bronze since.
            lake.tidy()
            try:
                yield ledger, part_id
            finally:
                lake.tidy()
    except SQLAlchemyError as error:
        raise unusable(settings.state, error) from error


@contextmanager
def failing(ledger: Ledger, run_id: str, lake: Lake) -> Iterator[contextlib.ExitStack]:
    """Record a failure, and say what failed in the terms of the lake; yields what is done last."""

    def record(error: BaseException) -> None:
        # Where that cannot be written either, the next ingest takes this one for a killed one.
        with contextlib.suppress(SQLAlchemyError):
            ledger.fail(run_id, str(error) or type(error).__name__)

    try:
        with contextlib.ExitStack() as ending:
            yield ending
    except (OSError, pa.ArrowException, *_errors_of_duckdb()) as error:
        record(error)
        said = explain(error, str(lake.root)) or error
        raise SynapseError(f"Ingest stopped and accepted nothing: {said}") from error
    except BaseException as error:
        record(error)
        raise


def _errors_of_duckdb() -> tuple[type[Exception], ...]:
    """What DuckDB raises, where it has been loaded."""
    duckdb = sys.modules.get("duckdb")
    return () if duckdb is None else (duckdb.Error,)


def _held(
    ledger: Ledger, loads: frozenset[Stat]
) -> tuple[dict[str, list[BronzeFile]], list[tuple[str, str]]]:
    """Held LOAD files that are in bronze as they were, by source, and those that are not."""
    waiting: dict[str, list[BronzeFile]] = defaultdict(list)
    gone: list[tuple[str, str]] = []
    for source, file in ledger.held():
        if (file.path, file.size, file.etag) in loads:
            waiting[source].append(file)
        else:
            gone.append((source, file.path))
    return waiting, gone


def commit(
    work: Work,
    harvest: Harvest,
    gone: list[tuple[str, str]] | None = None,
    before_ledger: Callable[[], None] | None = None,
    sweep: dict[str, Any] | None = None,
) -> dict[str, Counts]:
    """Make a harvest lasting, in the order that survives a kill, and return counts by source."""
    for outcome in harvest.outcomes:
        work.claims.note(outcome)
        version = outcome.source, outcome.file.path, outcome.sha256
        if version[1:] in work.forget:
            work.claims.counts[outcome.source].add(work.ledger.uncounted(*version))
    counts = dict(work.claims.counts)
    if harvest.refusals:
        work.refusals.add(harvest.refusals)
    work.claims.finish()
    work.refusals.finish()
    if before_ledger is not None:
        before_ledger()

    def publish() -> str | None:
        if not harvest.manifest:
            return None
        return write_part(
            work.lake,
            work.part_id,
            harvest.manifest,
            run_id=work.part_id,
            as_of=work.as_of,
            ingested_at=utc_now(),
        )

    work.ledger.commit(
        work.part_id,
        outcomes=harvest.outcomes,
        refusals=harvest.refusals,
        drift=list(harvest.drift.values()),
        layouts=harvest.layouts,
        counts=counts,
        offsets=work.claims.offsets,
        touched=harvest.touched,
        gone=gone or [],
        publish=publish,
        sweep=sweep,
    )
    return counts


def _notices(listing: Listing, harvest: Harvest, gaps: list[str]) -> list[str]:
    unknown = [
        f"{source}: {files} file(s) landed but models/bronze declares no such source"
        for source, files in sorted(listing.unknown.items())
    ]
    unknown += [
        f"{listing.lake.location}/{name} was passed over: its name is not UTF-8; rename it"
        for name in sorted(listing.lake.passed_over)
    ]
    drift = [item.sentence() for item in harvest.drift.values()]
    return [*unknown, *harvest.notices, *drift, *gaps]

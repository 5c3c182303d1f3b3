"""`synapse quarantine replay`: what was refused is tried again after a fix.

A replay checks the stored payload against today's declarations. What passes flows into new files
under the source, kind and epoch of its first landing, so that silver ends where a clean landing
would have left it; what fails again counts an attempt. Nothing is tried but on request.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synapse.declarations import Declarations, DmsTable, Topic, load_declarations
from synapse.feedback.service import Feedback
from synapse.ingest import DMS_ROOT
from synapse.ingest.consolidate import Delivery
from synapse.ingest.discover import find, loads_of
from synapse.ingest.dms import Checked, check_files, refusals_of, write_clean
from synapse.ingest.dms_table import ingest_table
from synapse.ingest.model import (
    BronzeFile,
    Harvest,
    Kind,
    ManifestRow,
    Outcome,
    Refusal,
    State,
    Unit,
)
from synapse.ingest.moments import layout_of
from synapse.ingest.quarantine import find_entry, payloads_of
from synapse.ingest.quarantine_index import Entry, QuarantineIndex
from synapse.ingest.reading import converter_of
from synapse.ingest.records import Records
from synapse.ingest.recover import REPLAYED_ROWS
from synapse.ingest.service import commit, failing, new_work, opened
from synapse.ingest.store import Resolution, write_resolutions
from synapse.ingest.topics import ingest_topic, part_writer
from synapse.ingest.work import Work
from synapse.runner.clock import naive_utc, utc_now
from synapse.settings import Settings


@dataclass(frozen=True)
class ReplayReport:
    """ids accepted, and ids refused again with the sentence that says why.

    notices: sentences for a person.
    """

    accepted: list[str]
    refused: dict[str, str]
    notices: list[str] = field(default_factory=list)


def replay(
    settings: Settings,
    project_dir: Path,
    ids: Sequence[str] | None = None,
    *,
    as_of: datetime,
    run_id: str | None = None,
) -> ReplayReport:
    """Try open entries again (all of them when ids is None).

    Raises UsageError for an unknown id, SynapseError and LeaseHeldError as ingest does.
    """
    declarations = load_declarations(project_dir)
    feedback = Feedback.load(project_dir)
    lake = settings.open_lake()
    with opened(settings, lake, run_id) as (ledger, part_id):
        index = QuarantineIndex(ledger.engine)
        chosen = index.entries() if ids is None else [find_entry(ledger, key) for key in ids]
        chosen = [entry for entry in chosen if entry.state == "open"]
        whole = [entry for entry in chosen if entry.unit is Unit.FILE]
        tables = {declarations.table_of(entry.source) for entry in whole} - {None}
        work = new_work(
            settings,
            lake,
            ledger,
            part_id,
            naive_utc(as_of),
            on_disk=loads_of(lake, [table for table in tables if table is not None]),
            forget=frozenset((entry.path, entry.sha256) for entry in whole),
        )
        ledger.begin(part_id, work.as_of)
        with failing(ledger, part_id, lake) as ending:
            ending.callback(work.refusals.abandon)
            report = _replay(work, declarations, index, chosen)
    return replace(report, notices=feedback.tell(settings.state))


def _replay(
    work: Work,
    declarations: Declarations,
    index: QuarantineIndex,
    chosen: list[Entry],
) -> ReplayReport:
    harvest = Harvest()
    refused: dict[str, Refusal] = {}
    payloads = payloads_of(work.lake, [entry for entry in chosen if entry.unit is not Unit.FILE])
    rows: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    records: dict[str, list[Refusal]] = defaultdict(list)
    whole: list[Entry] = []
    for entry in chosen:
        if entry.unit is Unit.FILE:
            whole.append(entry)
        elif entry.unit is Unit.ROW:
            rows[entry.path, entry.sha256].append(payloads[entry.id])
        else:
            records[entry.source].append(payloads[entry.id])
    for number, group in enumerate(rows.values()):
        refused |= _replay_rows(work, declarations, group, number, harvest)
    for source, several in records.items():
        refused |= _replay_records(work, declarations, source, several, harvest)
    refused |= _replay_files(work, declarations, whole, harvest)
    accepted = [entry for entry in chosen if entry.id not in refused]
    now = utc_now()
    resolutions = [
        Resolution(entry.id, "replayed", entry.attempts + 1, now) for entry in accepted
    ] + [
        Resolution(entry.id, "open", entry.attempts + 1, now)
        for entry in chosen
        if entry.id in refused
    ]
    if resolutions:
        write_resolutions(work.lake, work.part_id, resolutions)

    def settle() -> None:
        index.try_again(refused.values())
        index.resolve([item for item in resolutions if item.state == "replayed"], work.part_id)

    commit(work, harvest, before_ledger=settle)
    return ReplayReport(
        [entry.id for entry in accepted], {key: item.sentence for key, item in refused.items()}
    )


def _target(declarations: Declarations, source: str) -> DmsTable | Topic | None:
    return declarations.table_of(source) or declarations.topic_of(source)


def _undeclared(refusals: list[Refusal]) -> dict[str, Refusal]:
    return {
        item.id: Refusal(
            **{
                **vars(item),
                "rule": "declared",
                "sentence": f"{item.source} is no longer declared in models/bronze",
            }
        )
        for item in refusals
    }


def _replay_rows(
    work: Work,
    declarations: Declarations,
    group: list[Refusal],
    number: int,
    harvest: Harvest,
) -> dict[str, Refusal]:
    """Rows of one DMS file, which were stored as texts, go through the checks of files."""
    first = group[0]
    table = declarations.table_of(first.source)
    if table is None:
        return _undeclared(group)
    payloads = [orjson.loads(item.payload) for item in group]
    names = list(payloads[0])
    texts = pa.table(
        {name: pa.array([row.get(name) for row in payloads], pa.string()) for name in names}
    )
    root = work.lake.root
    folder = root / "quarantine" / f".replay-{work.part_id}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}.parquet"
    pq.write_table(texts, path)
    relative = path.relative_to(root).as_posix()
    result = Checked(BronzeFile(relative, 0, ""), first.sha256, first.kind)
    check_files(work.connection, root, table, [result])
    again = refusals_of(work.connection, root, table, result)
    if result.refused is not None:
        rule, sentence = result.refused
        shutil.rmtree(folder)
        return {item.id: _said_anew(item, rule, sentence) for item in group}
    accepted = result.rows - result.broken
    if accepted:
        target = f"{REPLAYED_ROWS}{work.part_id}-{number:05d}.parquet"
        write_clean(work.connection, work.lake, result, target)
        version = work.ledger.version(first.source, first.path, first.sha256)
        harvest.manifest.append(
            ManifestRow(
                path=target,
                landed_path=first.path,
                source=table.source,
                kind=first.kind,
                rows=accepted,
                bytes=(root / target).stat().st_size,
                sha256=first.sha256,
                epoch=version.epoch if version is not None else None,
                epoch_at=result.transfer_from if first.kind is Kind.LOAD else None,
                layout=layout_of(root / target, table.moments),
            )
        )
    shutil.rmtree(folder)
    failed = {(item.number or 0) - 1: item for item in again}
    return {
        item.id: _said_anew(item, failed[position].rule, failed[position].sentence)
        for position, item in enumerate(group)
        if position in failed
    }


def _said_anew(item: Refusal, rule: str, sentence: str) -> Refusal:
    return Refusal(**{**vars(item), "rule": rule, "sentence": sentence})


def _replay_records(
    work: Work,
    declarations: Declarations,
    source: str,
    several: list[Refusal],
    harvest: Harvest,
) -> dict[str, Refusal]:
    target = _target(declarations, source)
    if target is None:
        return _undeclared(several)
    converter = converter_of(target)
    without_payload = {item.id: item for item in several if not item.payload}
    for item in several:
        if item.id in without_payload:
            continue
        records = Records(item.payload, "whole", [None])
        try:
            records.values[0] = orjson.loads(item.payload)
        except orjson.JSONDecodeError as error:
            records.errors[0] = f"the record is no JSON: {error}"
        outcome = Outcome(
            BronzeFile(item.path, 0, ""),
            item.sha256,
            source,
            item.kind,
            State.ACCEPTED,
            kafka_partition=item.kafka_partition,
            kafka_offset=item.kafka_offset,
        )
        converter.add(records, Delivery(outcome, item.number or 1, item.kafka_offset))
    tables = converter.take()
    done = converter.harvest
    refused = without_payload | {item.id: item for item in done.refusals}
    done.refusals = []
    # Whole files of the topic may be replayed as well: their parts need other names.
    writer = part_writer(work, target, f"{work.part_id}-records")
    writer.add(tables)
    done.manifest += writer.finish()
    harvest.merge(done)
    return refused


def _replay_files(
    work: Work,
    declarations: Declarations,
    whole: list[Entry],
    harvest: Harvest,
) -> dict[str, Refusal]:
    """Whole files are landed again from bronze, as if the ledger had never seen them."""
    refused: dict[str, Refusal] = {}
    bronze = find(work.lake, [entry.path for entry in whole])
    by_source: dict[str, list[Entry]] = defaultdict(list)
    for entry in whole:
        by_source[entry.source].append(entry)
    for source, several in by_source.items():
        target = _target(declarations, source)
        files = [bronze[entry.path] for entry in several if entry.path in bronze]
        done = Harvest()
        if isinstance(target, DmsTable) and several[0].path.startswith(f"{DMS_ROOT}/"):
            # A refused LOAD file keeps its reload waiting: they are looked at together.
            held = [
                file
                for _, file in work.ledger.held(source)
                if (file.path, file.size, file.etag) in work.on_disk
            ]
            done = ingest_table(work, target, files + held)
        elif target is not None:
            done = ingest_topic(work, target, files)
        became = {(item.file.path, item.sha256) for item in done.outcomes}
        why = {item.id: item for item in done.refusals if item.unit is Unit.FILE}
        for entry in several:
            if entry.id in why:
                refused[entry.id] = why[entry.id]
            elif (entry.path, entry.sha256) not in became:
                refused[entry.id] = _refusal_of(entry)
        # What failed again stays in the ledger as it is.
        failed = {(item.path, item.sha256) for item in refused.values()}
        done.outcomes = [o for o in done.outcomes if (o.file.path, o.sha256) not in failed]
        done.refusals = [item for item in done.refusals if item.id not in why]
        harvest.merge(done)
    return refused


def _refusal_of(entry: Entry) -> Refusal:
    return Refusal(
        source=entry.source,
        kind=entry.kind,
        unit=entry.unit,
        path=entry.path,
        sha256=entry.sha256,
        rule=entry.rule,
        sentence="bronze no longer holds these bytes at this path",
        number=entry.number,
    )

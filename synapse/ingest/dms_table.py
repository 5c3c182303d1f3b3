"""One DMS table's new files: redelivery, checks, epochs, and what silver gets to read."""

from __future__ import annotations

from synapse.declarations import DmsTable
from synapse.ingest import DMS_ROOT
from synapse.ingest.discover import kind_of
from synapse.ingest.dms import (
    Checked,
    accept,
    check_files,
    refusals_of,
)
from synapse.ingest.epochs import CurrentEpoch, EpochPlan, LoadFile, plan_epochs
from synapse.ingest.files import retain, sha256_of
from synapse.ingest.layouts import Layouts, mark_of
from synapse.ingest.model import BronzeFile, Drift, DriftKind, Harvest, Kind, Outcome, State
from synapse.ingest.store import keep_raw
from synapse.ingest.switching import debezium_epoch
from synapse.ingest.versions import LoadVersion
from synapse.ingest.work import Work


def ingest_table(work: Work, table: DmsTable, files: list[BronzeFile]) -> Harvest:
    """Deal with the table's new files, and again with those that waited for their reload."""
    harvest = Harvest()
    # Of a table that switches its source, files of the topic may wait beside those of DMS.
    files = [file for file in files if file.path.startswith(f"{DMS_ROOT}/")]
    work.lake.fetch(files)
    digests = {file.path: sha256_of(work.lake.root / file.path) for file in files}
    known = work.ledger.hashes(table.source, digests.values(), work.forget)
    named = work.ledger.known(table.source, [file.name for file in files])
    known_paths = {
        version.path
        for versions in named.values()
        for version in versions
        if (version.path, version.sha256) not in work.forget and not version.is_held
    }
    fresh: list[tuple[BronzeFile, str]] = []
    again: list[tuple[BronzeFile, str, str]] = []
    first: dict[str, str] = {}
    for file in files:
        digest = digests[file.path]
        same = [path for path, _ in known.get(digest, [])]
        if file.path in same:
            harvest.touched.append((table.source, file, digest))
        elif same or digest in first:
            again.append((file, digest, (same or [first[digest]])[0]))
        else:
            first[digest] = file.path
            fresh.append((file, digest))
    checked = [Checked(file, digest, kind_of(file)) for file, digest in fresh]
    for result in checked:
        if not result.is_plain:
            retain(work.lake, result.file.path, result.sha256, result.path)
    check_files(work.connection, work.lake.root, table, checked)
    loads = [result for result in checked if result.kind is Kind.LOAD]
    versions = work.ledger.loads(table.source)
    current = debezium_epoch(work, table) or _current_epoch(table, versions)
    plan = _plan(work, table, current, loads, versions)
    for result in loads:
        result.transfer_from = plan.declared.get(result.file.path, result.transfer_from)
    _hold_changes(table, current, plan, checked)
    _say_taken(work, table, current, plan, harvest)
    for result in checked:
        if result.file.path in plan.held:
            outcome = _outcome(table, result, State.HELD)
            outcome.landed = result.rows
            harvest.outcomes.append(outcome)
            continue
        _take(work, table, result, plan.accept.get(result.file.path), known_paths, harvest)
    _see_drift(
        work, table, [result for result in checked if result.file.path not in plan.held], harvest
    )
    for reason in sorted(set(plan.held.values())):
        waiting = [path for path, why in plan.held.items() if why == reason]
        harvest.notices.append(
            f"{table.source}: {len(waiting)} file(s) wait, first {waiting[0]}: {reason}"
        )
    _repeat(table, again, known, plan.held, harvest)
    if any(outcome.state is State.ACCEPTED for outcome in harvest.outcomes):
        work.fed[table.source] = max(plan.accept.values(), default=0)
    work.lake.release(files)
    return harvest


def _plan(
    work: Work,
    table: DmsTable,
    current: CurrentEpoch,
    loads: list[Checked],
    versions: list[LoadVersion],
) -> EpochPlan:
    candidates = [
        LoadFile(
            path=result.file.path,
            sha256=result.sha256,
            prefix=_prefix_of(table, result.file.path),
            transfer_from=result.transfer_from,
            transfer_to=result.transfer_to,
            is_readable=result.refused is None,
        )
        for result in loads
    ]
    # A version that was refused in an earlier run and still lies there blocks its reload as well.
    candidates += [
        LoadFile(version.path, version.sha256, _prefix_of(table, version.path), None, None, False)
        for version in versions
        if version.state is State.QUARANTINED
        and (version.path, version.sha256) not in work.forget
        and (version.path, version.size, version.etag) in work.on_disk
    ]
    newest = max((file.prefix for file in candidates), default=0)
    by_prefix = table.reload_at.get(table.prefixes[newest])
    return plan_epochs(
        current,
        candidates,
        as_of=work.as_of,
        quiet=work.quiet,
        is_confirmed=table.source in work.confirmed,
        declared=table.reload_at.get(str(current.number + 1), by_prefix),
    )


def _hold_changes(
    table: DmsTable, current: CurrentEpoch, plan: EpochPlan, checked: list[Checked]
) -> None:
    """DMS takes a table over from Debezium by a load: its changes since the switch wait for it."""
    if not current.is_of_other_source or current.number + 1 in plan.accept.values():
        return
    for result in checked:
        committed = result.transfer_to
        if result.kind is Kind.LOAD or committed is None or current.instant is None:
            continue
        if committed >= current.instant:
            plan.held[result.file.path] = (
                f"Debezium feeds {table.source} since {current.instant} and DMS's changes cannot "
                "be ordered against its; they are taken once a full load of DMS has landed"
            )


def _say_taken(
    work: Work, table: DmsTable, current: CurrentEpoch, plan: EpochPlan, harvest: Harvest
) -> None:
    if current.number == 0 or current.number + 1 not in plan.accept.values():
        return
    why = ", which was confirmed" if table.source in work.confirmed else ""
    harvest.notices.append(
        f"{table.source}: a reload was taken{why}: epoch {current.number + 1}. Keys that it does "
        "not name no longer exist since its earliest transfer time"
    )


def _prefix_of(table: DmsTable, path: str) -> int:
    matching = [
        (len(prefix), position)
        for position, prefix in enumerate(table.prefixes)
        if path.startswith(f"{DMS_ROOT}/{prefix}/")
    ]
    return max(matching)[1]


def _current_epoch(table: DmsTable, versions: list[LoadVersion]) -> CurrentEpoch:
    accepted = [version for version in versions if version.epoch is not None]
    number = max((version.epoch or 0 for version in accepted), default=0)
    now = [version for version in accepted if version.epoch == number]
    instants = [version.transfer_from for version in now if version.transfer_from is not None]
    paths = frozenset(version.path for version in now)
    return CurrentEpoch(
        number=number,
        instant=min(instants, default=None),
        prefixes=frozenset(_prefix_of(table, path) for path in paths) or frozenset({0}),
        paths=paths,
        earlier=frozenset(version.path for version in accepted) - paths,
    )


def _outcome(table: DmsTable, result: Checked, state: State) -> Outcome:
    return Outcome(
        file=result.file,
        sha256=result.sha256,
        source=table.source,
        kind=result.kind,
        state=state,
        transfer_from=result.transfer_from,
        transfer_to=result.transfer_to,
    )


def _see_drift(work: Work, table: DmsTable, results: list[Checked], harvest: Harvest) -> None:
    marked = [
        (mark_of(result.file, result.transfer_to if result.kind is Kind.LOAD else None), result)
        for result in results
    ]
    layouts = Layouts(table.source, work.ledger.layout(table.source))
    for mark, result in sorted(marked, key=lambda pair: (pair[0], pair[1].file.path)):
        if result.checks is None:
            continue
        path, checks = result.file.path, result.checks
        for name, physical in checks.undeclared.items():
            harvest.see_drift(Drift(table.source, name, DriftKind.UNDECLARED, physical, path))
        for name in checks.missing:
            harvest.see_drift(Drift(table.source, name, DriftKind.MISSING, "", path))
        for drift in layouts.see(path, mark, checks.data):
            harvest.see_drift(drift)
    harvest.layouts += layouts.columns


def _take(
    work: Work,
    table: DmsTable,
    result: Checked,
    epoch: int | None,
    known_paths: set[str],
    harvest: Harvest,
) -> None:
    refusals = refusals_of(work.connection, work.lake.root, table, result)
    if result.refused is not None:
        outcome = _outcome(table, result, State.QUARANTINED)
        outcome.landed = outcome.quarantined = 1
        keep_raw(work.lake, result.file, result.sha256)
    else:
        outcome = _outcome(table, result, State.ACCEPTED)
        outcome.landed = result.rows
        outcome.quarantined = result.broken
        outcome.accepted = result.rows - result.broken
        outcome.epoch = epoch
        row = accept(
            work.connection,
            work.lake,
            table,
            result,
            epoch,
            is_overwritten=result.file.path in known_paths,
        )
        if row is not None:
            harvest.manifest.append(row)
    harvest.outcomes.append(outcome)
    harvest.refusals += refusals


def _repeat(
    table: DmsTable,
    again: list[tuple[BronzeFile, str, str]],
    known: dict[str, list[tuple[str, int]]],
    held: dict[str, str],
    harvest: Harvest,
) -> None:
    """Count the rows of files whose bytes have landed under another name."""
    landed = {digest: versions[0][1] for digest, versions in known.items()}
    landed |= {outcome.sha256: outcome.landed for outcome in harvest.outcomes}
    for file, digest, original in again:
        if original in held:
            # Its twin waits; what this one is will be known when the reload is taken.
            continue
        rows = landed[digest]
        harvest.outcomes.append(
            Outcome(
                file=file,
                sha256=digest,
                source=table.source,
                kind=kind_of(file),
                state=State.DUPLICATE,
                landed=rows,
                duplicate=rows,
            )
        )

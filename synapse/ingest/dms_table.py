"""One DMS table's new files: redelivery, checks, epochs, and what silver gets to read."""

from __future__ import annotations

from synapse.declarations import DmsTable
from synapse.ingest.discover import DMS_ROOT
from synapse.ingest.dms import (
    Checked,
    accept,
    check_files,
    kind_of,
    refusals_of,
)
from synapse.ingest.epochs import CurrentEpoch, EpochPlan, LoadFile, plan_epochs
from synapse.ingest.files import retain, sha256_of
from synapse.ingest.ledger import LoadVersion
from synapse.ingest.model import BronzeFile, Drift, Harvest, Kind, Outcome, State
from synapse.ingest.store import keep_raw
from synapse.ingest.work import Work


def ingest_table(work: Work, table: DmsTable, files: list[BronzeFile]) -> Harvest:
    """Deal with the table's new files, and again with those that waited for their reload."""
    harvest = Harvest()
    work.lake.fetch(files)
    digests = {file.path: sha256_of(work.lake.root / file.path) for file in files}
    known = work.ledger.hashes(table.source, digests.values(), work.forget)
    named = work.ledger.known(table.source, [file.name for file in files])
    known_paths = {
        version.path
        for versions in named.values()
        for version in versions
        if (version.path, version.sha256) not in work.forget
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
    plan = _plan(work, table, [result for result in checked if result.kind is Kind.LOAD])
    for result in checked:
        if result.file.path in plan.held:
            outcome = _outcome(table, result, State.HELD)
            outcome.landed = result.rows
            harvest.outcomes.append(outcome)
            continue
        _see_drift(harvest, table, result)
        _take(work, table, result, plan.accept.get(result.file.path), known_paths, harvest)
    for reason in sorted(set(plan.held.values())):
        waiting = [path for path, why in plan.held.items() if why == reason]
        harvest.notices.append(
            f"{table.source}: {len(waiting)} LOAD file(s) wait, first {waiting[0]}: {reason}"
        )
    _repeat(table, again, known, plan.held, harvest)
    work.lake.release(files)
    return harvest


def _plan(work: Work, table: DmsTable, loads: list[Checked]) -> EpochPlan:
    versions = work.ledger.loads(table.source)
    current = _current_epoch(table, versions)
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
    return plan_epochs(current, candidates, as_of=work.as_of, quiet=work.quiet)


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
        prefix=max((_prefix_of(table, path) for path in paths), default=0),
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


def _see_drift(harvest: Harvest, table: DmsTable, result: Checked) -> None:
    if result.checks is None:
        return
    for name, physical in result.checks.undeclared.items():
        harvest.see_drift(Drift(table.source, name, "undeclared", physical, result.file.path))
    for name in result.checks.missing:
        harvest.see_drift(Drift(table.source, name, "missing", "", result.file.path))


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

"""A scheduled run from bronze to gold."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from synapse.deps import ensure_packages
from synapse.errors import SynapseError
from synapse.ingest.discover import require_bronze
from synapse.ingest.service import IngestReport, ingest
from synapse.progress import Progress
from synapse.runner.clock import naive_utc
from synapse.runner.configuration import check_configuration
from synapse.runner.dbt import DbtProject, DbtResult
from synapse.runner.fingerprint import inputs_fingerprint
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.warehouse import Warehouse, open_warehouse
from synapse.settings import Settings


@dataclass(frozen=True)
class RunReport:
    """What a run did: `status` is succeeded, unchanged or failed."""

    run_id: str
    schedule: str
    status: str
    as_of: datetime
    ingest: IngestReport
    dbt: DbtResult = field(default_factory=DbtResult)


def run(
    settings: Settings,
    project_dir: Path,
    *,
    schedule: str,
    as_of: datetime,
    full_refresh: bool = False,
    progress: Progress | None = None,
    dbt: DbtProject | None = None,
) -> RunReport:
    """Ingest, then build what the schedule selects; idempotent.

    A run whose inputs equal the last successful one's builds nothing and is recorded as unchanged.
    Raises SynapseError on bad settings or input, LeaseHeldError when another run is at work;
    failing models or tests are reported with status failed. dbt: the project, where it is parsed
    already.
    """
    run_id = uuid.uuid4().hex
    check_configuration(project_dir)
    # An empty lake is refused before anything is written to it.
    require_bronze(settings.open_lake())
    dbt = dbt or DbtProject(settings, project_dir)
    warehouse = open_warehouse(settings, project_dir, dbt)
    # An occupied warehouse must be refused before anything is accepted or written.
    warehouse.require_free()
    packages = ensure_packages(project_dir)
    if packages.message and progress:
        progress(packages.message, 0, 0)
    history = RunHistory(settings.state)
    try:
        with lease(settings.state, run_id):
            try:
                report = _run_leased(
                    settings,
                    project_dir,
                    dbt,
                    warehouse,
                    history,
                    run_id,
                    schedule,
                    as_of,
                    full_refresh,
                    progress,
                )
            except BaseException:
                # What went wrong matters more than a warehouse that somebody else has open.
                with contextlib.suppress(SynapseError):
                    warehouse.record_runs()
                raise
            # How the run ended, for the marts: they are views, so no dbt has to follow.
            warehouse.record_runs()
            return report
    finally:
        history.close()


def _run_leased(
    settings: Settings,
    project_dir: Path,
    dbt: DbtProject,
    warehouse: Warehouse,
    history: RunHistory,
    run_id: str,
    schedule: str,
    as_of: datetime,
    full_refresh: bool,
    progress: Progress | None,
) -> RunReport:
    newest = history.newest_as_of()
    is_backfill = newest is not None and naive_utc(as_of) < newest
    before = history.last_built()
    history.start(run_id, schedule, as_of)
    try:
        report = ingest(
            settings,
            project_dir,
            as_of=as_of,
            run_id=run_id,
            # Within a day, years of folders are not listed; a file that is late by more than the
            # lookback is found by the day's first sweep.
            sweep=None if schedule in ("realtime", "hourly") else True,
            progress=progress,
        )
        counts = {
            "landed": report.landed,
            "accepted": report.accepted,
            "duplicate": report.duplicate,
            "quarantined": report.quarantined,
        }
        fingerprint = inputs_fingerprint(settings, project_dir, selector=schedule, as_of=as_of)
        if (
            not full_refresh
            and before is not None
            and before.status == "succeeded"
            and before.fingerprint == fingerprint
        ):
            history.finish(run_id, "unchanged", fingerprint=fingerprint, **counts)
            return RunReport(run_id, schedule, "unchanged", as_of, report)
        warehouse.take_up()
        warehouse.write_run_context(run_id=run_id, as_of=as_of, is_backfill=is_backfill)
        warehouse.record_runs()  # the tests of this run judge what it ingested
        # Unit tests prove the code, not the data: `make test` and CI run them, schedules do not.
        arguments = ["build", "--selector", schedule, "--exclude-resource-type", "unit_test"]
        if is_backfill:
            # A snapshot records what is current now: taken for an earlier as-of it would lie.
            arguments += ["--exclude-resource-type", "snapshot"]
        if full_refresh:
            arguments += ["--full-refresh"]
        result = dbt.invoke(arguments, run_id=run_id, progress=progress)
    except BaseException as error:
        history.finish(run_id, "failed", detail=str(error) or type(error).__name__)
        raise
    status = "succeeded" if result.succeeded else "failed"
    history.finish(
        run_id,
        status,
        fingerprint=fingerprint if result.succeeded else None,
        detail="\n".join(result.failures) or None,
        **counts,
    )
    return RunReport(run_id, schedule, status, as_of, report, result)


def build_docs(settings: Settings, project_dir: Path, *, dbt: DbtProject | None = None) -> Path:
    """Write the dbt docs site as one file and return its path.

    dbt: the project as a run has just built it, which spares compiling it a second time.
    """
    ensure_packages(project_dir)
    arguments = ["docs", "generate", "--static"]
    if dbt is not None:
        arguments.append("--no-compile")
    else:
        dbt = DbtProject(settings, project_dir)
    result = dbt.invoke(arguments)
    if not result.succeeded:
        raise SynapseError(f"the docs site could not be built: {'; '.join(result.failures)}")
    site = settings.lake / "docs" / "index.html"
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_bytes((dbt.target_path / "static_index.html").read_bytes())
    return site

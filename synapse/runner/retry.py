"""`synapse retry`: go on with the newest run where it failed."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import orjson

from synapse.deps import ensure_packages
from synapse.errors import SynapseError
from synapse.observe.ending import recorded
from synapse.progress import Progress
from synapse.runner.configuration import check_configuration
from synapse.runner.dbt import DbtProject
from synapse.runner.fingerprint import readable_files
from synapse.runner.history import Run, RunHistory
from synapse.runner.lease import lease
from synapse.runner.plan import leases, plan_of
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.runner.warehouse import open_warehouse
from synapse.runner.work import RunReport, Work
from synapse.schedules.load import load_schedules
from synapse.schedules.model import Ingest
from synapse.settings import Settings


def retry(
    settings: Settings,
    project_dir: Path,
    *,
    progress: Progress | None = None,
    dbt: DbtProject | None = None,
    wait: float = 0.0,
) -> RunReport:
    """Do what failed of the newest run, and what was not done because of it, as the same run.

    It keeps its as-of and reads the files that it read: nothing is ingested. Raises SynapseError
    where there is nothing to retry, or other files could be read by now; otherwise as `run` does.
    """
    schedules = load_schedules(project_dir)
    check_configuration(project_dir)
    settings.require_lake()
    dbt = dbt or DbtProject(settings, project_dir)
    warehouse = open_warehouse(settings, project_dir, dbt)
    warehouse.require_free()
    ensure_packages(project_dir)
    history = RunHistory(settings.state)
    ledger = RunLedger(history.engine)
    try:
        run, before = _candidate(history, ledger)
        names = leases(schedules, before.covers)
        with lease(settings.state, run.run_id, names, wait=wait) as held:
            # Under the lease: another may have retried it, or run, while we waited.
            run, before = _candidate(history, ledger)
            first = _failed_step(ledger, run)
            _require_results(dbt.target_path / "run_results.json", run)
            if before.inputs != readable_files(settings):
                raise SynapseError(
                    f"run {run.run_id} cannot go on from the files that it read: others have been "
                    f"accepted since. `synapse run {run.schedule}` builds from all of them"
                )
            as_of = run.as_of.replace(tzinfo=UTC)
            plan = plan_of(schedules, run.schedule, before.covers, before.steps, Ingest.none)
            work = Work(
                settings, project_dir, dbt, warehouse, history, ledger, held, plan, run.run_id,
                as_of, progress,
            )  # fmt: skip
            with recorded(work):
                return work.go_on(run, before, first)
    finally:
        history.close()


def _candidate(history: RunHistory, ledger: RunLedger) -> tuple[Run, RunPlan]:
    newest = history.latest(1)
    if not newest:
        raise SynapseError("there is nothing to retry: nothing has run on this lake yet")
    (run,) = newest
    plan = ledger.plan_of(run.run_id)
    again = f"`synapse run {run.schedule}` runs it again"
    if run.status != "failed":
        raise SynapseError(
            f"there is nothing to retry: the newest run ({run.schedule}, {run.run_id}) is "
            f"{run.status}; {again}"
        )
    if plan is None or plan.inputs is None:
        raise SynapseError(
            f"there is nothing to retry: the newest run ({run.schedule}, {run.run_id}) failed "
            f"before dbt began; {again}"
        )
    return run, plan


def _failed_step(ledger: RunLedger, run: Run) -> int:
    """The position of the step that failed."""
    for position, (_, status, _) in enumerate(ledger.steps_of(run.run_id)):
        if status in ("failed", "running"):
            return position
    raise SynapseError(
        f"there is nothing to retry: no step of run {run.run_id} failed; `synapse run "
        f"{run.schedule}` runs it again"
    )


def _require_results(path: Path, run: Run) -> None:
    """Raise SynapseError unless dbt's newest results are of that run."""
    try:
        metadata = orjson.loads(path.read_bytes())["metadata"]
    except (OSError, orjson.JSONDecodeError, KeyError):
        metadata = {}
    if metadata.get("env", {}).get("SYNAPSE_RUN_ID") != run.run_id:
        raise SynapseError(
            f"dbt left no results of run {run.run_id} in {path} (it was ended in the middle, or "
            f"dbt ran here since): `synapse run {run.schedule}` runs it again"
        )

"""A scheduled run from bronze to gold."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from synapse.deps import ensure_packages
from synapse.errors import SynapseError
from synapse.ingest.discover import require_bronze
from synapse.observe.ending import recorded
from synapse.progress import Progress
from synapse.runner.configuration import check_configuration
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.plan import Plan, make_plan
from synapse.runner.run_ledger import RunLedger
from synapse.runner.warehouse import open_warehouse
from synapse.runner.work import RunReport, Within, Work
from synapse.schedules.load import load_schedules
from synapse.settings import Settings

__all__ = ["RunReport", "build_docs", "run"]


def run(
    settings: Settings,
    project_dir: Path,
    *,
    schedule: str,
    as_of: datetime,
    full_refresh: bool = False,
    progress: Progress | None = None,
    dbt: DbtProject | None = None,
    wait: float = 0.0,
    may_build_needs: bool = True,
    within: Within | None = None,
) -> RunReport:
    """Ingest, then build what the schedule selects and needs; idempotent.

    A run whose inputs equal the last successful one's builds nothing and is recorded as unchanged.
    Raises SynapseError on bad settings or input, LeaseHeldError when another run is at work (after
    `wait` seconds); failing models or tests are reported with status failed. dbt: the project,
    where it is parsed already. may_build_needs: build schedules that this one needs and that have
    not run (full_refresh: all of them), rather than refuse. within: see Work.
    """
    schedules = load_schedules(project_dir)
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
    ledger = RunLedger(history.engine)
    try:
        timezone = settings.business_timezone

        def planned(done: Collection[str]) -> Plan:
            return make_plan(
                schedules,
                schedule,
                done=done,
                may_build_needs=may_build_needs,
                as_of=as_of,
                timezone=timezone,
            )

        def done() -> Collection[str]:
            if full_refresh:
                return ()  # of silver and gold, whatever has run
            return ledger.covered(as_of, timezone)

        # What others may write while we wait for the lease is looked at again below.
        plan = planned(done() if may_build_needs else schedules.by_name)
        run_id = uuid.uuid4().hex
        with lease(settings.state, run_id, plan.leases, wait=wait) as held:
            try:
                plan = planned(done())
            except SynapseError as error:
                history.start(run_id, plan.name, as_of, lease=held, within=within)
                history.finish(run_id, "failed", lease=held, detail=f"not run: {error}")
                raise
            work = Work(
                settings, project_dir, dbt, warehouse, history, ledger, held, plan, run_id, as_of,
                progress,
            )  # fmt: skip
            with recorded(work):
                return work.whole(
                    full_refresh=full_refresh, besides=schedules.without_models(), within=within
                )
    finally:
        history.close()


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

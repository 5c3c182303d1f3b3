"""`synapse run --dry-run`: what a run would do, without a lease and without writing a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from synapse.cost.expected import Expected, expected
from synapse.deps import ensure_packages
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.runner.plan import make_plan
from synapse.runner.run_ledger import RunLedger
from synapse.schedules.load import load_schedules
from synapse.schedules.model import Task
from synapse.settings import Settings


@dataclass(frozen=True)
class DryStep:
    """A step and the names of what it would build."""

    selector: str
    schedule: str
    selected: tuple[str, ...]


@dataclass(frozen=True)
class DryRun:
    """A plan, looked at. covers: the schedules that it would run, those needed first.

    expected: what it will probably scan and cost; None on an engine that charges nothing,
    and before anything has run.
    """

    schedule: str
    as_of: datetime
    covers: tuple[str, ...]
    ingest: str
    leases: tuple[str, ...]
    timeout_seconds: float
    steps: tuple[DryStep, ...]
    expected: Expected | None


def dry_run(settings: Settings, project_dir: Path, *, schedule: str, as_of: datetime) -> DryRun:
    """Return what `run` would do now. Raises SynapseError as it does."""
    schedules = load_schedules(project_dir)
    timezone = settings.business_timezone
    done: set[str] = set()
    # A lake that nobody has run on has no state store; looking must not make one.
    has_store = not settings.state.startswith("sqlite:///") or settings.lake.is_dir()
    if has_store:
        history = RunHistory(settings.state)
        done = set(RunLedger(history.engine).covered(as_of, timezone))
        history.close()
    plan = make_plan(schedules, schedule, done=done, as_of=as_of, timezone=timezone)
    ensure_packages(project_dir)
    dbt = DbtProject(settings, project_dir)
    is_freshness = plan.schedule.task is Task.freshness
    is_charged = settings.target == "athena" and has_store and not is_freshness
    return DryRun(
        plan.name,
        as_of,
        plan.covers,
        plan.ingest.value,
        plan.leases,
        plan.schedule.timeout.total_seconds(),
        tuple(
            DryStep(step.selector, step.schedule, dbt.selected(step.selector, is_freshness))
            for step in plan.steps
        ),
        expected(settings.state, {node for step in plan.steps for node in dbt.nodes(step.selector)})
        if is_charged
        else None,
    )

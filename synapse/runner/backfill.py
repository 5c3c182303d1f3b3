"""`synapse backfill`: run a schedule again for each business date of a range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from synapse.errors import UsageError
from synapse.progress import Progress
from synapse.runner.clock import end_of_date, naive_utc
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.runner.service import run
from synapse.runner.work import RunReport
from synapse.schedules.load import load_schedules
from synapse.schedules.model import Task
from synapse.settings import Settings


@dataclass(frozen=True)
class BackfillReport:
    """One run a date, in order, and the one that led back to the newest as-of before, if any."""

    schedule: str
    runs: tuple[RunReport, ...]

    @property
    def succeeded(self) -> bool:
        """True where none failed; after one that failed no other is begun."""
        return all(each.status != "failed" for each in self.runs)


def backfill(
    settings: Settings,
    project_dir: Path,
    *,
    schedule: str,
    first: date,
    last: date,
    progress: Progress | None = None,
    wait: float = 0.0,
    said: Callable[[RunReport], None] | None = None,
) -> BackfillReport:
    """Run `schedule` as of the end of each date from `first` to `last`.

    One after the other: dates write the same tables, of which each has one writer. Where the lake
    had been run for a later as-of, a last run leads back to it, so that no report is left in the
    past. said: called with each run that has ended. Raises UsageError for an empty range, and as
    `run` does.
    """
    if last < first:
        raise UsageError(f"--from {first} lies after --to {last}: give the earlier date first")
    schedules = load_schedules(project_dir)
    name = schedules.name_of(schedule)
    if schedules.by_name[name].task is not Task.build:
        raise UsageError(f"{name} builds nothing, so there are no dates to build it for")
    history = RunHistory(settings.state)
    newest = history.newest_as_of(schedules.without_models())
    history.close()
    moments = [
        end_of_date(first + timedelta(days=number), settings.business_timezone)
        for number in range((last - first).days + 1)
    ]
    now = datetime.now(UTC)
    if moments[-1] > now:
        raise UsageError(f"--to {last} has not ended yet: give an earlier date")
    if newest is not None and newest > naive_utc(moments[-1]):
        moments.append(newest.replace(tzinfo=UTC))
    dbt = DbtProject(settings, project_dir)
    reports: list[RunReport] = []
    for as_of in moments:
        report = run(
            settings,
            project_dir,
            schedule=name,
            as_of=as_of,
            progress=progress,
            dbt=dbt,
            wait=wait,
        )
        reports.append(report)
        if said is not None:
            said(report)
        if report.status == "failed":
            break
    return BackfillReport(name, tuple(reports))

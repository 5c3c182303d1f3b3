"""`synapse run`, `synapse retry`, `synapse backfill`: runs that somebody asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from synapse.errors import UsageError
from synapse.options import (
    AsOfOption,
    DateOption,
    JsonOption,
    LakeOption,
    ProjectOption,
    Target,
    TargetOption,
)
from synapse.project import find_project
from synapse.run_report import say_dry_run, say_one_of_many, say_run
from synapse.runner.clock import parse_date, resolve_as_of
from synapse.settings import Settings
from synapse.terminal import err, out, print_json, progress_bar

WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for another run's lease.")
]
ScheduleArgument = Annotated[str, typer.Argument(help="A schedule of schedules.yml, or an alias.")]


def add_run_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("run", epilog="Example: synapse run daily --lake lake --date 2026-06-28")(
        run_command
    )
    app.command("retry", epilog="Example: synapse retry --lake lake")(retry_command)
    app.command("backfill", epilog="Example: synapse backfill --from 2026-06-01 --to 2026-06-28")(
        backfill_command
    )


@contextlib.contextmanager
def _alerting(settings: Settings, project: Path) -> Iterator[None]:
    """Tell whom it concerns, however the run ended; what it did stands as it is."""
    try:
        yield
    finally:
        from synapse.alerts.after_run import after_run

        after_run(settings, project, _tell)


def _tell(sentence: str) -> None:
    err.print(sentence, highlight=False, markup=False, soft_wrap=True)


def run_command(
    schedule: ScheduleArgument,
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    date: DateOption = None,
    as_of: AsOfOption = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild silver and gold.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what it selects; do nothing.")
    ] = False,
    wait: WaitOption = 0.0,
    occurrence: Annotated[
        str | None,
        typer.Option(
            "--occurrence",
            help="As its schedule would: for this time (ISO 8601, or `latest`), and once only.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ingest, then build and test what the schedule selects and needs."""
    from synapse.schedules.claims import Claim, OccurrenceDoneError
    from synapse.schedules.load import load_schedules
    from synapse.schedules.occurrences import occurrence_time

    settings = Settings.load(lake=lake, target=target.value)
    project = find_project(project_dir)
    schedules = load_schedules(project)
    schedule = schedules.name_of(schedule)  # a wrong name is told before dbt is loaded
    within = None
    if occurrence is not None:
        if as_of is not None or date is not None:
            raise UsageError("--occurrence says when now is: leave --as-of and --date out")
        instant = occurrence_time(schedules[schedule].cron, occurrence, settings.business_timezone)
        within = Claim(schedule, instant)
    else:
        instant = resolve_as_of(as_of, date, settings.business_timezone)
    if dry_run:
        from synapse.runner.dry_run import dry_run as look

        shown = look(settings, project, schedule=schedule, as_of=instant)
        print_json(shown) if as_json else say_dry_run(shown)
        return
    from synapse.runner.service import run

    try:
        with _alerting(settings, project), progress_bar(schedule) as progress:
            report = run(
                settings,
                project,
                schedule=schedule,
                as_of=instant,
                full_refresh=full_refresh,
                progress=progress,
                wait=wait,
                # What a schedule needs has a time of its own: nothing is scheduled twice.
                may_build_needs=occurrence is None,
                within=within,
            )
    except OccurrenceDoneError as done:
        print_json({"schedule": schedule, "done": str(done)}) if as_json else out.print(str(done))
        return
    print_json(report) if as_json else say_run(report)
    if report.status == "failed":
        raise typer.Exit(1)


def retry_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Go on with the newest run where it failed, from the same files and as-of."""
    from synapse.runner.retry import retry

    settings = Settings.load(lake=lake, target=target.value)
    project = find_project(project_dir)
    with _alerting(settings, project), progress_bar("retry") as progress:
        report = retry(settings, project, progress=progress, wait=wait)
    print_json(report) if as_json else say_run(report)
    if report.status == "failed":
        raise typer.Exit(1)


def backfill_command(
    first: Annotated[str, typer.Option("--from", help="First business date (YYYY-MM-DD).")],
    last: Annotated[str, typer.Option("--to", help="Last business date.")],
    schedule: ScheduleArgument = "daily",
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Run a schedule again as of the end of each date of a range, one after the other."""
    from synapse.runner.backfill import backfill

    settings = Settings.load(lake=lake, target=target.value)
    with progress_bar("backfill") as progress:
        report = backfill(
            settings,
            find_project(project_dir),
            schedule=schedule,
            first=parse_date(first, "--from"),
            last=parse_date(last, "--to"),
            progress=progress,
            wait=wait,
            said=None if as_json else say_one_of_many,
        )
    if as_json:
        print_json(report)
    if not report.succeeded:
        raise typer.Exit(1)

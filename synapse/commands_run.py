"""`synapse run`, `synapse retry`, `synapse backfill`: runs that somebody asks for."""

from __future__ import annotations

from typing import Annotated

import typer

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
from synapse.run_report import say_dry_run, say_run
from synapse.runner.clock import resolve_as_of
from synapse.settings import Settings
from synapse.terminal import print_json, progress_bar

WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for another run's lease.")
]
ScheduleArgument = Annotated[str, typer.Argument(help="A schedule of schedules.yml, or an alias.")]


def add_run_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("run", epilog="Example: synapse run daily --lake lake --date 2026-06-28")(
        run_command
    )


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
    as_json: JsonOption = False,
) -> None:
    """Ingest, then build and test what the schedule selects and needs."""
    from synapse.schedules.load import load_schedules

    settings = Settings.load(lake=lake, target=target.value)
    instant = resolve_as_of(as_of, date, settings.business_timezone)
    project = find_project(project_dir)
    load_schedules(project).name_of(schedule)  # a wrong name is told before dbt is loaded
    if dry_run:
        from synapse.runner.dry_run import dry_run as look

        shown = look(settings, project, schedule=schedule, as_of=instant)
        print_json(shown) if as_json else say_dry_run(shown)
        return
    from synapse.runner.service import run

    with progress_bar(schedule) as progress:
        report = run(
            settings,
            project,
            schedule=schedule,
            as_of=instant,
            full_refresh=full_refresh,
            progress=progress,
            wait=wait,
        )
    print_json(report) if as_json else say_run(report)
    if report.status == "failed":
        raise typer.Exit(1)

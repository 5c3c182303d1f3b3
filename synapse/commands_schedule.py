"""`synapse schedules`, `synapse schedule`, `synapse deploy`: what is declared, at its times."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption, Target, TargetOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import new_table, out, print_json


def add_schedule_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("schedules", epilog="Example: synapse schedules --times 3")(schedules_command)
    app.command("schedule", epilog="Example: synapse schedule --lake lake")(schedule_command)
    deploy = typer.Typer(no_args_is_help=True, help="What a machine or a cloud has to be told.")
    deploy.command("cron", epilog="Example: synapse deploy cron --lake /srv/lake | crontab -")(
        cron_command
    )
    deploy.command("aws", epilog="Example: synapse deploy aws --plan --out build/aws")(aws_command)
    app.add_typer(deploy, name="deploy")


def schedules_command(
    project_dir: ProjectOption = None,
    times: Annotated[int, typer.Option(min=1, max=50, help="How many next times.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Show what runs when, what it needs and its next times."""
    from synapse.schedules.load import load_schedules
    from synapse.schedules.occurrences import times_after

    timezone = Settings.load().business_timezone
    schedules = load_schedules(find_project(project_dir))
    now, zone = datetime.now(UTC), ZoneInfo(timezone)
    upcoming = {
        name: list(islice(times_after(schedule.cron, now, timezone), times))
        for name, schedule in schedules.by_name.items()
    }
    if as_json:
        print_json(
            {
                name: {
                    **schedule.model_dump(mode="json"),
                    "steps": [step.selector for step in schedules.steps(name)],
                    "next": upcoming[name],
                }
                for name, schedule in schedules.by_name.items()
            }
        )
        return
    table = new_table(title=f"Schedules, in {timezone}")
    for heading in ("schedule", "cron", "next", "steps", "after", "at most", "owner"):
        table.add_column(heading, overflow="fold")
    for name, schedule in schedules.by_name.items():
        table.add_row(
            ", also ".join([name, *schedule.aliases]),
            schedule.cron,
            "\n".join(f"{time.astimezone(zone):%a %Y-%m-%d %H:%M}" for time in upcoming[name]),
            ", ".join(step.selector for step in schedules.steps(name)) or schedule.task.value,
            ", ".join(schedules.needed_schedules(name)) or "–",
            f"{schedule.timeout.total_seconds() / 60:g} min",
            schedule.owner,
        )
    out.print(table)


def schedule_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
) -> None:
    """Run what schedules.yml declares, until told to stop (SIGTERM, Ctrl+C)."""
    import structlog

    from synapse.alerts.after_run import Sentinel
    from synapse.schedules.load import load_schedules
    from synapse.schedules.scheduler import Command, Scheduler

    settings = Settings.load(lake=lake, target=target.value)
    settings.require_lake()
    project = find_project(project_dir)
    log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
    scheduler = Scheduler(
        settings,
        load_schedules(project),
        Command.of(settings, project),
        log.info,
        Sentinel(settings, project, log.warning),
    )
    scheduler.run()


def cron_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Instead: a unit for the embedded scheduler.")
    ] = False,
) -> None:
    """Print the schedules as a crontab, or a systemd unit, for this lake and this installation."""
    from synapse.schedules.cron_files import cron_lines, systemd_unit
    from synapse.schedules.load import load_schedules

    settings = Settings.load(lake=lake, target=target.value)
    project = find_project(project_dir)
    program = (sys.executable, "-m", "synapse")
    lines = (
        systemd_unit(settings, program, project)
        if systemd
        else cron_lines(load_schedules(project), settings, program, project)
    )
    for line in lines:
        sys.stdout.write(f"{line}\n")


def aws_command(
    project_dir: ProjectOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Render; deploying is CloudFormation's own command.")
    ] = False,
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder to render into.", file_okay=False)
    ] = Path("build/aws"),
    as_json: JsonOption = False,
) -> None:
    """Render the CloudFormation templates that schedules.yml and infra/ make. Calls nobody."""
    from synapse.deploy.render import render
    from synapse.schedules.load import load_schedules

    if not plan:
        raise UsageError(
            "`synapse deploy aws` only renders: give --plan, look at what it wrote, and deploy it "
            "with `aws cloudformation deploy` (infra/README.md has the lines)"
        )
    project = find_project(project_dir)
    timezone = Settings.load().business_timezone
    rendered = render(project, load_schedules(project), timezone, out_dir)
    if as_json:
        print_json({"files": [str(path) for path in rendered.files], "notices": rendered.notices})
        return
    for path in rendered.files:
        out.print(str(path), soft_wrap=True)
    for notice in rendered.notices:
        out.print(notice, soft_wrap=True)

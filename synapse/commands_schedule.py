"""`synapse schedules`: what is declared."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from synapse.options import JsonOption, ProjectOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import out, print_json


def add_schedule_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("schedules", epilog="Example: synapse schedules --times 3")(schedules_command)


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
    table = Table(title=f"Schedules, in {timezone}", title_justify="left")
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

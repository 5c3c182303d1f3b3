"""`synapse status` and `synapse quality`: how the lake is, now and on a date."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import out, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from synapse.observe.status import Status
    from synapse.schedules.model import Schedules

_REFRESH_SECONDS = 2.0


def add_status_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("status", epilog="Example: synapse status --lake lake --watch")(status_command)
    app.command("quality", epilog="Example: synapse quality --date 2026-06-28")(quality_command)


def status_command(
    lake: LakeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest runs to show.")] = 10,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep it on the screen, until Ctrl+C.")
    ] = False,
    openmetrics: Annotated[
        bool, typer.Option("--openmetrics", help="Print OpenMetrics text, for a scraper.")
    ] = False,
    project_dir: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what ran, is running and is late, what it cost, and what was refused."""
    from synapse.schedules.load import load_schedules

    if watch + openmetrics + as_json > 1:
        raise UsageError("give one of --watch, --openmetrics and --json")
    settings = Settings.load(lake=lake)
    settings.require_lake()
    schedules = load_schedules(find_project(project_dir))
    if openmetrics:
        from synapse.observe.openmetrics import openmetrics_text

        sys.stdout.write(openmetrics_text(settings).decode())
        return
    if watch:
        _watch(settings, schedules, limit)
        return
    status = _status(settings, schedules, limit)
    if as_json:
        print_json(status)
        return
    from synapse.observe.status_view import render

    out.print(render(status, settings.business_timezone), highlight=False)


def _status(settings: Settings, schedules: Schedules, limit: int) -> Status:
    from synapse.observe.reader import open_reader
    from synapse.observe.status import read_status

    with open_reader(settings.state) as reader:
        return read_status(
            reader,
            settings.location,
            schedules.by_name,
            settings.business_timezone,
            datetime.now(UTC),
            limit,
        )


def _watch(settings: Settings, schedules: Schedules, limit: int) -> None:
    """Draw it on the terminal's other screen, which is gone when the command ends."""
    from rich.live import Live

    from synapse.observe.status_view import render

    if not out.is_terminal:
        raise UsageError("--watch draws on a terminal; for machines there is --json")

    def drawn() -> RenderableType:
        status = _status(settings, schedules, limit)
        return render(status, settings.business_timezone, is_watched=True)

    live = Live(console=out, screen=True, auto_refresh=False)
    try:
        # Not `with`: interrupted while it enters, that would not leave the other screen again.
        live.start()
        while True:
            live.update(drawn(), refresh=True)
            time.sleep(_REFRESH_SECONDS)
    except KeyboardInterrupt:
        return
    finally:
        live.stop()


def quality_command(
    lake: LakeOption = None,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Business date (YYYY-MM-DD; default: the last that ended)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the quality summary of a business date: Markdown and one HTML page."""
    from synapse.observe.quality import read_quality
    from synapse.observe.quality_files import write_quality
    from synapse.runner.clock import last_complete_date, parse_date

    settings = Settings.load(lake=lake)
    settings.require_lake()
    today = datetime.now(UTC)
    day = parse_date(date) if date else last_complete_date(today, settings.business_timezone)
    quality = read_quality(settings, day)
    paths = write_quality(settings, quality)
    if as_json:
        print_json(quality)
        return
    for path in paths:
        out.print(f"Written: {path}", soft_wrap=True, highlight=False)

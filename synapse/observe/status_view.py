"""A status on the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synapse.observe.status import RunLine, ScheduleLine, SourceLine, Status

_STYLES = {
    "succeeded": "green",
    "unchanged": "green",
    "running": "cyan",
    "failed": "red",
    "killed": "red",
}
_MOST_SOURCES = 12


def render(status: Status, timezone: str, *, is_watched: bool = False) -> RenderableType:
    """The one screen. is_watched: it is drawn again and again, so runs that ended fit less."""
    zone = ZoneInfo(timezone)
    parts: list[RenderableType] = [_head(status, zone), _schedules(status, zone)]
    parts += [_running(run, status.now) for run in status.running]
    parts += [
        Text(f"late: {line.name} was due at {_at(line.late_since, zone)}", style="bold red")
        for line in status.late
    ]
    parts += [
        Text(f"{line.last.status}: {line.name}: {_first_line(line.last.detail)}", style="red")
        for line in status.schedules
        if line.last is not None and line.last.status in ("failed", "killed")
    ]
    parts.append(_day(status))
    if status.freshness:
        parts.append(_freshness(status.freshness))
    for test in status.tests:
        rows = "" if test.failures is None else f": {test.failures:,} rows"
        style = "yellow" if test.status == "warn" else "red"
        parts.append(Text(f"  {test.status} {test.test}{rows}", style=style, overflow="ellipsis"))
    parts += [
        Text(f"  unlike before: {one.sentence()}", style="yellow") for one in status.anomalies
    ]
    if status.recent and not is_watched:
        parts.append(_recent(status, zone))
    return Group(*parts)


def _at(moment: datetime | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "–"
    return f"{moment.replace(tzinfo=UTC).astimezone(zone):%m-%d %H:%M}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def _first_line(detail: str | None) -> str:
    lines = (detail or "it ended without a word").splitlines()
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return lines[0] + more


def _head(status: Status, zone: ZoneInfo) -> Text:
    text = Text(f"{status.lake}  ", style="bold")
    text.append(f"{status.now.astimezone(zone):%a %Y-%m-%d %H:%M} in {zone.key}  ", "default")
    if status.late:
        text.append(f"{len(status.late)} late", "bold red")
    elif not status.recent:
        text.append("nothing has run yet", "yellow")
    else:
        text.append("nothing is late", "green")
    return text


def _schedules(status: Status, zone: ZoneInfo) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("schedule", "last run", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for heading in ("last success", "next"):
        table.add_column(heading, no_wrap=True)
    for line in status.schedules:
        run = line.last
        table.add_row(
            line.name,
            _at(run.started_at, zone) if run else "never",
            _status_of(line),
            _duration(run.seconds) if run else "–",
            _at(line.succeeded_at, zone),
            _at(line.next_at, zone),
        )
    return table


def _status_of(line: ScheduleLine) -> Text:
    word = line.last.status if line.last else "–"
    text = Text(word, style=_STYLES.get(word, "default"))
    if line.late_since is not None:
        text.append(" late", "bold red")
    return text


def _running(run: RunLine, now: datetime) -> Text:
    since = (now - run.started_at.replace(tzinfo=UTC)).total_seconds()
    said = f"running: {run.schedule} for {_duration(since)}"
    if run.step:
        said += f", at {run.step}"
    if run.steps_total:
        said += f" ({run.steps_done} of {run.steps_total} steps done)"
    return Text(said, style="cyan")


def _day(status: Status) -> Text:
    runs = ", ".join(f"{n:,} {name}" for name, n in sorted(status.runs_by_status.items())) or "none"
    text = Text(
        f"24 hours: runs {runs}; landed {status.landed:,} = {status.accepted:,} accepted + "
    )
    text.append(f"{status.duplicate:,} duplicate + {status.quarantined:,} refused")
    text.append(f"; cost ${status.cost_usd_day:.4f} (30 days ${status.cost_usd_month:.4f})")
    if status.open_quarantine:
        waiting = sum(status.open_quarantine.values())
        where = ", ".join(f"{n:,} {source}" for source, n in status.open_quarantine.items())
        text.append(f"\nquarantine: {waiting:,} wait ({where})", "yellow")
    return text


def _freshness(lines: list[SourceLine]) -> Text:
    late = [line for line in lines if line.status != "pass"]
    if not late:
        oldest = max((line.age_seconds or 0 for line in lines), default=0)
        return Text(f"fresh: all {len(lines)} sources, the oldest {_duration(oldest)}", "green")
    text = Text()
    for number, line in enumerate(late[:_MOST_SOURCES]):
        limit = line.error_after_seconds if line.status == "error" else line.warn_after_seconds
        text.append(
            ("\n" if number else "")
            + f"stale: {line.source}, {_duration(line.age_seconds)} old"
            + (f", at most {_duration(limit)}" if limit else ""),
            "red" if line.status == "error" else "yellow",
        )
    return text


def _recent(status: Status, zone: ZoneInfo) -> Table:
    table = Table(box=None, pad_edge=False, title="newest runs", title_justify="left")
    for heading in ("began", "schedule", "as of", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("took", "landed", "twice", "refused"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in status.recent:
        table.add_row(
            _at(run.started_at, zone),
            run.schedule,
            _at(run.as_of, zone),
            Text(run.status, style=_STYLES.get(run.status, "default")),
            _duration(run.seconds),
            f"{run.landed:,}",
            f"{run.duplicate:,}",
            f"{run.quarantined:,}",
        )
    return table

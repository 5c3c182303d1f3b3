"""The key figures of the last complete date, for a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from synapse.errors import SynapseError
from synapse.runner.context import connect_warehouse
from synapse.settings import Settings

_BARS = "▁▂▃▄▅▆▇█"
_HISTORY_DAYS = 28


@dataclass(frozen=True)
class FunnelStepFigures:
    """One step of a funnel over the mature entry dates: attempts and rates (0 to 1)."""

    step_number: int
    step_name: str
    entered_count: int
    reached_count: int


@dataclass(frozen=True)
class KeyFigures:
    """The figures of `activity_date`, the last complete business date."""

    activity_date: date
    active_users: dict[str, int]
    stickiness_rate: Decimal | None
    new_users: int
    daily_active_users: list[int]
    retention: dict[str, Decimal | None]
    funnel: list[FunnelStepFigures]
    totals: dict[str, int]


def read_key_figures(settings: Settings) -> KeyFigures:
    """Read the figures from gold. Raises SynapseError when gold has not been built."""
    if not settings.warehouse.exists():
        raise SynapseError(
            f"there is no warehouse at {settings.warehouse}: run `synapse run daily`"
        )
    with connect_warehouse(settings.warehouse, read_only=True) as connection:
        try:
            return _read(connection)
        except duckdb.CatalogException as error:
            raise SynapseError(
                f"{settings.warehouse} has no gold yet ({str(error).splitlines()[0]}): "
                "run `synapse run daily`"
            ) from error


def _read(connection: duckdb.DuckDBPyConnection) -> KeyFigures:
    rows = connection.execute(
        "select activity_date, active_users_1d, active_users_7d, active_users_28d, "
        "active_users_30d, stickiness_rate, new_users from gold.rpt_active_users_daily "
        "where is_complete order by activity_date desc limit ?",
        [_HISTORY_DAYS],
    ).fetchall()
    if not rows:
        raise SynapseError("gold has no complete business date yet: run again after the day ends")
    day, dau, wau, actives_28d, mau, stickiness, new_users = rows[0]
    headline = connection.execute(
        "select retention_1d_rate, retention_7d_rate, retention_30d_rate "
        "from gold.rpt_retention_headline where activity_date = ?",
        [day],
    ).fetchone() or (None, None, None)
    funnel = connection.execute(
        "select step_number, step_name, sum(entered_count), sum(reached_count) "
        "from gold.rpt_conversion_funnel where funnel_name = 'signup' and is_mature "
        "group by step_number, step_name order by step_number"
    ).fetchall()
    totals = {}
    for label, table in (
        ("users", "dim_users"),
        ("conversations", "fct_conversations"),
        ("messages", "fct_messages"),
        ("events", "fct_events"),
        ("payments", "fct_payments"),
    ):
        counted = connection.execute(f"select count(*) from gold.{table}").fetchone()
        totals[label] = counted[0] if counted else 0
    return KeyFigures(
        activity_date=day,
        active_users={
            "1 day": dau,
            "7 days": wau,
            "28 days": actives_28d,
            "30 days": mau,
        },
        stickiness_rate=stickiness,
        new_users=new_users,
        daily_active_users=[row[1] for row in reversed(rows)],
        retention=dict(zip(("day 1", "day 7", "day 30"), headline, strict=True)),
        funnel=[
            FunnelStepFigures(number, name, int(entered), int(reached))
            for number, name, entered, reached in funnel
        ],
        totals=totals,
    )


def sparkline(values: list[int]) -> str:
    """Return one bar character a value, scaled from zero to the greatest."""
    top = max(values, default=0)
    if top == 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[value * (len(_BARS) - 1) // top] for value in values)


def _percent(rate: Decimal | float | None) -> str:
    return "–" if rate is None else f"{float(rate):.1%}"


def render(figures: KeyFigures) -> Group:
    """Lay the figures out as three tables and a line of totals."""
    activity = Table(title="Active users", title_justify="left")
    activity.add_column("window")
    activity.add_column("users", justify="right")
    for window, users in figures.active_users.items():
        activity.add_row(window, f"{users:,}")
    activity.add_row("stickiness (1 / 28 days)", _percent(figures.stickiness_rate))
    activity.add_row("new on the day", f"{figures.new_users:,}")

    retention = Table(
        title="Retention of sign-ups", title_justify="left", caption="28 daily cohorts each"
    )
    for period in figures.retention:
        retention.add_column(period, justify="right")
    retention.add_row(*(_percent(rate) for rate in figures.retention.values()))

    funnel = Table(title="Sign-up funnel (7 days, mature entry dates)", title_justify="left")
    for heading in ("step", "reached", "of entered", "of the step before"):
        funnel.add_column(heading, justify="left" if heading == "step" else "right")
    before: int | None = None
    for step in figures.funnel:
        overall = step.reached_count / step.entered_count if step.entered_count else None
        stepwise = step.reached_count / before if before else None
        funnel.add_row(
            f"{step.step_number} {step.step_name}",
            f"{step.reached_count:,}",
            _percent(overall),
            _percent(stepwise),
        )
        before = step.reached_count

    trend = Text.assemble(
        ("Daily active users, last 28 dates  ", "bold"),
        sparkline(figures.daily_active_users),
        f"  {min(figures.daily_active_users):,} to {max(figures.daily_active_users):,}",
    )
    totals = " · ".join(f"{count:,} {label}" for label, count in figures.totals.items())
    return Group(
        Panel.fit(f"Key figures of {figures.activity_date} — {totals}"),
        activity, trend, retention, funnel,
    )  # fmt: skip


def print_key_figures(figures: KeyFigures, console: Console) -> None:
    """Print the figures."""
    console.print(render(figures))


def draw_key_figures(figures: KeyFigures, path: Path) -> None:
    """Write the figures as an SVG that needs nothing from elsewhere."""
    console = Console(record=True, width=100, file=io.StringIO())
    print_key_figures(figures, console)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="synapse figures")
    # Rich has the reader's browser fetch a font; any that has fixed width will do.
    path.write_text(re.sub(r"@font-face {.*?}\s*", "", drawn, flags=re.DOTALL))

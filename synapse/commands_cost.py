"""`synapse cost`: what the queries scanned and cost, what more data would cost, and budgets."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import err, new_table, out, print_json

if TYPE_CHECKING:
    from synapse.cost.budget import Budget
    from synapse.cost.report import Line, NodeCost
    from synapse.schedules.model import Schedules


class By(StrEnum):
    """What costs are added up by."""

    model = "model"
    day = "day"
    schedule = "schedule"
    run = "run"


def cost_command(
    lake: LakeOption = None,
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.schedule,
    since: Annotated[str | None, typer.Option(help="Only from this UTC date on.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Only this schedule.")] = None,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Instead: a month at 100 k, 1 M, 10 M interactions.")
    ] = False,
    history_months: Annotated[
        int, typer.Option(min=1, help="For --forecast: months of data that the lake holds.")
    ] = 12,
    budget_usd: Annotated[
        str | None,
        typer.Option(help="Exit code 1 when the last run of a schedule cost more dollars."),
    ] = None,
    budget_bytes: Annotated[
        int | None, typer.Option(min=0, help="The same for bytes scanned.")
    ] = None,
    check_budgets: Annotated[
        bool,
        typer.Option(
            "--check-budgets", help="The same for each budget that schedules.yml declares."
        ),
    ] = False,
    project_dir: ProjectOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the runs' queries scanned and cost on Athena."""
    from synapse.cost.budget import Budget, exceeded
    from synapse.cost.report import add_up, read_costs, total
    from synapse.schedules.load import load_schedules

    settings = Settings.load(lake=lake)
    settings.require_lake()
    budgets = [Budget(schedule, _dollars(budget_usd), budget_bytes)]
    if check_budgets:
        budgets += _declared(load_schedules(find_project(project_dir)))
    costs = read_costs(settings.state, since=_date(since), schedule=schedule)
    if forecast:
        schedules = load_schedules(find_project(project_dir))
        months = _forecast(settings, schedules, costs, history_months)
        _show(months, as_csv, as_json, "Forecast for a month")
    else:
        lines = add_up(costs, by.value)
        title = f"Cost on Athena by {by.value}"
        _show(lines, as_csv, as_json, title, total(costs) if lines else None)
    sentences = exceeded(costs, budgets)
    for sentence in sentences:
        err.print(f"over budget: {sentence}", style="red", highlight=False, soft_wrap=True)
    if sentences:
        raise typer.Exit(1)


def _declared(schedules: Schedules) -> list[Budget]:
    from synapse.cost.budget import Budget

    return [
        Budget(
            name,
            None if declared.cents is None else Decimal(declared.cents) / 100,
            None if declared.scanned_megabytes is None else declared.scanned_megabytes * 10**6,
        )
        for name, declared in ((n, each.budget) for n, each in schedules.by_name.items())
    ]


def _forecast(
    settings: Settings, schedules: Schedules, costs: list[NodeCost], history_months: int
) -> list[Any]:
    from synapse.cost.forecast import forecast
    from synapse.cost.measured import measurements
    from synapse.cost.prices import Prices
    from synapse.runner.history import RunHistory
    from synapse.schedules.occurrences import times_a_month

    history = RunHistory(settings.state)
    try:
        runs = history.latest(1_000_000)
    finally:
        history.close()
    return forecast(
        measurements(costs, runs),
        Prices.load(),
        history_months=history_months,
        runs_a_month={n: times_a_month(each.cron) for n, each in schedules.by_name.items()},
    )


def _show(
    rows: Sequence[Any], as_csv: bool, as_json: bool, title: str, total: Line | None = None
) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print(
            "Nothing is recorded: only Athena charges by the byte, and its queries are recorded "
            "by `synapse run --target athena`"
        )
        return
    names = [field.name for field in dataclasses.fields(rows[0])]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)
        return
    table = new_table(title=title, show_footer=total is not None)
    for name in names:
        is_text = isinstance(getattr(rows[0], name), str)
        footer = "" if total is None else _cell(getattr(total, name))
        table.add_column(name.replace("_", " "), footer, justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*(_cell(getattr(row, name)) for name in names))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.5f}"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _date(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--since {text!r} is no date: write it like 2026-06-28") from error


def _dollars(text: str | None) -> Decimal | None:
    try:
        value = None if text is None else Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if value is not None and (not value.is_finite() or value < 0):
        raise UsageError(f"--budget-usd {text!r} is no amount: write it like 0.50")
    return value

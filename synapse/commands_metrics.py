"""`synapse metrics`: what numbers there are, what they mean, and asking for them."""

from __future__ import annotations

import csv
import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import new_table, out, print_json

if TYPE_CHECKING:
    from synapse.metrics.query import MetricQueries

metrics_app = typer.Typer(
    no_args_is_help=True, help="The metric catalogue: list, explain, query by any dimension."
)


def _queries(lake: str | None, project_dir: Any) -> MetricQueries:
    from synapse.metrics.query import MetricQueries

    return MetricQueries(Settings.load(lake=lake), find_project(project_dir))


@metrics_app.command("list", epilog="Example: synapse metrics list")
def list_command(
    lake: LakeOption = None, project_dir: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """List the metrics and what each means."""
    catalogue = _queries(lake, project_dir).catalogue
    if as_json:
        print_json(list(catalogue.values()))
        return
    table = new_table(title=f"{len(catalogue)} metrics")
    for heading in ("metric", "meaning", "report"):
        table.add_column(heading, overflow="fold")
    for metric in catalogue.values():
        table.add_row(metric.name, metric.description, metric.report)
    out.print(table)


@metrics_app.command("show", epilog="Example: synapse metrics show stickiness")
def show_command(
    name: Annotated[str, typer.Argument(help="The metric.")],
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a metric is made of, and by what it can be asked for."""
    from synapse.metrics.catalogue import find

    queries = _queries(lake, project_dir)
    metric = find(queries.catalogue, name)
    dimensions = queries.dimensions(name)
    if as_json:
        print_json({"metric": metric, "dimensions": dimensions})
        return
    out.print(f"[bold]{metric.label}[/bold] ({metric.name})", highlight=False)
    out.print(metric.description, highlight=False)
    about = {
        "made of": metric.expression or ", ".join(metric.inputs),
        "shown in": metric.report,
        "always by": ", ".join(metric.always_by),
        "exact by": metric.only_by or "",
        "by": ", ".join(dimensions),
    }
    for what, text in about.items():
        if text:
            out.print(f"  {what}: {text}", highlight=False)


@metrics_app.command(
    "query",
    epilog="Example: synapse metrics query dau stickiness --by week --where \"region = 'SP'\"",
)
def query_command(
    names: Annotated[list[str], typer.Argument(help="One or more metrics.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="day, week, month, quarter, year, or a dimension; may be repeated."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Such as \"platform = 'ios'\"; may be repeated.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="From this date (YYYY-MM-DD).")] = None,
    end: Annotated[str | None, typer.Option(help="To this date, included.")] = None,
    order: Annotated[
        list[str] | None, typer.Option(help="A column; '-' before it: descending.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    explain: Annotated[bool, typer.Option("--sql", help="Print the SQL too.")] = False,
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for metrics, by any of their dimensions."""
    from synapse.metrics.query import Request

    request = Request(
        names,
        by or (),
        where or (),
        _day("--start", start),
        _day("--end", end),
        order or (),
        limit,
    )
    answer = _queries(lake, project_dir).query(request)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print_json({"rows": rows, "sql": answer.sql} if explain else rows)
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
        return
    table = new_table()
    for number, column in enumerate(answer.columns):
        is_number = all(_is_number(row[number]) for row in answer.rows)
        table.add_column(column, justify="right" if is_number else "left")
    for row in answer.rows:
        table.add_row(*map(_shown, row))
    out.print(table)
    if explain:
        out.print(answer.sql, highlight=False, soft_wrap=True)


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no date; write for example 2026-03-01.") from error


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"

"""`synapse new`: begin a model, a metric or a source in house style."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synapse.options import ProjectOption
from synapse.project import find_project
from synapse.terminal import out

if TYPE_CHECKING:
    from synapse.scaffold.writing import Plan

new_app = typer.Typer(
    no_args_is_help=True,
    help="Begin a model, a metric or a source: files that pass lint as they are.",
)


@new_app.command(
    "model",
    epilog="Example: synapse new model rpt_greetings --theme engagement --from fct_messages "
    "--by sent_date --rule R2",
)
def model_command(
    name: Annotated[str, typer.Argument(help="rpt_ and what it shows.")],
    theme: Annotated[str, typer.Option(help="Its folder below models/gold.")],
    source: Annotated[str, typer.Option("--from", help="The gold model that it reads.")],
    by: Annotated[list[str], typer.Option(help="A column of its grain; may be repeated.")],
    rule: Annotated[str, typer.Option(help="The rule of docs/rules.md that it implements.")],
    group: Annotated[str, typer.Option(help="Who owns it.")] = "growth",
    project_dir: ProjectOption = None,
) -> None:
    """Write a report's SQL, its YAML and the skeleton of its unit test."""
    from synapse.scaffold.model import plan_model

    project = find_project(project_dir)
    _write(project, plan_model(project, name, theme, source, by, rule, group))
    out.print(
        "Now: say what it answers, replace the count by what you need, add it to "
        f"docs/rules.md under {rule}, then `dbt build --select {name}` and `make lint`.",
        highlight=False,
    )


@new_app.command(
    "metric",
    epilog="Example: synapse new metric rejoined_users --from rpt_user_growth "
    "--column rejoined_users",
)
def metric_command(
    name: Annotated[str, typer.Argument(help="What people will call it.")],
    report: Annotated[str, typer.Option("--from", help="The report that shows it.")],
    column: Annotated[str, typer.Option(help="Its column there.")],
    agg: Annotated[str, typer.Option(help="How days become a longer period.")] = "sum",
    label: Annotated[str, typer.Option(help="Its name on a page.")] = "",
    description: Annotated[str, typer.Option(help="What it means, in a sentence.")] = "",
    project_dir: ProjectOption = None,
) -> None:
    """Write a metric and its measure into models/metrics."""
    from synapse.scaffold.metric import plan_metric

    project = find_project(project_dir)
    words = name.replace("_", " ").capitalize()
    said = description or f"{words}; say here what counts and what does not."
    _write(project, plan_metric(project, name, report, column, agg, label or words, said))
    out.print(
        f"Now: `synapse metrics query {name} --by day`, and say in EXPECTED of "
        "synapse_tests/test_metrics.py how its report shows it.",
        highlight=False,
    )


@new_app.command(
    "source",
    epilog="Example: synapse new source invoices --key invoice_id "
    "--like lake/bronze/dms/synapse/invoices/LOAD00000001.parquet",
)
def source_command(
    table: Annotated[str, typer.Argument(help="The table, as the database calls it.")],
    key: Annotated[list[str], typer.Option(help="A column of its key; may be repeated.")],
    like: Annotated[
        Path | None, typer.Option(help="A Parquet file of it, from which columns are taken.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="NAME:TYPE instead; may be repeated.")
    ] = None,
    project_dir: ProjectOption = None,
) -> None:
    """Declare a table that DMS lands, and write its three silver models."""
    from synapse.scaffold.source import plan_source

    project = find_project(project_dir)
    _write(project, plan_source(project, table, key, like, column or ()))
    out.print(
        "Now: say what each column is and classify it (meta.pii for personal data), then "
        f"`synapse ingest` and `dbt build --select base_dms__{table}+`.",
        highlight=False,
    )


def _write(project: Path, plan: Plan) -> None:
    for path in plan.write():
        out.print(f"wrote {path.relative_to(project)}", highlight=False)

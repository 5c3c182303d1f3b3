"""`synapse published`: what dashboards, serving and exposures read at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption
from synapse.settings import Settings
from synapse.terminal import new_table, out, print_json

if TYPE_CHECKING:
    from synapse.publish.model import PublishedSet


def published_command(
    lake: LakeOption = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print statements with which other tools read the set.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the published set: its tables, and which run built and tested each."""
    from synapse.publish.reading import published_set, published_sql

    if sql and as_json:
        raise UsageError("--sql and --json are two forms of one answer: give one of them")
    settings = Settings.load(lake=lake)
    settings.require_lake()
    found = published_set(settings)
    if sql:
        for statement in published_sql(settings, found):
            typer.echo(f"{statement};")
    elif as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _say(found)


def _say(found: PublishedSet) -> None:
    shown = new_table(
        title=f"Set {found.number}, of run {found.run_id[:8]}: complete to {found.complete_date}",
    )
    shown.add_column("table", overflow="fold")
    shown.add_column("rows", justify="right")
    for heading in ("as of (UTC)", "run", "classification"):
        shown.add_column(heading)
    for name, table in found.tables.items():
        shown.add_row(
            name,
            f"{table.rows:,}",
            f"{table.as_of:%Y-%m-%d %H:%M}",
            table.run_id[:8],
            ", ".join((table.classification, *table.pii)),
        )
    out.print(shown)

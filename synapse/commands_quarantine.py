"""`synapse quarantine`: what was refused, why, and putting it through again."""

from __future__ import annotations

from typing import Annotated

import typer

from synapse.options import AsOfOption, JsonOption, LakeOption, ProjectOption
from synapse.project import find_project
from synapse.runner.clock import resolve_as_of
from synapse.settings import Settings
from synapse.terminal import new_table, out, print_json

quarantine_app = typer.Typer(
    no_args_is_help=True, help="What was refused and why; replay it after a fix, or discard it."
)


@quarantine_app.command("list", epilog="Example: synapse quarantine list --lake lake")
def list_command(
    lake: LakeOption = None,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    every_state: Annotated[
        bool, typer.Option("--all", help="Replayed and discarded ones too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what was refused, with file, place and reason."""
    from synapse.ingest.quarantine import entries

    found = entries(
        Settings.load(lake=lake), state=None if every_state else "open", source=source, limit=limit
    )
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("Nothing is in quarantine")
        return
    table = new_table(title=f"Quarantine (at most {limit})")
    for heading in ("id", "rule", "where", "why", "attempts", "state"):
        table.add_column(heading, overflow="fold")
    for entry in found:
        where = entry.path if entry.number is None else f"{entry.path} #{entry.number}"
        table.add_row(entry.id, entry.rule, where, entry.sentence, str(entry.attempts), entry.state)
    out.print(table)


@quarantine_app.command("show", epilog="Example: synapse quarantine show 4f1c")
def show_command(
    entry_id: Annotated[str, typer.Argument(help="The id, or its beginning.")],
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one refusal and its raw payload."""
    from synapse.ingest.quarantine import show

    shown = show(Settings.load(lake=lake), entry_id)
    if as_json:
        print_json(
            {
                "entry": shown.entry,
                "payload": shown.payload.decode("utf-8", "backslashreplace"),
                "raw_file": shown.raw_file,
            }
        )
        return
    entry = shown.entry
    out.print(f"{entry.sentence}\n{entry.path}", highlight=False, soft_wrap=True, markup=False)
    if entry.byte_start is not None:
        out.print(f"record {entry.number}, bytes {entry.byte_start} to {entry.byte_end}")
    out.print(f"first seen {entry.first_seen} UTC, attempts {entry.attempts}, {entry.state}")
    if shown.raw_file is not None:
        out.print(f"raw bytes: {shown.raw_file}", soft_wrap=True)
    else:
        text = shown.payload.decode("utf-8", "backslashreplace")
        out.print(text, highlight=False, soft_wrap=True, markup=False)


@quarantine_app.command("replay", epilog="Example: synapse quarantine replay --all")
def replay_command(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or their beginnings.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is open.")] = False,
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put refusals through again under the current declarations."""
    from synapse.ingest.replay import replay

    if bool(ids) == every:
        raise typer.BadParameter("give ids, or --all")
    settings = Settings.load(lake=lake)
    report = replay(
        settings,
        find_project(project_dir),
        as_of=resolve_as_of(as_of, None, settings.business_timezone),
        ids=None if every else ids,
    )
    if as_json:
        print_json(report)
        return
    out.print(f"{len(report.accepted)} accepted, {len(report.refused)} refused again")
    for entry_id, sentence in report.refused.items():
        out.print(f"  {entry_id}: {sentence}", highlight=False, soft_wrap=True, markup=False)
    for notice in report.notices:
        out.print(notice, highlight=False, soft_wrap=True, markup=False)
    if report.accepted:
        out.print("They reach silver with the next: synapse run")


@quarantine_app.command("discard", epilog="Example: synapse quarantine discard 4f1c --reason test")
def discard_command(
    ids: Annotated[list[str], typer.Argument(help="Ids, or their beginnings.")],
    reason: Annotated[str, typer.Option("--reason", help="Why they will never be good.")],
    lake: LakeOption = None,
) -> None:
    """Close refusals for good; they are kept and stay counted."""
    from synapse.ingest.quarantine import discard

    closed = discard(Settings.load(lake=lake), ids, reason)
    out.print(f"{len(closed)} discarded")

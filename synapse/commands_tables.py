"""`synapse maintain` and `synapse rollback`: upkeep of the tables, and back to before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synapse.errors import UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption, Target, TargetOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import new_table, out, print_json, progress_bar

if TYPE_CHECKING:
    from synapse.athena.maintain import Upkeep

_NOT_REDSHIFT = (
    "redshift keeps its own tables; synapse maintain and rollback know duckdb and athena"
)


def maintain_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    table: Annotated[
        list[str] | None, typer.Option(help="Only this table of Athena's (repeat).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compact small files, expire old snapshots, remove orphans."""
    settings = Settings.load(lake=lake, target=target)
    if settings.target == "duckdb":
        from synapse.embedded_upkeep import maintain_embedded

        if table:
            raise UsageError("--table is for --target athena: DuckDB's warehouse is one file")
        report = maintain_embedded(settings)
        if as_json:
            print_json(report)
        else:
            out.print(
                f"{report.warehouse}: {report.bytes_before:,} bytes before, "
                f"{report.bytes_after:,} after, {report.free_bytes:,} of them free for reuse",
                soft_wrap=True,
            )
        return
    if settings.target != "athena":
        raise UsageError(_NOT_REDSHIFT)
    from synapse.athena.maintain import maintain_athena

    with progress_bar("maintain") as progress:
        upkeep = maintain_athena(
            settings, find_project(project_dir), only=table or (), progress=progress
        )
    print_json(upkeep) if as_json else _say_upkeep(upkeep)
    if any(item.failure for item in upkeep.tables):
        raise typer.Exit(1)


def _say_upkeep(upkeep: Upkeep) -> None:
    shown = new_table(title="Iceberg tables, before → after")
    shown.add_column("table")
    for heading in ("data files", "snapshots", "stored files", "stored bytes", "rounds"):
        shown.add_column(heading, justify="right")
    for item in upkeep.tables:
        shown.add_row(
            item.table,
            f"{item.data_files_before:,} → {item.data_files_after:,}",
            f"{item.snapshots_before:,} → {item.snapshots_after:,}",
            f"{item.files_before:,} → {item.files_after:,}",
            f"{item.bytes_before:,} → {item.bytes_after:,}",
            str(item.rounds),
        )
    out.print(shown)
    out.print(
        f"{upkeep.released} restore points let go of; {len(upkeep.temporary)} tables that killed "
        f"runs left dropped; {len(upkeep.orphans)} folders of replaced and dropped tables removed, "
        f"{upkeep.orphan_bytes:,} bytes; {len(upkeep.forgotten)} recorded days forgotten"
    )
    for item in upkeep.tables:
        if item.is_held:
            out.print(f"  not vacuumed: {item.table}: a published set reads an old snapshot of it")
        if item.failure:
            out.print(f"  failed: {item.table}: {item.failure}", style="red", highlight=False)


def rollback_command(
    run: Annotated[str, typer.Argument(help="The run, or the beginning of its id.")],
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    as_json: JsonOption = False,
) -> None:
    """Put every table back to before a run, which undoes later runs too."""
    settings = Settings.load(lake=lake, target=target)
    if settings.target == "duckdb":
        raise UsageError(
            "DuckDB keeps no earlier state of a table: copy the warehouse file before a run that "
            "you may want back, or rebuild from bronze with `synapse run daily --full-refresh` "
            "(with --date, as of an earlier date). --target athena rolls back"
        )
    if settings.target != "athena":
        raise UsageError(_NOT_REDSHIFT)
    from synapse.athena.rollback import roll_back

    done = roll_back(settings, run)
    if as_json:
        print_json(done)
        return
    for table, action in done.tables.items():
        if action != "unchanged":
            out.print(f"  {action}: {table}", highlight=False)
    out.print(
        f"{len(done.undone)} runs taken back; what ingest accepted stays accepted, and the next "
        "synapse run builds it again"
    )

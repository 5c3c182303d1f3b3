"""`synapse drill`: recovery, tried."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from synapse.options import JsonOption, LakeOption, ProjectOption, Target, TargetOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import out, print_json, progress_bar

if TYPE_CHECKING:
    from synapse.drill.service import Drill


def drill_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    rto_hours: Annotated[
        float, typer.Option("--rto-hours", min=0, help="Recovery may take so long.")
    ] = 24,
    rpo_hours: Annotated[
        float, typer.Option("--rpo-hours", min=0, help="What comes back may be so old.")
    ] = 4,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the rebuilt warehouse to look at.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild silver and gold from bronze beside the running warehouse, and compare them."""
    from synapse.drill.service import drill

    settings = Settings.load(lake=lake, target=target)
    with progress_bar("drill") as progress:
        done = drill(
            settings,
            find_project(project_dir),
            rto=timedelta(hours=rto_hours),
            rpo=timedelta(hours=rpo_hours),
            keep=keep,
            progress=progress,
        )
    print_json({**vars(done), "passed": done.passed}) if as_json else _say(done)
    if not done.passed:
        raise typer.Exit(1)


def _say(done: Drill) -> None:
    out.print(
        f"drill {done.drill_id[:8]}: {'passed' if done.passed else 'FAILED'}",
        style="green" if done.passed else "red",
        highlight=False,
    )
    out.print(
        f"  rebuilt from {done.survivors.files:,} files ({done.survivors.bytes:,} bytes), as of "
        f"{done.as_of:%Y-%m-%d %H:%M} UTC"
    )
    out.print(
        f"  RTO {_hours(done.rto_seconds)} of {_hours(done.rto_target_seconds)}: from the lake's "
        "files to a warehouse whose tests have passed",
        soft_wrap=True,
    )
    newest = "nothing was recovered" if done.rpo_seconds is None else _hours(done.rpo_seconds)
    out.print(f"  RPO {newest} of {_hours(done.rpo_target_seconds)}: from the newest row to as-of")
    for table, moment in done.recovered_to.items():
        out.print(f"    {table}: to {moment:%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    same = done.compared - len(done.differing)
    out.print(
        f"  {same} of {done.compared} tables of silver and gold equal the running ones"
        f"{', brought level first' if done.was_levelled else ''} ({done.compare_seconds:.1f} s)"
    )
    for difference in done.differing:
        out.print(f"  {difference}", style="red", highlight=False, soft_wrap=True)
    if done.kept_in:
        out.print(f"  kept in {done.kept_in} until the next drill", soft_wrap=True)


def _hours(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

"""Upkeep of what a target keeps its tables in, as a schedule does it: under its own lease."""

from __future__ import annotations

from pathlib import Path

from synapse.embedded_upkeep import keep_warehouse
from synapse.errors import SynapseError
from synapse.progress import Progress
from synapse.settings import Settings


def maintain(
    settings: Settings, project_dir: Path, run_id: str, progress: Progress | None = None
) -> None:
    """Do what `synapse maintain` does, for a run that holds the lease.

    Raises SynapseError for a table that could not be kept (the others were), or for a target
    without such upkeep.
    """
    if settings.target == "duckdb":
        keep_warehouse(settings)
        return
    if settings.target != "athena":
        raise SynapseError(
            f"the schedule `maintenance` keeps duckdb and athena; on {settings.target} take its "
            "lines out of schedules.yml"
        )
    from synapse.athena.maintain import keep_tables

    upkeep = keep_tables(settings, project_dir, run_id, progress=progress)
    failures = [f"{table.table}: {table.failure}" for table in upkeep.tables if table.failure]
    if failures:
        raise SynapseError("; ".join(failures))

"""Upkeep of what a target keeps its tables in."""

from __future__ import annotations

from synapse.errors import SynapseError
from synapse.runner.context import connect_warehouse
from synapse.settings import Settings


def maintain(settings: Settings) -> None:
    """Give back what rebuilt tables left. Raises SynapseError for a target without such upkeep."""
    if settings.target != "duckdb":
        raise SynapseError(
            f"the schedule `maintenance` keeps the embedded warehouse; on {settings.target} take "
            "its line out of schedules.yml"
        )
    with connect_warehouse(settings.warehouse) as connection:
        connection.execute("force checkpoint")

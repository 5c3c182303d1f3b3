"""Upkeep of the embedded warehouse: one DuckDB file, which keeps its own house but for this."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from synapse.errors import SynapseError
from synapse.runner.context import connect_warehouse
from synapse.runner.lease import lease
from synapse.settings import Settings


@dataclass(frozen=True)
class EmbeddedUpkeep:
    """bytes_*: the file's. free_bytes: within it, used again before the file grows."""

    warehouse: str
    bytes_before: int
    bytes_after: int
    free_bytes: int


def maintain_embedded(settings: Settings) -> EmbeddedUpkeep:
    """Do keep_warehouse while no run is at work: raises LeaseHeldError where one is."""
    with lease(settings.state, f"maintain-{uuid.uuid4().hex}"):
        return keep_warehouse(settings)


def keep_warehouse(settings: Settings) -> EmbeddedUpkeep:
    """Write DuckDB's log into the file and give back what lies free at its end (CHECKPOINT).

    There are no small files and no snapshots to expire; what was deleted is used again. The caller
    holds the lease. Raises SynapseError for a warehouse that is not there.
    """
    path = settings.warehouse
    if not path.is_file():
        raise SynapseError(f"there is no warehouse at {path}: build one with `synapse run daily`")
    before = path.stat().st_size
    with connect_warehouse(path) as connection:
        connection.execute("force checkpoint")
        size = connection.execute(
            "select block_size * free_blocks from pragma_database_size() "
            "where database_name = current_database()"
        ).fetchone()
    return EmbeddedUpkeep(str(path), before, path.stat().st_size, int(size[0]) if size else 0)

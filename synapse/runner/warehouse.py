"""What a run writes into the warehouse besides dbt's models: run_context and recorded_*."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Protocol

from synapse.runner.context import connect_warehouse, write_run_context
from synapse.runner.dbt import DbtProject
from synapse.runner.record import record_runs
from synapse.settings import Settings


class Warehouse(Protocol):
    """The warehouse of a target."""

    def require_free(self) -> None:
        """Raise SynapseError where a run could not write to it."""
        ...

    def stop_queries(self, run_ids: Collection[str]) -> None:
        """End what runs that were taken over left at work in the engine."""
        ...

    def take_up(self) -> None:
        """Make what ingest has accepted readable for the engine."""
        ...

    def write_run_context(self, *, run_id: str, as_of: datetime, is_backfill: bool) -> None:
        """Replace the single row of ops.run_context."""
        ...

    def record_runs(self) -> None:
        """Bring ops.recorded_* level with the state store."""
        ...


class EmbeddedWarehouse:
    """A DuckDB file, which reads the lake as it lies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def require_free(self) -> None:
        """See Warehouse: a file that another process has open cannot be written."""
        connect_warehouse(self._settings.warehouse).close()

    def stop_queries(self, run_ids: Collection[str]) -> None:
        """See Warehouse: its engine dies with a run."""

    def take_up(self) -> None:
        """See Warehouse."""

    def write_run_context(self, *, run_id: str, as_of: datetime, is_backfill: bool) -> None:
        """See Warehouse."""
        write_run_context(self._settings, run_id=run_id, as_of=as_of, is_backfill=is_backfill)

    def record_runs(self) -> None:
        """See Warehouse."""
        record_runs(self._settings)


def open_warehouse(settings: Settings, project_dir: Path, dbt: DbtProject) -> Warehouse:
    """The warehouse of the target that the settings name."""
    if settings.target == "athena":
        from synapse.athena.warehouse import AthenaWarehouse

        return AthenaWarehouse(settings, project_dir, dbt)
    return EmbeddedWarehouse(settings)

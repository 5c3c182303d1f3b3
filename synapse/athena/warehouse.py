"""The warehouse on Athena: Glue databases, and the run's own tables there."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path

from synapse.athena.abandoned_queries import stop_queries
from synapse.athena.bronze_tables import (
    MANIFEST,
    BronzeTable,
    bronze_tables,
    counted_columns,
)
from synapse.athena.catalog import register
from synapse.athena.costs import record_costs
from synapse.athena.deployment import databases, prefix
from synapse.athena.rollback import take_restore_point
from synapse.declarations import DmsTable, Topic, load_declarations
from synapse.errors import SynapseError
from synapse.ingest.files import write_atomically
from synapse.ingest.manifest import part_names, read_parts
from synapse.lake import Lake
from synapse.runner.clock import naive_utc
from synapse.runner.dbt import DbtProject
from synapse.runner.record import KEEP_RECORDED, RECORDED, Recorded, read_days, read_store
from synapse.runner.undone import UndoneRuns
from synapse.settings import Settings


class AthenaWarehouse:
    """Iceberg tables, written by dbt; files of the lake, read through Glue.

    prefix: what the deployment's Glue databases begin with (SYNAPSE_SCHEMA_PREFIX).
    """

    def __init__(self, settings: Settings, project_dir: Path, dbt: DbtProject) -> None:
        self._settings = settings
        self._project_dir = project_dir
        self._dbt = dbt
        self.prefix = prefix()

    def require_free(self) -> None:
        """See Warehouse. Writers are kept apart by the lease; Athena reads no folder of ours."""
        if self._settings.remote is None:
            raise SynapseError(
                f"Athena reads a lake on S3 and this one is the folder {self._settings.lake}: give "
                "--lake s3://bucket/prefix (or SYNAPSE_LAKE), or build with --target duckdb"
            )
        undoing = UndoneRuns(self._settings.state)
        try:
            undoing.require_none()
        finally:
            undoing.close()

    def stop_queries(self, run_ids: Collection[str]) -> None:
        """See Warehouse: Athena goes on with a query though nobody waits for it."""
        if run_ids:
            stop_queries(self._settings, run_ids)

    def take_up(self) -> None:
        """See Warehouse: Glue tables over the files of the manifest, and over what is recorded."""
        lake = self._settings.open_lake()
        rows = read_parts(lake, part_names(lake)).rows
        declarations = load_declarations(self._project_dir)
        tables = [MANIFEST, *bronze_tables(declarations, rows)]
        recorded = [recorded_table(item) for item in RECORDED]
        declared: list[DmsTable | Topic] = [*declarations.tables, *declarations.topics]
        datasets = {target.dataset for target in declared}
        register([*tables, *recorded], lake.location, self.prefix, datasets)

    def write_run_context(self, *, run_id: str, as_of: datetime, is_backfill: bool) -> None:
        """See Warehouse. Nothing of the run is written before its restore point."""
        take_restore_point(self._settings, run_id, databases(self._dbt))
        row = {
            "run_id": run_id,
            "as_of": naive_utc(as_of).isoformat(sep=" ", timespec="microseconds"),
            "is_backfill": is_backfill,
        }
        result = self._dbt.invoke(
            ["run-operation", "write_run_context", "--args", json.dumps(row)], run_id=run_id
        )
        if not result.succeeded:
            raise SynapseError(
                f"the run's context could not be written: {'; '.join(result.failures)}"
            )

    def record_runs(self) -> None:
        """See Warehouse: Parquet files, replaced by one PUT each, which no query can tear.

        One a table; of the tables that have many rows a run, one a day.
        """
        record_costs(self._settings)
        lake = self._settings.open_lake()
        for recorded, rows in read_store(self._settings):
            write_atomically(lake, rows, f"{_folder(recorded)}/rows.parquet")
        for recorded, day, rows in read_days(self._settings):
            write_atomically(lake, rows, f"{_folder(recorded)}/{day}.parquet")


def forget_recorded(lake: Lake, today: date) -> list[str]:
    """Delete the days of recorded tables that are older than KEEP_RECORDED; returns their files."""
    oldest = f"{today - KEEP_RECORDED:%Y-%m-%d}"
    old = [
        file.path
        for recorded in RECORDED
        if recorded.dated_by is not None
        for file in lake.listing(_folder(recorded))
        if file.name.removesuffix(".parquet") < oldest
    ]
    lake.remove(old)
    return old


def recorded_table(recorded: Recorded) -> BronzeTable:
    """The Glue table over one recorded table, from which a view of ops makes moments again."""
    return BronzeTable(
        database="ops",
        name=f"{recorded.name}__rows",
        location=_folder(recorded),
        columns=counted_columns(recorded.schema),
    )


def _folder(recorded: Recorded) -> str:
    return f"recorded/{recorded.name}"

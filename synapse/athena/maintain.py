"""Upkeep of the Iceberg tables on Athena: compaction, expiry, orphans, one writer at a time."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from synapse.athena.costs import record_costs
from synapse.athena.deployment import (
    is_temporary,
    target_schema,
    with_standard_ones,
)
from synapse.athena.executions import NO_NODE, athena_client
from synapse.athena.iceberg_tables import (
    Files,
    GlueIceberg,
    Metadata,
    Stored,
    glue_tables,
    iceberg_tables,
)
from synapse.athena.pins import pins_in_use, published_database, vacuum_would_break
from synapse.athena.policies import Policy, read_policies
from synapse.athena.restore_points import RestorePoints
from synapse.athena.statements import Sender, StatementError, until_done
from synapse.athena.warehouse import forget_recorded
from synapse.cost.ledger import CostLedger
from synapse.cost.prices import Prices
from synapse.errors import SynapseError
from synapse.progress import Progress
from synapse.publish.model import Pin
from synapse.runner.clock import utc_now
from synapse.runner.dbt import DbtProject
from synapse.runner.lease import lease
from synapse.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

# dbt-athena's schema_table_unique: each build of a table has a folder of its own.
_BUILD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A folder that is being filled belongs to no table yet.
_YOUNG = timedelta(days=1)


@dataclass(frozen=True)
class TableUpkeep:
    """What became of one table. Files and bytes: all that is stored under its folder.

    data_files: of the current snapshot. rounds: how often OPTIMIZE and VACUUM were sent. failure:
    Athena's reason where one of them failed; the other tables are kept all the same. is_held: no
    VACUUM was sent, because a published set names a snapshot that it would expire.
    """

    table: str
    data_files_before: int
    data_files_after: int
    snapshots_before: int
    snapshots_after: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    rounds: int
    failure: str | None = None
    is_held: bool = False


@dataclass(frozen=True)
class Upkeep:
    """What a maintenance did. released: restore points let go of; orphans: folders removed.

    temporary: tables that runs had made for themselves and, killed, left behind. forgotten: files
    of recorded days that are older than the marts tell of.
    """

    run_id: str
    tables: list[TableUpkeep]
    released: int
    orphans: list[str]
    orphan_bytes: int
    temporary: list[str]
    forgotten: list[str]


@dataclass
class _Keeper:
    sender: Sender
    files: Files
    reload: Callable[[GlueIceberg], GlueIceberg]
    pins: list[Pin]

    def keep(self, table: GlueIceberg, node_id: str, policy: Policy) -> TableUpkeep:
        before, stored = self._look(table)
        rounds = 0
        failure = None
        is_held = vacuum_would_break(table, policy, self.pins, datetime.now(UTC))
        try:
            rounds = self._work(table, before, node_id, policy, is_held)
        except StatementError as error:
            failure = str(error)
        after, left = self._look(self.reload(table))
        return TableUpkeep(
            table=table.full_name,
            data_files_before=before.data_files,
            data_files_after=after.data_files,
            snapshots_before=len(before.snapshot_ids),
            snapshots_after=len(after.snapshot_ids),
            files_before=stored.files,
            files_after=left.files,
            bytes_before=stored.bytes,
            bytes_after=left.bytes,
            rounds=rounds,
            failure=failure,
            is_held=is_held,
        )

    def _look(self, table: GlueIceberg) -> tuple[Metadata, Stored]:
        metadata = self.files.metadata(table.metadata_location)
        if metadata is None:
            raise SynapseError(
                f"{table.full_name}: its metadata file {table.metadata_location} is gone: restore "
                "it from the bucket's versions, or build the table anew with --full-refresh"
            )
        return metadata, self.files.stored(table.location)

    def _work(
        self, table: GlueIceberg, now: Metadata, node_id: str, policy: Policy, is_held: bool
    ) -> int:
        def send(sql: str) -> int:
            return until_done(lambda: self.sender.send(sql, node_id))

        name = f"{table.database}.{table.name}"
        is_compacted = policy.compact and (now.data_files > 1 or now.delete_files > 0)
        if len(now.snapshot_ids) <= 1 and not is_compacted:
            return 0  # built anew since the last time: there is nothing to expire
        wanted = policy.properties
        if {key: now.properties.get(key) for key in wanted} != wanted:
            clause = ", ".join(f"'{key}' = '{value}'" for key, value in wanted.items())
            send(f"ALTER TABLE {name} SET TBLPROPERTIES ({clause})")
        rounds = 0
        if is_compacted:
            rounds += send(f"OPTIMIZE {name} REWRITE DATA USING BIN_PACK")
        return rounds if is_held else rounds + send(f"VACUUM {name}")


def rollback_days() -> int:
    """For how many days a run can be rolled back (SYNAPSE_ROLLBACK_DAYS)."""
    text = os.environ.get("SYNAPSE_ROLLBACK_DAYS") or "3"
    if not text.isdigit():
        raise SynapseError(f"SYNAPSE_ROLLBACK_DAYS is {text!r}; give whole days, for example 3.")
    return int(text)


def maintain_athena(
    settings: Settings,
    project_dir: Path,
    *,
    only: Iterable[str] = (),
    progress: Progress | None = None,
) -> Upkeep:
    """Do keep_tables while no run is at work: raises LeaseHeldError where one is."""
    run_id = f"maintain-{uuid.uuid4().hex}"
    with lease(settings.state, run_id):
        return keep_tables(settings, project_dir, run_id, only=only, progress=progress)


def keep_tables(
    settings: Settings,
    project_dir: Path,
    run_id: str,
    *,
    only: Iterable[str] = (),
    progress: Progress | None = None,
) -> Upkeep:
    """Compact and expire every Iceberg table of the deployment by its policy, then remove orphans.

    only: names of tables, for a part of it. run_id: what its queries are booked on; its run holds
    the lease, so that each table has one writer. Raises SynapseError for a bad policy.
    """
    days = rollback_days()
    dbt = DbtProject(settings, project_dir)
    policies = read_policies(dbt.manifest())
    databases = with_standard_ones(database for database, _ in policies)
    # What came before is recorded first: the ledger goes on from its newest query.
    record_costs(settings)
    glue, files = boto3.client("glue"), Files()
    wanted = set(only)
    tables = [
        table
        for table in iceberg_tables(glue, databases)
        if not is_temporary(table.name) and (not wanted or table.name in wanted)
    ]
    if missing := wanted - {table.name for table in tables}:
        raise SynapseError(f"there is no Iceberg table {sorted(missing)[0]} in {databases}")
    sender = Sender(athena_client(), run_id, target_schema())

    def reload(table: GlueIceberg) -> GlueIceberg:
        return next(
            found for found in iceberg_tables(glue, [table.database]) if found.name == table.name
        )

    keeper = _Keeper(sender, files, reload, pins_in_use(settings))
    done = []
    try:
        for number, table in enumerate(tables, 1):
            node_id, policy = policies.get((table.database, table.name), (NO_NODE, Policy()))
            done.append(keeper.keep(table, node_id, policy))
            if progress:
                progress(table.full_name, number, len(tables))
    finally:
        ledger = CostLedger(settings.state, Prices.load())
        ledger.record(sender.sent)
        ledger.close()
    points = RestorePoints(settings.state)
    try:
        released = points.forget(before=utc_now() - timedelta(days=days))
        needed = points.locations()
    finally:
        points.close()
    temporary = _drop_temporary(glue, databases)
    needed |= _locations(glue, [*databases, published_database()])
    orphans = _orphans(files, databases, needed)
    orphan_bytes = 0
    for folder in orphans:
        orphan_bytes += files.stored(folder).bytes
        files.remove(folder)
    forgotten = forget_recorded(settings.open_lake(), utc_now().date())
    return Upkeep(run_id, done, released, orphans, orphan_bytes, temporary, forgotten)


def _drop_temporary(glue: GlueClient, databases: Iterable[str]) -> list[str]:
    """Take out of the catalogue what killed runs left; its files are orphans then.

    No run is at work, but somebody's own `dbt build` may be: what is young is left.
    """
    dropped = []
    for database, table in list(glue_tables(glue, databases)):
        made_at = table.get("CreateTime", datetime.max.replace(tzinfo=UTC))
        if is_temporary(table["Name"]) and datetime.now(UTC) - made_at > _YOUNG:
            glue.delete_table(DatabaseName=database, Name=table["Name"])
            dropped.append(f"{database}.{table['Name']}")
    return dropped


def _locations(glue: GlueClient, databases: Iterable[str]) -> set[str]:
    """The folders of all tables, of whatever kind."""
    places = (
        table.get("StorageDescriptor", {}).get("Location")
        for _, table in glue_tables(glue, databases)
    )
    return {place.rstrip("/") + "/" for place in places if place}


def _orphans(files: Files, databases: Iterable[str], needed: set[str]) -> list[str]:
    """Folders of builds that no table and no restore point needs, and that have come to rest."""
    root = os.environ.get("SYNAPSE_ATHENA_DATA")
    if not root:
        raise SynapseError("SYNAPSE_ATHENA_DATA is not set: give the S3 prefix of the tables")
    found = []
    for database in databases:
        for table in files.folders(f"{root.rstrip('/')}/{database}/"):
            for build in files.folders(table):
                if not _BUILD.fullmatch(build.rstrip("/").rsplit("/", 1)[1]):
                    continue
                if any(build.startswith(one) or one.startswith(build) for one in needed):
                    continue
                moments = [item["LastModified"] for item in files.objects(build)]
                if moments and datetime.now(UTC) - max(moments) > _YOUNG:
                    found.append(build)
    return found

"""Back to before a run: every Iceberg table as its restore point says, all of them or none.

Athena's SQL has no procedure for it. A table goes back by one compare-and-set of Glue: its pointer
to the metadata file of before the run, under the condition that the table is still at the version
that was looked at (VersionId, with which Iceberg's own commits are made).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import boto3
from botocore.exceptions import ClientError

from synapse.athena.deployment import is_temporary
from synapse.athena.iceberg_tables import Files, GlueIceberg, Metadata, iceberg_tables
from synapse.athena.restore_points import RestorePoint, RestorePoints
from synapse.errors import SynapseError
from synapse.runner.lease import lease
from synapse.runner.undone import UndoneRuns
from synapse.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import TableInputTypeDef


class Action(StrEnum):
    """What has to be done to a table."""

    unchanged = "unchanged"
    reset = "reset"  # the same table, an earlier commit
    swap = "swap"  # built anew since: its earlier build is put back
    remake = "remake"  # dropped since: made again over its files
    remove = "remove"  # made since: leaves the catalogue


@dataclass(frozen=True)
class Step:
    """One table's part. there: as it is now; wanted: as it was before the run."""

    action: Action
    there: GlueIceberg | None
    wanted: GlueIceberg | None

    @property
    def table(self) -> str:
        """Database and table."""
        found = self.there or self.wanted
        assert found is not None
        return found.full_name


@dataclass(frozen=True)
class Rollback:
    """What a rollback did. undone: the runs that it took back, newest first."""

    run_id: str
    undone: list[str]
    tables: dict[str, str] = field(default_factory=dict)


def take_restore_point(settings: Settings, run_id: str, databases: Iterable[str]) -> None:
    """Write down where every Iceberg table of these databases stands, before a run changes any."""
    wanted = sorted(databases)
    points = RestorePoints(settings.state)
    try:
        points.take(run_id, wanted, _tables(boto3.client("glue"), wanted))
    finally:
        points.close()


def roll_back(settings: Settings, run_id: str) -> Rollback:
    """Put every table back to before the run, which undoes later runs too.

    Called again after it was interrupted, it goes on. Raises SynapseError, before anything is
    changed, where a table cannot go back; LeaseHeldError while a run is at work.
    """
    points = RestorePoints(settings.state)
    undoing = UndoneRuns(settings.state)
    try:
        point = points.find(run_id)
        if point is None:
            raise SynapseError(
                f"there is no restore point of run {run_id!r}: it is unknown, never built on "
                "Athena, or `synapse maintain` let go of it after SYNAPSE_ROLLBACK_DAYS; "
                "`synapse run daily --full-refresh` builds everything from bronze"
            )
        with lease(settings.state, f"rollback-{uuid.uuid4().hex}"):
            glue = boto3.client("glue")
            steps = plan(point, _tables(glue, point.databases))
            check(steps, Files())
            # From here to the end no run may build: an interrupted rollback is to be repeated.
            with undoing.rollback(point.run_id) as undone:
                apply(glue, steps)
                points.forget(after=point.taken_at)
            return Rollback(point.run_id, undone, {step.table: step.action.value for step in steps})
    finally:
        undoing.close()
        points.close()


def _tables(glue: GlueClient, databases: Iterable[str]) -> Iterator[GlueIceberg]:
    found = iceberg_tables(glue, databases)
    return (table for table in found if not is_temporary(table.name))


def plan(point: RestorePoint, now: Iterable[GlueIceberg]) -> list[Step]:
    """What has to be done to each table, in the order of their names."""
    there = {table.full_name: table for table in now}
    wanted = {table.full_name: table for table in point.tables}
    steps = []
    for name in sorted({*there, *wanted}):
        is_now, was = there.get(name), wanted.get(name)
        if is_now is None:
            action = Action.remake
        elif was is None:
            action = Action.remove
        elif is_now.metadata_location == was.metadata_location:
            action = Action.unchanged
        elif is_now.location == was.location:
            action = Action.reset
        else:
            action = Action.swap
        steps.append(Step(action, is_now, was))
    return steps


def check(steps: Iterable[Step], files: Files) -> None:
    """Raise SynapseError, with every reason, where a table's earlier state is no longer there."""
    reasons = [
        reason
        for step in steps
        if step.wanted is not None and step.action is not Action.unchanged
        if (reason := _missing(step, step.wanted, files)) is not None
    ]
    if reasons:
        raise SynapseError(
            "nothing was rolled back, because not every table can go back: "
            + "; ".join(reasons)
            + ". `synapse run daily --full-refresh` builds everything from bronze"
        )


def _missing(step: Step, wanted: GlueIceberg, files: Files) -> str | None:
    before = files.metadata(wanted.metadata_location)
    if before is None:
        return f"{wanted.full_name}: its metadata file {wanted.metadata_location} is gone"
    if before.manifest_list is not None and not files.exists(before.manifest_list):
        return f"{wanted.full_name}: VACUUM has expired its snapshot {before.snapshot_id}"
    if step.action is Action.reset and step.there is not None:
        now = files.metadata(step.there.metadata_location)
        if now is not None and not _still_knows(now, before):
            return f"{wanted.full_name}: its snapshot {before.snapshot_id} has expired"
    return None


def _still_knows(now: Metadata, before: Metadata) -> bool:
    """Whether the table still keeps the snapshot, and so every file that it needs."""
    return before.snapshot_id is None or before.snapshot_id in now.snapshot_ids


def apply(glue: GlueClient, steps: Iterable[Step]) -> None:
    """Do all of it; where Glue refuses one step, take back those that were done.

    Raises SynapseError then: all is as it was.
    """
    done: list[Step] = []
    try:
        for step in steps:
            _do(glue, step.action, step.there, step.wanted)
            done.append(step)
    except ClientError as error:
        for step in reversed(done):
            _take_back(glue, step)
        raise SynapseError(
            f"nothing was rolled back: Glue refused {step.table} ({error}); "
            "something else writes to the tables: end it and roll back again"
        ) from error


def _do(
    glue: GlueClient, action: Action, there: GlueIceberg | None, wanted: GlueIceberg | None
) -> None:
    if action is Action.unchanged:
        return
    if there is not None and wanted is not None:
        glue.update_table(
            DatabaseName=there.database, TableInput=_as_input(wanted), VersionId=there.version
        )
    elif wanted is not None:
        glue.create_table(DatabaseName=wanted.database, TableInput=_as_input(wanted))
    elif there is not None:
        # Its files stay until `synapse maintain`: taking back would need them.
        glue.delete_table(DatabaseName=there.database, Name=there.name)


def _take_back(glue: GlueClient, step: Step) -> None:
    """Undo a step that was done."""
    if step.action is Action.unchanged:
        return
    if step.there is None and step.wanted is not None:
        glue.delete_table(DatabaseName=step.wanted.database, Name=step.wanted.name)
    elif step.there is not None and step.wanted is None:
        glue.create_table(DatabaseName=step.there.database, TableInput=_as_input(step.there))
    elif step.there is not None:
        glue.update_table(DatabaseName=step.there.database, TableInput=_as_input(step.there))


def _as_input(table: GlueIceberg) -> TableInputTypeDef:
    return cast("TableInputTypeDef", table.input)

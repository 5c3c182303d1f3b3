"""A recovery drill: warehouse and state store are lost; what is in the lake makes them again.

The terms are those of NIST SP 800-34 Rev. 1: RTO is how long recovery may take, RPO how old the
newest thing may be that recovery brings back.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from synapse.drill.files import Survivors, lay_out
from synapse.drill.ledger import record_drill
from synapse.errors import SynapseError, UsageError
from synapse.progress import Progress
from synapse.runner.context import connect_warehouse
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.run_ledger import RunLedger
from synapse.runner.service import run
from synapse.schedules.load import load_schedules
from synapse.settings import Settings
from synapse.warehouse_compare import TableDifference, compare_warehouses, relations

RTO = timedelta(hours=24)
RPO = timedelta(hours=4)
# The schedule that builds all of silver and gold.
_WHOLE = "daily"
# Where a table of silver says how new its rows are, the first that it has.
_NEWEST = ("_committed_at", "occurred_at", "sent_at")


@dataclass(frozen=True)
class Drill:
    """How a drill went. Instants are UTC, durations seconds.

    rto_seconds: from nothing but the lake's files to a warehouse whose tests have passed.
    rpo_seconds: from the newest row that was recovered to as_of, the running warehouse's now.
    recovered_to: by source table, its newest row. compared: relations that were held against each
    other; differing: those that are not the same, and how. was_levelled: the running warehouse's
    last run was no whole one, so a copy of it was brought level before it was compared.
    """

    drill_id: str
    as_of: datetime
    survivors: Survivors
    rto_seconds: float
    rto_target_seconds: float
    rpo_seconds: float | None
    rpo_target_seconds: float
    recovered_to: dict[str, datetime]
    compared: int
    differing: list[TableDifference]
    compare_seconds: float
    was_levelled: bool
    kept_in: str | None

    @property
    def passed(self) -> bool:
        """Everything came back the same, soon enough and new enough."""
        return (
            not self.differing
            and self.rto_seconds <= self.rto_target_seconds
            and self.rpo_seconds is not None
            and self.rpo_seconds <= self.rpo_target_seconds
        )


@dataclass(frozen=True)
class _Running:
    """A copy of the running warehouse: its as-of, manifest parts, and if its last run was whole."""

    warehouse: Path
    as_of: datetime
    parts: list[str]
    is_whole: bool


def drill(
    settings: Settings,
    project_dir: Path,
    *,
    rto: timedelta = RTO,
    rpo: timedelta = RPO,
    keep: bool = False,
    progress: Progress | None = None,
) -> Drill:
    """Rebuild silver and gold from the lake's files and compare them with the running warehouse.

    Nothing running is changed: runs wait only while the warehouse is copied. The rebuilt one lies
    in a folder of its own, which is removed unless `keep`. Raises SynapseError where there is
    nothing to compare with, where a file that silver was read from is gone, or where the rebuild
    fails; LeaseHeldError while another drill or, at its beginning, a run is at work.
    """
    if settings.target != "duckdb":
        raise UsageError(
            f"synapse drill rebuilds the embedded warehouse; for {settings.target} run it on a "
            "DuckDB warehouse over the same lake (--target duckdb --lake s3://…)"
        )
    drill_id = uuid.uuid4().hex
    with lease(settings.state, drill_id, "drill"):
        for left in settings.lake.glob("drill-*"):
            shutil.rmtree(left)  # of a drill that was killed, or kept: no other is at work
        folder = settings.lake / f"drill-{drill_id[:8]}"
        try:
            done = _drill(settings, project_dir, drill_id, folder, rto, rpo, progress)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if keep:
            done = replace(done, kept_in=str(folder))
        else:
            shutil.rmtree(folder)
    record_drill(settings.state, done)
    return done


def _drill(
    settings: Settings,
    project_dir: Path,
    drill_id: str,
    folder: Path,
    rto: timedelta,
    rpo: timedelta,
    progress: Progress | None,
) -> Drill:
    running = _copy_running(settings, project_dir, folder / "running", drill_id)
    began = time.monotonic()
    rebuilt = _lake_at(settings, folder / "lake")
    survivors = lay_out(settings.open_lake(), running.parts, rebuilt.lake)
    key = settings.lake / "pseudonym.key"
    if "SYNAPSE_PSEUDONYM_KEY" not in os.environ and key.is_file():
        shutil.copy2(key, rebuilt.lake)  # with another key all pseudonyms would differ
    _run(rebuilt, project_dir, running.as_of, progress)
    took = time.monotonic() - began
    if not running.is_whole:
        copy = replace(
            rebuilt,
            warehouse=running.warehouse,
            state=f"sqlite:///{folder / 'running' / 'state.db'}",
        )
        _run(copy, project_dir, running.as_of, progress)
    began = time.monotonic()
    differing = compare_warehouses(running.warehouse, rebuilt.warehouse)
    compared = len(relations(rebuilt.warehouse))
    compare_seconds = time.monotonic() - began
    recovered = _recovered_to(rebuilt.warehouse, running.as_of)
    newest = max(recovered.values(), default=None)
    return Drill(
        drill_id=drill_id,
        as_of=running.as_of,
        survivors=survivors,
        rto_seconds=round(took, 1),
        rto_target_seconds=rto.total_seconds(),
        rpo_seconds=(running.as_of - newest).total_seconds() if newest else None,
        rpo_target_seconds=rpo.total_seconds(),
        recovered_to=recovered,
        compared=compared,
        differing=differing,
        compare_seconds=round(compare_seconds, 1),
        was_levelled=not running.is_whole,
        kept_in=None,
    )


def _lake_at(settings: Settings, lake: Path) -> Settings:
    """Settings of a lake with nothing but files: warehouse and state store have to be made."""
    lake.mkdir(parents=True)
    return replace(
        settings,
        lake=lake,
        remote=None,
        # Views name the file that they are in.
        warehouse=lake / settings.warehouse.name,
        state=f"sqlite:///{lake / 'state.db'}",
    )


def _copy_running(settings: Settings, project_dir: Path, folder: Path, drill_id: str) -> _Running:
    """Copy the running warehouse while no run is at work on it."""
    path = settings.warehouse
    if not path.is_file():
        raise SynapseError(f"there is no warehouse at {path}: build one with `synapse run daily`")
    needed, free = 2 * path.stat().st_size, shutil.disk_usage(settings.lake).free
    if needed > free:
        raise SynapseError(
            f"a drill needs room for two warehouses beside this one, {needed:,} bytes, and "
            f"{settings.lake} has {free:,}: make room, or run it on a copy of the lake elsewhere"
        )
    folder.mkdir(parents=True)
    copy = folder / path.name
    with lease(settings.state, drill_id):
        with connect_warehouse(path, read_only=True) as connection:
            context = connection.execute("select run_id, as_of from ops.run_context").fetchone()
            parts = connection.execute("select distinct part from ops.files_accepted").fetchall()
        if context is None:
            raise SynapseError(f"{path} was never run on: build it with `synapse run daily`")
        shutil.copy2(path, copy)
        history = RunHistory(settings.state)
        try:
            last = history.last_built(load_schedules(project_dir).without_models())
            plan = RunLedger(history.engine).plan_of(context[0])
        finally:
            history.close()
    return _Running(
        copy,
        context[1].replace(tzinfo=UTC),
        sorted(Path(part).name for (part,) in parts),
        plan is not None
        and _WHOLE in plan.covers
        and last is not None
        and (last.run_id, last.status) == (context[0], "succeeded"),
    )


def _run(settings: Settings, project_dir: Path, as_of: datetime, progress: Progress | None) -> None:
    report = run(settings, project_dir, schedule=_WHOLE, as_of=as_of, progress=progress)
    if report.status != "succeeded":
        raise SynapseError(
            f"the drill's run ended as {report.status}: {'; '.join(report.dbt.failures)}"
        )


def _recovered_to(warehouse: Path, as_of: datetime) -> dict[str, datetime]:
    """The newest row of each source's table of silver; a clock that ran ahead counts as as-of."""
    found = {}
    with connect_warehouse(warehouse, read_only=True) as connection:
        tables: dict[str, set[str]] = {}
        for table, column in connection.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = 'silver' and table_name like 'base\\_%' escape '\\'"
        ).fetchall():
            tables.setdefault(table, set()).add(column)
        for table, columns in sorted(tables.items()):
            name = next((name for name in _NEWEST if name in columns), None)
            if name is None:
                continue
            row = connection.execute(f"select max({name}) from silver.{table}").fetchone()
            if row and row[0] is not None:
                found[table.removeprefix("base_")] = min(row[0].replace(tzinfo=UTC), as_of)
    return found

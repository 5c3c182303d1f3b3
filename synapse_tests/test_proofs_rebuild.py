"""Incremental = full refresh = rebuild; twice = once; any landing of one bronze = one silver."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from synapse.ingest.quarantine import entries
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import copy_lake, is_full_proof, lake_settings, run_daily
from synapse_tests.relanding import Relanding
from synapse_tests.warehouse_compare import assert_same_warehouse, compare_warehouses, relations

SHUFFLES = range(3) if is_full_proof() else range(1)


def test_three_daily_steps_equal_a_full_refresh(steps: DailySteps, tmp_path: Path) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    run_daily(settings, steps.project, steps.last, full_refresh=True)
    assert_same_warehouse(steps.copies[-1], settings.warehouse)


def test_three_daily_steps_equal_a_rebuild_from_bronze_and_retained(
    steps: DailySteps, tmp_path: Path
) -> None:
    """The warehouse and the state store are lost; the manifest's files make them again."""
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    settings.warehouse.unlink()
    for path in settings.lake.glob("state.db*"):
        path.unlink()
    run_daily(settings, steps.project, steps.last)
    refused = {entry.id for entry in entries(steps.settings, state=None)}
    assert refused, "nothing here could be refused twice or be lost"
    assert {entry.id for entry in entries(settings, state=None)} == refused
    assert_same_warehouse(steps.copies[-1], settings.warehouse)


def test_a_day_earlier_equals_the_warehouse_of_that_day(steps: DailySteps) -> None:
    """The comparison can fail: the day before is not the same warehouse."""
    assert compare_warehouses(steps.copies[0], steps.copies[-1])


def test_a_second_dbt_build_changes_nothing(steps: DailySteps, tmp_path: Path) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    result = DbtProject(settings, steps.project).invoke(
        ["build", "--exclude-resource-type", "unit_test"]
    )
    assert result.succeeded, "\n".join(result.failures)
    # Snapshots too: as-of has not moved. Here not even the exempt columns may differ.
    everything = ("silver", "gold", "snapshots")
    assert relations(settings.warehouse, everything) == relations(steps.copies[-1], everything)
    differences = compare_warehouses(
        steps.copies[-1], settings.warehouse, everything, ignore=("run_id", "_run_id")
    )
    assert not differences, "\n".join(map(str, differences))


def test_a_second_daily_run_with_nothing_new_builds_and_changes_nothing(
    steps: DailySteps, tmp_path: Path
) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    run_daily(settings, steps.project, steps.last)
    report = run_daily(settings, steps.project, steps.last)
    assert report.status == "unchanged"
    assert report.ingest.landed == 0
    assert_same_warehouse(steps.copies[-1], settings.warehouse)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_any_order_splitting_and_repetition_of_bronze_gives_the_same_silver(
    steps: DailySteps, tmp_path: Path, shuffle: int
) -> None:
    settings = lake_settings(tmp_path / "lake")
    relanding = Relanding(steps.settings.lake, settings.lake, seed=shuffle)
    as_of = end_of_date(steps.last, settings.business_timezone)
    dbt = DbtProject(settings, steps.project)
    for step in range(relanding.steps):
        relanding.land(step)
        ingest(settings, steps.project, as_of=as_of)
        write_run_context(settings, run_id=f"step-{step}", as_of=as_of, is_backfill=False)
        arguments = ["run", "--select", "path:models/silver"]
        result = dbt.invoke(arguments, run_id=f"step-{step}")
        assert result.succeeded, "\n".join(result.failures)
    assert min(relanding.repeated, relanding.split) > 0, "this landing was no other than the first"
    reference = tmp_path / "reference.duckdb"
    shutil.copy2(steps.copies[-1], reference)
    assert_same_silver(reference, settings.warehouse)


def assert_same_silver(left: Path, right: Path) -> None:
    """Compare the silver models (the seeds live in the same schema, but are not landed)."""
    seeds = {"silver.tracking_plan", "silver.funnels", "silver.model_prices"}
    differences = [
        difference
        for difference in compare_warehouses(left, right, ("silver",))
        if difference.relation not in seeds
    ]
    assert not differences, "\n".join(map(str, differences))

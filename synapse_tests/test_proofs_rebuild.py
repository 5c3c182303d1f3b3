"""Incremental = full refresh = rebuild; twice = once; any landing of one bronze = one silver."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from synapse.ingest.quarantine import entries
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.warehouse_compare import (
    EXEMPT_COLUMNS,
    assert_same_warehouse,
    compare_tables,
    compare_warehouses,
    read_relation,
    relations,
)
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import ask, copy_lake, is_full_proof, lake_settings, run_daily
from synapse_tests.relanding import Relanding

SHUFFLES = range(3) if is_full_proof() else range(1)
# Facts that follow what changed in others (docs/adr/0007).
FOLLOWERS = ("fct_events", "fct_sessions", "int_responses")
FACTS = ("path:models/gold/core", "int_responses")


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
def test_any_order_splitting_and_repetition_of_bronze_gives_the_same_silver_and_facts(
    steps: DailySteps, tmp_path: Path, shuffle: int
) -> None:
    settings = lake_settings(tmp_path / "lake")
    relanding = Relanding(steps.settings.lake, settings.lake, seed=shuffle)
    as_of = end_of_date(steps.last, settings.business_timezone)
    settings.lake.mkdir()
    shutil.copy2(steps.settings.lake / "pseudonym.key", settings.lake)
    dbt = DbtProject(settings, steps.project)
    assert dbt.invoke(["seed"]).succeeded
    for step in range(relanding.steps):
        relanding.land(step)
        ingest(settings, steps.project, as_of=as_of)
        write_run_context(settings, run_id=f"step-{step}", as_of=as_of, is_backfill=False)
        # What followers were not there to see must wait for them.
        for left_out in ([["--exclude", *FOLLOWERS]] if step else []) + [[]]:
            arguments = ["run", "--select", "path:models/silver", *FACTS, *left_out]
            result = dbt.invoke(arguments, run_id=f"step-{step}")
            assert result.succeeded, "\n".join(result.failures)
    assert min(relanding.repeated, relanding.split) > 0, "this landing was no other than the first"
    # Of the same name: a view names its database, which is the file.
    reference = tmp_path / "reference" / settings.warehouse.name
    reference.parent.mkdir()
    shutil.copy2(steps.copies[-1], reference)
    assert_same_silver_and_facts(reference, settings.warehouse)


def test_followers_see_what_was_logged_and_not_made_until_it_is(
    steps: DailySteps, tmp_path: Path
) -> None:
    """Where log and fact are no transaction, a run may be killed between the two (ADR 7)."""
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    dbt = DbtProject(settings, steps.project)
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute(
            "insert into ops.fact_changes select 'killed', 'fct_messages', 'conversation_id', "
            "conversation_id, sent_at from gold.fct_messages limit 1"
        )

    def seen_by() -> list[str]:
        found = ask(
            settings.warehouse,
            "select reader from ops.fact_changes_seen where change_id = 'killed' order by reader",
        )
        return [str(row[0]) for row in found]

    followers = ["int_responses", "fct_events", "fct_conversations", "rpt_llm_usage_daily"]
    assert dbt.invoke(["run", "--select", *followers]).succeeded
    assert seen_by() == []
    assert dbt.invoke(["run", "--select", "fct_messages"]).succeeded
    assert seen_by() == ["fct_messages"]
    assert dbt.invoke(["run", "--select", *followers]).succeeded
    assert seen_by() == sorted([*followers, "fct_messages"])
    assert dbt.invoke(["run", "--select", *followers]).succeeded
    assert not ask(
        settings.warehouse, "select change_id from ops.fact_changes where change_id = 'killed'"
    )
    assert_same_warehouse(steps.copies[-1], settings.warehouse)


def assert_same_silver_and_facts(left: Path, right: Path) -> None:
    """Compare silver, and what there is of gold."""
    differences = compare_warehouses(left, right, ("silver",))
    assert not differences, "\n".join(map(str, differences))
    facts = relations(right, ("gold",))
    assert "gold.fct_sessions" in facts
    found = [
        compare_tables(
            name,
            read_relation(left, name, EXEMPT_COLUMNS),
            read_relation(right, name, EXEMPT_COLUMNS),
        )
        for name in facts
    ]
    assert not any(found), "\n".join(str(one) for one in found if one)

"""Back to before a run: all tables or none, and the next run comes to where the undone one was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from athena_local.instance import Instance
from synapse.athena.iceberg_tables import iceberg_tables
from synapse.athena.restore_points import RestorePoints
from synapse.athena.rollback import Action, apply, plan, roll_back, take_restore_point
from synapse.errors import LeaseHeldError, SynapseError
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.undone import UndoneRuns
from synapse_tests.athena_small import SmallProject, small_project

# What each run brings: (highest id, what it writes into every row).
MERGED = """
{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}
select number as id, '%s' as run from unnest(sequence(1, %d)) as numbers (number)
"""
REPLACED = "select max(id) as highest, count(*) as rows, max(run) as run from {{ ref('merged') }}"


class Runs:
    """Runs of a small project, each with its restore point, as the runner makes them."""

    def __init__(self, project: SmallProject) -> None:
        self.project = project
        self.database = f"{project.prefix}gold"

    def run(self, run_id: str, highest: int, **models: str) -> None:
        """One run, after which `merged` has that many rows; other models by name."""
        self.project.model("merged", MERGED % (run_id, highest))
        self.project.model("replaced", "{{ config(materialized='table') }}" + REPLACED)
        for name, sql in models.items():
            self.project.model(name, sql)
        with self.project.run(run_id):
            take_restore_point(self.project.settings, run_id, [self.database])
            result = self.project.invoke("run", run_id=run_id)
            assert result.succeeded, result.failures

    def contents(self) -> dict[str, list[list[str | None]]]:
        """The rows of every table that there is."""
        return {name: sorted(self.project.rows(f"select * from {name}")) for name in self.tables()}

    def tables(self) -> dict[str, str]:
        """Where each table points."""
        found = iceberg_tables(boto3.client("glue"), [self.database])
        return {table.name: table.metadata_location for table in found}

    def statuses(self) -> dict[str, str]:
        history = RunHistory(self.project.settings.state)
        runs = history.latest(100)
        history.close()
        return {run.run_id: run.status for run in runs if run.schedule != "rollback"}


@pytest.fixture(scope="module")
def runs(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """One deployment with a first run; each test adds runs of its own, from where it finds it."""
    with small_project(athena, tmp_path_factory.mktemp("rollback"), "back") as project:
        runs = Runs(project)
        runs.run("first", 3)
        yield runs


def test_rolled_back_all_is_as_before_and_run_again_as_after(runs: Runs) -> None:
    before = runs.contents()
    pointers = runs.tables()
    runs.run("second", 5, added="{{ config(materialized='table') }} select 1 as id")
    after = runs.contents()
    assert before != after
    done = roll_back(runs.project.settings, "secon")
    assert runs.contents() == before
    assert runs.tables() == pointers, "the very same commits, not copies of them"
    assert {name.split(".")[1]: action for name, action in done.tables.items()} == {
        "merged": "reset", "replaced": "swap", "added": "remove",
    }  # fmt: skip
    assert done.undone == ["second"]
    assert runs.statuses()["second"] == "rolled_back"
    # Once more there is nothing left to do.
    assert set(roll_back(runs.project.settings, "second").tables.values()) == {"unchanged"}
    runs.run("third", 5)
    again = runs.contents()
    assert {name: len(rows) for name, rows in again.items()} == {
        name: len(rows) for name, rows in after.items()
    }
    assert again["added"] == after["added"]
    (runs.project.folder / "models" / "added.sql").unlink()


def test_later_runs_go_too_and_a_dropped_table_comes_back(runs: Runs) -> None:
    before = runs.contents()
    runs.run("r1", 4)
    # dbt drops a table of ours so: its files stay.
    boto3.client("glue").delete_table(DatabaseName=runs.database, Name="replaced")
    runs.run("r2", 9)
    boto3.client("glue").delete_table(DatabaseName=runs.database, Name="replaced")
    done = roll_back(runs.project.settings, "r1")
    assert done.undone == ["r2", "r1"]
    assert done.tables[f"{runs.database}.replaced"] == "remake"
    assert runs.contents() == before
    with pytest.raises(SynapseError, match="no restore point"):
        roll_back(runs.project.settings, "r2")


def test_a_full_refresh_can_be_taken_back(runs: Runs) -> None:
    before = runs.contents()
    with runs.project.run("refresh"):
        take_restore_point(runs.project.settings, "refresh", [runs.database])
        runs.project.model("merged", MERGED % ("refreshed", 2))
        result = runs.project.invoke("run", "--full-refresh", run_id="refresh")
        assert result.succeeded, result.failures
    assert len(runs.contents()["merged"]) == 2
    roll_back(runs.project.settings, "refresh")
    assert runs.contents() == before


def test_a_run_that_goes_on_after_a_failure_goes_back_to_before_its_beginning(runs: Runs) -> None:
    before = runs.contents()
    runs.run("resumed", 4)
    take_restore_point(runs.project.settings, "resumed", [runs.database])
    roll_back(runs.project.settings, "resumed")
    assert runs.contents() == before


def test_what_vacuum_has_expired_is_refused_before_anything_changes(runs: Runs) -> None:
    runs.run("expired", 6)
    table = f"{runs.database}.merged"
    runs.project.rows(
        f"alter table {table} set tblproperties ('vacuum_max_snapshot_age_seconds' = '0')"
    )
    runs.project.rows(f"vacuum {table}")
    pointers, contents = runs.tables(), runs.contents()
    with pytest.raises(SynapseError, match=r"nothing was rolled back.*merged"):
        roll_back(runs.project.settings, "expired")
    assert runs.tables() == pointers
    assert runs.contents() == contents
    assert runs.statuses()["expired"] == "succeeded"


def test_a_writer_in_between_is_not_overwritten_and_nothing_stays_half_done(runs: Runs) -> None:
    runs.run("raced", 7)
    points = RestorePoints(runs.project.settings.state)
    point = points.find("raced")
    points.close()
    assert point is not None
    glue = boto3.client("glue")
    steps = plan(point, iceberg_tables(glue, point.databases))
    actions = [step.action for step in steps if step.action is not Action.unchanged]
    assert actions == [Action.reset, Action.swap]
    # Somebody commits to the last of them after we looked; the first would go back before it.
    runs.project.rows(f"insert into {runs.database}.replaced values (1, 2, 'somebody')")
    contents = runs.contents()
    with pytest.raises(SynapseError, match=r"Glue refused .*replaced"):
        apply(glue, steps)
    assert runs.contents() == contents
    assert any("somebody" in row for row in contents["replaced"])


def test_a_run_at_work_is_left_alone(runs: Runs) -> None:
    runs.run("leased", 4)
    with lease(runs.project.settings.state, "a-run"), pytest.raises(LeaseHeldError):
        roll_back(runs.project.settings, "leased")


def test_an_interrupted_rollback_holds_up_runs_until_it_is_repeated(runs: Runs) -> None:
    before = runs.contents()
    runs.run("cut", 8)
    undoing = UndoneRuns(runs.project.settings.state)

    class Killed(BaseException):
        pass

    def interrupted() -> None:
        with undoing.rollback("cut"):
            raise Killed

    with pytest.raises(Killed):
        interrupted()
    with pytest.raises(SynapseError, match="repeat"):
        undoing.require_none()
    roll_back(runs.project.settings, "cut")
    undoing.require_none()
    undoing.close()
    assert runs.contents() == before


def test_the_history_forgets_what_was_undone(runs: Runs) -> None:
    history = RunHistory(runs.project.settings.state)
    runs.run("later", 4)
    known = history.last_built()
    assert known is not None
    assert known.run_id == "later"
    newest = history.newest_as_of()
    roll_back(runs.project.settings, "later")
    known = history.last_built()
    assert known is not None
    assert known.run_id != "later"
    assert known.fingerprint is None, "the next run builds"
    assert newest is not None
    earlier: Any = history.newest_as_of()
    assert earlier < newest, "and is no backfill"
    history.close()

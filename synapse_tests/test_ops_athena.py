"""The runner's part on Athena, with the real project: restore points, costs and their mart."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import boto3
import pytest

from athena_local.instance import Instance
from synapse.athena.iceberg_tables import iceberg_tables
from synapse.athena.restore_points import RestorePoints
from synapse.athena.rollback import roll_back
from synapse.athena.warehouse import AthenaWarehouse
from synapse.cost.prices import dollars
from synapse.cost.report import read_costs
from synapse.errors import SynapseError
from synapse.generate.service import generate
from synapse.ingest.service import ingest
from synapse.runner.clock import parse_as_of
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.runner.undone import UndoneRuns
from synapse.settings import Settings
from synapse_tests.athena_small import SmallProject, small_project
from synapse_tests.lakes import PROJECT_DIR


@dataclass
class Deployment:
    """The real project on a small lake, run as the runner does but for few of its models."""

    small: SmallProject
    as_of: datetime
    dbt: DbtProject
    warehouse: AthenaWarehouse

    @property
    def settings(self) -> Settings:
        return self.small.settings

    def run(self, *arguments: str) -> str:
        """One run that builds what is selected; returns its id."""
        run_id = uuid.uuid4().hex
        history = RunHistory(self.settings.state)
        history.start(run_id, "hourly", self.as_of)
        self.warehouse.take_up()
        self.warehouse.write_run_context(run_id=run_id, as_of=self.as_of, is_backfill=False)
        self.warehouse.record_runs()
        result = self.dbt.invoke(["run", *arguments], run_id=run_id)
        assert result.succeeded, result.failures
        history.finish(run_id, "succeeded", accepted=10)
        history.close()
        self.warehouse.record_runs()
        return run_id


@pytest.fixture(scope="module")
def deployment(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("ops")
    made = generate(folder / "lake", users=3, days=2, seed=5, append=False, hazards="none")
    with small_project(athena, folder, "ops") as small:
        settings = small.settings
        assert settings.remote is not None
        upload(folder / "lake", settings.remote)
        as_of = parse_as_of(made.as_of)
        ingest(settings, PROJECT_DIR, as_of=as_of)
        dbt = DbtProject(settings, PROJECT_DIR)
        yield Deployment(small, as_of, dbt, AthenaWarehouse(settings, PROJECT_DIR, dbt))


def upload(lake: Path, remote: str) -> None:
    bucket, prefix = remote.removeprefix("s3://").split("/", 1)
    s3 = boto3.client("s3")
    for path in (lake / "bronze").rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(lake).as_posix()}"
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def pointers(deployment: Deployment) -> dict[str, str]:
    prefix = deployment.small.prefix
    databases = [f"{prefix}{word}" for word in ("ops", "silver", "gold")]
    found = iceberg_tables(boto3.client("glue"), databases)
    return {table.full_name: table.metadata_location for table in found}


def test_the_mart_on_athena_equals_the_ledger_and_a_rollback_takes_the_runs_tables_back(
    deployment: Deployment,
) -> None:
    small = deployment.small
    ours = ["--select", "ops_cost", "base_dms__plans"]
    first = deployment.run(*ours)
    seen = f"select count(*) from {small.prefix}ops.files_seen"
    base = f"select count(*) from {small.prefix}silver.base_dms__plans"
    before = pointers(deployment)
    counts = small.rows(seen), small.rows(base)
    assert counts[1] != [["0"]]
    second = deployment.run(*ours, "--full-refresh")
    assert pointers(deployment) != before

    mart = small.rows(
        "select run_id, schedule, node_id, cast(query_count as varchar), "
        f"cast(scanned_bytes as varchar), cast(cost_usd as varchar) from {small.prefix}ops.ops_cost"
    )
    recorded = read_costs(deployment.settings.state)
    assert {cost.run_id for cost in recorded} == {first, second}
    assert sorted(map(tuple, mart)) == sorted(
        (
            cost.run_id, cost.schedule, cost.node_id, str(cost.queries), str(cost.scanned_bytes),
            str(Decimal(dollars(cost.cost_nanodollars)).quantize(Decimal("0.000000001"))),
        )
        for cost in recorded
    )  # fmt: skip
    assert {cost.name for cost in recorded} >= {"base_dms__plans", "ops_cost"}

    roll_back(deployment.settings, second)
    assert pointers(deployment) == before
    assert (small.rows(seen), small.rows(base)) == counts
    third = deployment.run(*ours)
    assert (small.rows(seen), small.rows(base)) == counts
    points = RestorePoints(deployment.settings.state)
    taken = points.find(third)
    points.close()
    assert taken is not None
    assert {table.full_name for table in taken.tables} == set(before)


def test_a_load_without_commit_times_that_is_taken_up_again_adds_nothing(
    deployment: Deployment,
) -> None:
    """As after a run that was killed when its rows were in the table and nothing said so."""
    small = deployment.small
    deployment.run("--select", "base_dms__plans")
    changes = (
        "select count(*), count(distinct _change_id), count(_committed_at) "
        f"from {small.prefix}silver.base_dms__plans"
    )
    before = small.rows(changes)
    assert before[0][2] == "0"
    small.rows(f"delete from {small.prefix}ops.files_seen where model = 'base_dms__plans'")
    deployment.run("--select", "base_dms__plans")
    assert small.rows(changes) == before


def test_no_run_begins_while_a_rollback_is_unfinished(deployment: Deployment) -> None:
    history = RunHistory(deployment.settings.state)
    history.start("cut-off", "hourly", datetime.now(UTC))
    history.close()
    undoing = UndoneRuns(deployment.settings.state)
    with pytest.raises(KeyboardInterrupt), undoing.rollback("cut-off"):
        raise KeyboardInterrupt
    with pytest.raises(SynapseError, match="rollback"):
        deployment.warehouse.require_free()
    with undoing.rollback("cut-off"):
        pass
    deployment.warehouse.require_free()
    undoing.close()

"""The whole project on Athena: a hostile lake on S3, run daily; every table equals DuckDB's.

`make test` has time for the first of the daily steps; `make athena` and `make proof` take all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import boto3
import duckdb
import pytest

from athena_local.instance import Instance
from synapse.observe.reader import open_reader
from synapse.observe.restated import read_restated
from synapse.project import find_project
from synapse.runner.service import build_docs
from synapse.settings import Settings
from synapse_tests.arrivals import Arrivals
from synapse_tests.athena_client import Client
from synapse_tests.athena_equality import built_tables, differences, glue_catalog
from synapse_tests.conftest import STEPS, DailySteps, grow
from synapse_tests.lakes import ask, is_full_proof

LAKE = "s3://synapse-data/lake"
TAKEN = STEPS if is_full_proof() else int(os.environ.get("SYNAPSE_ATHENA_STEPS", "1"))


class Bucket:
    """The lake's folder on S3, brought level with a folder here as its files land."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._s3 = boto3.client("s3")
        self._sent: dict[Path, int] = {}

    def send(self) -> None:
        """Upload what has landed or was overwritten since."""
        bronze = [path for path in (self._folder / "bronze").rglob("*") if path.is_file()]
        fresh = [path for path in bronze if self._sent.get(path) != path.stat().st_mtime_ns]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._upload, fresh))
        self._sent |= {path: path.stat().st_mtime_ns for path in fresh}

    def _upload(self, path: Path) -> None:
        key = f"lake/{path.relative_to(self._folder).as_posix()}"
        self._s3.put_object(Bucket="synapse-data", Key=key, Body=path.read_bytes())


@pytest.fixture(scope="module")
def settings(
    athena: Instance, steps: DailySteps, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A lake on the local Athena's S3, in the environment that `athena-local run` would give."""
    home = tmp_path_factory.mktemp("athena-home")
    key = (steps.settings.lake / "pseudonym.key").read_text()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena.environment().items():
            patch.setenv(name, value)
        patch.setenv("SYNAPSE_PSEUDONYM_KEY", key)
        patch.setenv("SYNAPSE_HOME", str(home))
        yield Settings.load(lake=LAKE, target="athena")


@pytest.fixture(scope="module")
def compared(
    settings: Settings, steps: DailySteps, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """Differences to DuckDB after each daily step, by step and table."""
    landing = tmp_path_factory.mktemp("athena-landing")
    arrivals = Arrivals(steps.settings.lake.parent / "generated", landing)
    bucket = Bucket(landing)
    catalog = glue_catalog()
    found: dict[str, list[str]] = {}
    growing = grow(settings, arrivals, steps.build.days, bucket.send)
    for step, day in islice(growing, TAKEN):
        with duckdb.connect(str(steps.copies[step]), read_only=True) as embedded:
            for model in built_tables(_manifest(settings)):
                name = f"{day} {model.schema}.{model.name}"
                found[name] = differences(model, catalog, embedded)
    return found


def test_every_table_of_silver_and_gold_equals_duckdbs_after_every_daily_step(
    compared: dict[str, list[str]],
) -> None:
    assert len(compared) >= TAKEN * 60
    assert not [sentence for several in compared.values() for sentence in several]


def test_every_seed_equals_duckdbs(
    compared: dict[str, list[str]], athena: Instance, settings: Settings, steps: DailySteps
) -> None:
    assert compared
    client = Client(athena.environment(), "synapse_silver")
    nodes = json.loads(_manifest(settings).read_bytes())["nodes"].values()
    seeds = [node["name"] for node in nodes if node["resource_type"] == "seed"]
    assert seeds
    for seed in seeds:
        described = ask(steps.copies[TAKEN - 1], f"describe silver.{seed}")
        texts = ", ".join(f"cast({column[0]} as varchar)" for column in described)
        expected = ask(steps.copies[TAKEN - 1], f"select {texts} from silver.{seed}")
        found = client.run(f"select {texts} from {seed}").values
        assert sorted(map(str, found)) == sorted(str(list(row)) for row in expected), seed


def test_the_documentation_site_has_every_column_as_athena_has_it(
    compared: dict[str, list[str]], settings: Settings
) -> None:
    assert compared
    site = build_docs(settings, find_project())
    assert site.stat().st_size > 1_000_000
    catalog = json.loads(_manifest(settings).with_name("catalog.json").read_bytes())["nodes"]
    columns = {entry["metadata"]["name"]: set(entry["columns"]) for entry in catalog.values()}
    for node in json.loads(_manifest(settings).read_bytes())["nodes"].values():
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral":
            assert columns[node["name"]] == set(node["columns"]), node["name"]


def test_the_quality_summary_says_what_was_restated_as_on_duckdb(
    compared: dict[str, list[str]], settings: Settings, steps: DailySteps
) -> None:
    assert compared
    with open_reader(settings.state) as reader:
        runs = [row["run_id"] for row in reader.rows("select run_id from schedule_runs")]
    assert runs
    expected = ask(
        steps.copies[TAKEN - 1],
        "select report, cause, count(*) from ops.ops_restatements "
        "group by report, cause order by report, cause",
    )
    found = read_restated(settings, runs)
    assert found is not None
    assert [(one.report, one.cause, one.figures) for one in found] == expected


def test_what_is_compared_would_show_a_single_row_that_differs(
    compared: dict[str, list[str]], settings: Settings, steps: DailySteps, tmp_path: Path
) -> None:
    """The comparison itself can fail."""
    assert compared
    copy = tmp_path / "changed.duckdb"
    copy.write_bytes(steps.copies[TAKEN - 1].read_bytes())
    manifest_model = next(
        model for model in built_tables(_manifest(settings)) if model.name == "fct_user_days"
    )
    with duckdb.connect(str(copy)) as embedded:
        embedded.execute(
            "update gold.fct_user_days set activity_date = activity_date + 1 "
            "where user_id = (select min(user_id) from gold.fct_user_days)"
        )
        assert differences(manifest_model, glue_catalog(), embedded)


def _manifest(settings: Settings) -> Path:
    return settings.lake / "dbt" / "athena" / "manifest.json"

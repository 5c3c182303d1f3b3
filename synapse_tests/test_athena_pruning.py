"""What an hour reads on Athena: the months that it concerns, however long the history is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import duckdb
import pytest
from pyiceberg.table import Table

from athena_local.instance import Instance
from benchmarks.support.athena_lake import AthenaLake
from synapse.ingest.service import ingest
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings
from synapse_tests.athena_equality import Model, differences, glue_catalog
from synapse_tests.lakes import PROJECT_DIR

MODELS = (
    "base_dms__messages",
    "stg_dms__messages",
    "hist_dms__messages",
    "base_kconnect__app_events",
    "int_kconnect__event_months",
    "int_kconnect__identities",
    "stg_kconnect__app_events",
    "base_kconnect__conversation_messages",
    "stg_kconnect__conversation_messages",
)
MONTHS = 4


@pytest.fixture(scope="module")
def lake(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AthenaLake]:
    """Four months, built."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena.environment().items():
            patch.setenv(name, value)
        lake = AthenaLake("pruning", tmp_path_factory.mktemp("pruning"), 30 * MONTHS, MODELS)
        lake.prepare()
        yield lake


@pytest.fixture(scope="module")
def hours(lake: AthenaLake) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by node of an hour whose keys are recent, and of one that changes old ones too."""
    return lake.hour(), lake.hour(old_changes=2)


def size(name: str) -> int:
    """Bytes of a table's data files."""
    table: Table = glue_catalog().load_table(("pruning_silver", name))
    assert [str(field.transform) for field in table.spec().fields] == ["month"], name
    return int(sum(table.inspect.files()["file_size_in_bytes"].to_pylist()))


def test_an_hour_reads_of_each_table_no_more_than_the_months_of_its_keys(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    recent, _ = hours
    month = size("base_dms__messages") / MONTHS
    # To append asks for keys and commit times; to fold, for all columns; and for the target's keys.
    assert recent["base_dms__messages"] < 1.2 * month
    assert recent["stg_dms__messages"] < 1.5 * month
    assert recent["hist_dms__messages"] < 1.2 * (month + size("hist_dms__messages") / MONTHS)
    assert recent["base_kconnect__app_events"] < 0.5 * size("base_kconnect__app_events") / MONTHS


def test_a_change_of_an_old_key_costs_the_month_it_lies_in(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    recent, old = hours
    extra = old["stg_dms__messages"] - recent["stg_dms__messages"]
    # Two keys, which lie in two months.
    assert 0 < extra < 3 * size("base_dms__messages") / MONTHS


def test_what_is_left_unread_is_missed_by_no_table(
    lake: AthenaLake, hours: tuple[dict[str, int], dict[str, int]], tmp_path: Path
) -> None:
    """Bare deletes, old keys, events delivered again and visitors who turned out to be somebody."""
    assert hours
    shutil.copytree(lake.landing, tmp_path / "lake")
    settings, as_of = Settings.load(lake=tmp_path / "lake"), lake.now.replace(tzinfo=UTC)
    report = ingest(settings, PROJECT_DIR, as_of=as_of)
    write_run_context(settings, run_id=report.run_id, as_of=as_of, is_backfill=False)
    result = DbtProject(settings, PROJECT_DIR).invoke(["run", "--select", *MODELS])
    assert result.succeeded, result.failures
    catalog = glue_catalog()
    with duckdb.connect(str(settings.warehouse), read_only=True) as embedded:
        found = [
            sentence
            for name in MODELS
            for sentence in differences(Model("silver", name), catalog, embedded, "pruning_")
        ]
    assert not found

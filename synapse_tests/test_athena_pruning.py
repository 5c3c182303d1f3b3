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
from synapse_tests.athena_client import Client
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
    "stg_dms__payments",
    "hist_dms__payments",
)
FACTS = (
    "fct_messages",
    "fct_conversations",
    "fct_payments",
    "fct_events",
    "fct_sessions",
    "fct_user_days",
    "int_responses",
    "int_recent_messages",
    "rpt_error_rate_hourly",
)
BUILT = (
    *MODELS,
    "+fct_sessions",
    "+fct_user_days",
    "+int_responses",
    "+int_recent_messages",
    "+rpt_error_rate_hourly",
)
MONTHS = 3
MOST_PARTITIONS = 100  # of one statement, by Athena


@pytest.fixture(scope="module")
def lake(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AthenaLake]:
    """Three months, built."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena.environment().items():
            patch.setenv(name, value)
        lake = AthenaLake("pruning", tmp_path_factory.mktemp("pruning"), 30 * MONTHS, BUILT)
        lake.prepare()
        yield lake


@pytest.fixture(scope="module")
def hours(lake: AthenaLake) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by node of an hour whose keys are recent, and of one that changes old ones too.

    In the second one payments of months long before the history land besides.
    """
    return lake.hour(), lake.hour(old_changes=2, backfilled_months=MOST_PARTITIONS + 20)


def size(name: str, schema: str = "silver", laid_out_by: str = "month") -> int:
    """Bytes of a table's data files."""
    table: Table = glue_catalog().load_table((f"pruning_{schema}", name))
    assert [str(field.transform) for field in table.spec().fields] == [laid_out_by], name
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


def test_events_are_found_by_an_index_and_not_by_their_ids(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    recent, old = hours
    index = size("int_kconnect__event_months", laid_out_by="identity")
    base = size("base_kconnect__app_events")
    assert index < 0.1 * base
    # Its numbers are read once, for all who ask; of the events' history nothing is.
    assert recent["int_kconnect__event_months"] < 1.1 * index + 0.02 * base
    # Some columns of the last month, more than once; less than all of them of all months.
    assert recent["stg_kconnect__app_events"] < index + 2.5 * base / MONTHS
    assert recent["int_kconnect__identities"] < index + 2.5 * base / MONTHS
    # Old events delivered again and old visitors who sign in: their month, some columns thrice.
    assert old["stg_kconnect__app_events"] - recent["stg_kconnect__app_events"] < 4 * base / MONTHS


def test_an_hour_reads_of_facts_no_more_than_the_months_of_what_changed(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    recent, _ = hours
    messages, fact = size("stg_dms__messages") / MONTHS, size("fct_messages", "gold") / MONTHS
    # A statement before the merge, and the merge; a CTE that is named twice is read twice.
    assert recent["fct_messages"] < 2 * (messages + fact)
    assert recent["int_responses"] < 3 * fact
    # No more of the conversations that are recent than the months that they lie in.
    assert recent["int_recent_messages"] < 3 * messages
    for name in set(FACTS) - {"int_recent_messages"}:
        assert size(name, "gold") > 0  # It holds them to lie by month, too.


def test_a_change_of_an_old_key_costs_the_month_it_lies_in(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    recent, old = hours
    extra = old["stg_dms__messages"] - recent["stg_dms__messages"]
    # Two keys, which lie in two months.
    assert 0 < extra < 3 * size("base_dms__messages") / MONTHS


def test_a_merge_may_write_more_partitions_than_athena_opens_at_once(
    hours: tuple[dict[str, int], dict[str, int]],
) -> None:
    assert hours
    for schema, name in (("silver", "stg_dms__payments"), ("gold", "fct_payments")):
        table = glue_catalog().load_table((f"pruning_{schema}", name))
        assert len(table.inspect.partitions()) > MOST_PARTITIONS + 20


def test_what_is_left_unread_is_missed_by_no_table(
    lake: AthenaLake, hours: tuple[dict[str, int], dict[str, int]], tmp_path: Path
) -> None:
    """Bare deletes, old keys, a backfill, events delivered again, visitors who became somebody."""
    assert hours
    shutil.copytree(lake.landing, tmp_path / "lake")
    settings, as_of = Settings.load(lake=tmp_path / "lake"), lake.now.replace(tzinfo=UTC)
    report = ingest(settings, PROJECT_DIR, as_of=as_of)
    write_run_context(settings, run_id=report.run_id, as_of=as_of, is_backfill=False)
    for command in (["seed"], ["run", "--select", *BUILT]):
        result = DbtProject(settings, PROJECT_DIR).invoke(command)
        assert result.succeeded, result.failures
    catalog = glue_catalog()
    with duckdb.connect(str(settings.warehouse), read_only=True) as embedded:
        found = [
            sentence
            for schema, names in (("silver", MODELS), ("gold", FACTS))
            for name in names
            for sentence in differences(Model(schema, name), catalog, embedded, "pruning_")
        ]
    assert not found


def test_the_hours_tests_judge_what_landed_and_nothing_older(
    athena: Instance, lake: AthenaLake, hours: tuple[dict[str, int], dict[str, int]]
) -> None:
    """Last: it leaves a row that does not belong there."""
    assert hours
    of_the_hour = lake.tests(all_rows=False, models=MODELS)
    of_the_day = lake.tests(all_rows=True, models=MODELS)
    assert set(of_the_hour) < set(of_the_day)
    assert not [name for name in of_the_hour if "has_every_" in name]
    assert sum(of_the_hour.values()) < 0.1 * sum(of_the_day.values())
    client = Client(athena.environment(), "pruning_silver")
    client.run(
        "insert into base_kconnect__app_events select * from base_kconnect__app_events "
        "where _ingested_at = (select max(_ingested_at) from base_kconnect__app_events) limit 1",
        WorkGroup=lake.name,
    )
    with pytest.raises(AssertionError, match="unique_base_kconnect__app_events__delivery_id"):
        lake.tests(all_rows=False, models=MODELS)

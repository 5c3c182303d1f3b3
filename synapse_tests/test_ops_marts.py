"""The ops marts tell what the ledger knows of every run, and account for all that landed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import create_engine, insert, select, update

from synapse.errors import SynapseError
from synapse.generate.service import generate
from synapse.ingest import tables
from synapse.ingest.service import ingest
from synapse.observe.openmetrics import FILE
from synapse.observe.tables import NODE_RUNS
from synapse.publish.sets import PUBLISHED_SETS
from synapse.runner.clock import parse_as_of
from synapse.runner.dbt import DbtProject
from synapse.runner.gate_ledger import RUN_GATES
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.record import RECORDED, record_runs
from synapse.runner.service import run
from synapse.settings import Settings
from synapse.state_store import make_tables, open_store
from synapse_tests.lakes import PROJECT_DIR, copy_lake, copy_project, lake_settings

OPS = [
    "build", "--select", "path:models/ops",
    # These read silver and the day's reports, which are not built here.
    "--exclude", "ops_cdc_ambiguities", "ops_headline_figures+",
]  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A hostile lake: ingested once by itself, then run, run again, and run in vain."""
    root = tmp_path_factory.mktemp("ops")
    settings = dataclasses.replace(lake_settings(root / "lake"), log=frozenset({"file"}))
    made = generate(settings.lake, users=60, days=12, seed=5, append=False, hazards="hostile")
    as_of = parse_as_of(made.as_of)
    drift(settings.lake / "bronze" / "dms" / "synapse" / "conversations")
    later = settings.lake / "bronze" / "kconnect"
    shutil.move(later, root / "later")
    ingest(settings, PROJECT_DIR, as_of=as_of - timedelta(hours=1))
    shutil.move(root / "later", later)
    for _ in range(2):
        report = run(settings, PROJECT_DIR, schedule="hourly", as_of=as_of)
    assert report.status == "unchanged"
    broken = copy_project(root / "broken")
    (broken / "models" / "silver" / "stg_dms__plans.sql").write_text("select no_such_column\n")
    failed = run(
        settings, broken, schedule="hourly", as_of=as_of + timedelta(hours=1), full_refresh=True
    )
    assert failed.status == "failed"
    declared = broken / "models" / "bronze" / "_dms__sources.yml"
    declared.write_text(declared.read_text().replace("key: [plan_id]", "key: [no_such_column]"))
    with pytest.raises(SynapseError):
        run(settings, broken, schedule="hourly", as_of=as_of + timedelta(hours=2))
    return settings


def drift(table: Path) -> None:
    """Land a change file once more, with a column that nobody declared."""
    file = min(path for path in table.rglob("*.parquet") if not path.name.startswith("LOAD"))
    again = file.with_name(file.name.replace(".parquet", "9.parquet"))
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select *, 'Ana' as nickname from '{file}') to '{again}' (format parquet)"
        )


def mart(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def ledger(settings: Settings, query: Any) -> list[tuple[Any, ...]]:
    engine = create_engine(settings.state)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return rows


def test_runs_equal_the_ledger_and_every_end_is_visible(lake: Settings) -> None:
    runs = SCHEDULE_RUNS.c
    expected = ledger(lake, select(runs.run_id, runs.status, runs.as_of, runs.finished_at))
    found = mart(
        lake,
        "select run_id, status, as_of, finished_at from ops.ops_runs where schedule <> 'ingest'",
    )
    assert sorted(found) == sorted(expected)
    assert sorted(status for _, status, _, _ in found) == [
        "failed", "failed", "succeeded", "unchanged",
    ]  # fmt: skip
    assert all(finished is not None for *_, finished in found)
    by_itself = mart(lake, "select status from ops.ops_runs where schedule = 'ingest'")
    assert by_itself == [("succeeded",)]


def test_counts_equal_the_ledger_for_each_run_and_source_and_in_sum(lake: Settings) -> None:
    table = tables.RUN_SOURCES.c
    counts = (table.landed, table.accepted, table.duplicate, table.quarantined, table.pending)
    expected = ledger(lake, select(table.run_id, table.source, *counts))
    names = "landed_count, accepted_count, duplicate_count, quarantined_count, pending_count"
    found = mart(lake, f"select run_id, source, {names} from ops.ops_run_sources")
    assert sorted(found) == sorted(expected)
    assert len({row[0] for row in found}) > 1, "one run brought everything in"
    assert min(sum(row[column] for row in found) for column in range(2, 6)) > 0
    sums = ", ".join(f"sum({name})" for name in names.split(", "))
    assert mart(lake, f"select {sums} from ops.ops_runs") == mart(
        lake, f"select {sums} from ops.ops_run_sources"
    )


def test_what_landed_is_accounted_for_in_every_run_and_for_ever(lake: Settings) -> None:
    assert mart(lake, "select count(*) from ops.ops_runs where not is_accounted") == [(0,)]
    per_source = mart(
        lake,
        "select source, sum(landed_count) - sum(accepted_count) - sum(duplicate_count) - "
        "sum(quarantined_count), sum(unaccounted_count) from ops.ops_run_sources group by source",
    )
    assert len(per_source) > 5
    assert {difference for row in per_source for difference in row[1:]} == {0}


def test_a_lost_row_turns_the_identity_red(lake: Settings, tmp_path: Path) -> None:
    settings = copy_lake(lake.lake, tmp_path / "lake")
    table = tables.RUN_SOURCES
    engine = create_engine(settings.state)
    with engine.begin() as connection:
        key = connection.execute(select(table.c.run_id, table.c.source)).first()
        assert key is not None
        one = (table.c.run_id == key.run_id) & (table.c.source == key.source)
        connection.execute(update(table).where(one).values(landed=table.c.landed + 3))
    engine.dispose()
    record_runs(settings)
    red = mart(settings, "select run_id, source, unaccounted_count from ops.ops_run_sources "
                         "where not is_accounted")  # fmt: skip
    assert red == [(key.run_id, key.source, 3)]
    assert mart(settings, "select unaccounted_count from ops.ops_runs where not is_accounted") == [
        (3,)
    ]
    result = DbtProject(settings, PROJECT_DIR).invoke(OPS)
    assert any("ops_landed_rows_are_accounted_for" in failure for failure in result.failures)


def test_drift_and_quarantine_equal_the_ledger(lake: Settings) -> None:
    seen = tables.DRIFT.c
    expected = ledger(lake, select(seen.source, seen.column_name, seen.change, seen.last_seen))
    found = mart(lake, "select source, column_name, change, last_seen_at from ops.ops_schema_drift")
    assert sorted(found) == sorted(expected)
    assert ("nickname", "undeclared") in {row[1:3] for row in found}
    refused = tables.QUARANTINE.c
    names = (refused.id, refused.source, refused.unit, refused.path, refused.rule, refused.state)
    expected = ledger(lake, select(*names, refused.attempts, refused.first_seen))
    found = mart(
        lake,
        "select quarantine_id, source, unit, path, rule, state, attempt_count, first_seen_at "
        "from ops.ops_quarantine",
    )
    assert sorted(found) == sorted(expected)
    assert {row[2] for row in found} >= {"row", "record"}


def test_no_refused_content_reaches_the_warehouse(lake: Settings) -> None:
    columns = {
        name
        for (name,) in mart(
            lake,
            "select column_name from information_schema.columns where table_schema = 'ops' "
            "and (table_name like 'recorded%' or table_name like 'ops_q%')",
        )
    }
    assert columns
    assert not columns & {"sentence", "payload", "detail", "message"}


def test_every_node_of_every_run_is_in_a_mart_as_the_ledger_has_it(lake: Settings) -> None:
    nodes = NODE_RUNS.c
    expected = ledger(lake, select(nodes.run_id, nodes.unique_id, nodes.status))
    found = mart(
        lake,
        "select run_id, node_id, status from ops.ops_model_runs union all "
        "select run_id, test_id, status from ops.ops_data_quality",
    )
    assert sorted(found) == sorted(expected)
    assert len({run_id for run_id, _, _ in found}) == 2, "unchanged runs build nothing"
    failed = mart(lake, "select model_name, step from ops.ops_model_runs where status = 'error'")
    assert failed == [("stg_dms__plans", "hourly")]
    skipped = dict(mart(lake, "select model_name, status from ops.ops_model_runs "
                              "where status = 'skipped'"))  # fmt: skip
    assert "dim_plans" in skipped


def test_each_test_says_what_it_judges_and_orphans_are_counted(lake: Settings) -> None:
    newest = "(select run_id from ops.ops_runs where status = 'succeeded' and schedule = 'hourly')"
    orphans = mart(
        lake,
        "select model_name, column_name, severity, status, failing_row_count "
        f"from ops.ops_data_quality where is_orphan_count and run_id = {newest} order by 1",
    )
    expected = [
        (model, "user_id", "warn", "warn" if count else "pass", count)
        for model in ("fct_events", "fct_messages")
        for (count,) in mart(
            lake,
            f"select count(*) from gold.{model} left join gold.dim_users using (user_id) "
            f"where {model}.user_id is not null and dim_users.user_id is null",
        )
    ]
    assert orphans == expected
    assert sum(row[-1] for row in orphans) > 0
    statuses = f"select distinct status from ops.ops_data_quality where run_id = {newest}"
    assert sorted(mart(lake, statuses)) == [("pass",), ("warn",)]


def test_logs_and_metrics_tell_of_every_run_and_quote_nobody(lake: Settings) -> None:
    (path,) = (lake.lake / "logs").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    runs = ledger(lake, select(SCHEDULE_RUNS.c.run_id, SCHEDULE_RUNS.c.status))
    ended = [(line["run_id"], line["status"]) for line in lines if line["event"] == "run_ended"]
    assert sorted(ended) == sorted(runs)
    assert {line["run_id"] for line in lines if line["event"] == "run_started"} == {
        run_id for run_id, _ in runs
    }
    kinds = {line["event"] for line in lines}
    assert kinds >= {"source_ingested", "refused", "dbt_started", "node_ended", "step_ended"}
    assert "run_broke_off" in kinds
    refused = sum(line["refused"] for line in lines if line["event"] == "refused")
    assert [(refused,)] == mart(lake, "select sum(quarantined_count) from ops.ops_runs")
    assert not {key for line in lines for key in line} & {
        "message",
        "sentence",
        "payload",
        "detail",
    }
    assert "no_such_column" not in path.read_text()
    assert (
        'synapse_runs_total{schedule="hourly",status="failed"} 2.0'
        in (lake.lake / FILE).read_text()
    )


def test_a_run_at_work_is_running_and_one_that_never_ended_was_killed(
    lake: Settings, tmp_path: Path
) -> None:
    settings = copy_lake(lake.lake, tmp_path / "lake")
    engine = create_engine(settings.state)
    runs = SCHEDULE_RUNS
    query = select(runs.c.run_id).order_by(runs.c.started_at)
    with engine.begin() as connection:
        in_order: list[str] = list(connection.execute(query).scalars())
        unended = runs.c.run_id.in_((in_order[0], in_order[-1]))
        connection.execute(update(runs).where(unended).values(status="running", finished_at=None))
    engine.dispose()
    record_runs(settings)
    found = dict(
        mart(settings, "select run_id, status from ops.ops_runs where finished_at is null")
    )
    assert found == {in_order[0]: "killed", in_order[-1]: "running"}


def test_the_marts_build_where_no_run_was_recorded(tmp_path: Path) -> None:
    settings = lake_settings(tmp_path / "lake")
    made = generate(settings.lake, users=10, days=3, seed=5, append=False, hazards="none")
    ingest(settings, PROJECT_DIR, as_of=parse_as_of(made.as_of))
    result = DbtProject(settings, PROJECT_DIR).invoke(OPS)
    assert result.succeeded, result.failures
    assert mart(settings, "select count(*) from ops.ops_runs") == [(0,)]
    # dbt made the tables here; the runner fills the same ones.
    for recorded in RECORDED:
        found = mart(settings, f"describe ops.{recorded.name}")
        made_by_dbt = ", ".join(f"{name} {kind.lower()}" for name, kind, *_ in found)
        assert made_by_dbt == recorded.ddl
    record_runs(settings)
    assert mart(settings, "select schedule from ops.ops_runs") == [("ingest",)]
    (ingested,) = mart(settings, "select run_id from ops.ops_runs")
    gates_and_sets(settings, str(ingested[0]))
    record_runs(settings)
    asked = "select schedule, model_name, source_name, needed_model_name from ops.ops_gates"
    assert mart(settings, asked) == [("ingest", "fct_events", "kconnect.app-events", None)]
    asked = "select set_number, is_current, schedule from ops.ops_published_sets order by 1"
    assert mart(settings, asked) == [(1, False, "ingest"), (2, True, None)]
    asked = "select replaced_at - published_at from ops.ops_published_sets where not is_current"
    assert mart(settings, asked) == [(timedelta(hours=1),)]


def gates_and_sets(settings: Settings, run_id: str) -> None:
    """A run that left out a model, and two published sets, the second of a run nobody knows."""
    engine = open_store(settings.state)
    for table in (RUN_GATES, PUBLISHED_SETS):
        make_tables(engine, table.metadata)
    moment = datetime(2026, 3, 2, 3)
    with engine.begin() as connection:
        connection.execute(
            insert(RUN_GATES).values(
                run_id=run_id, model="fct_events", source="kconnect.app-events",
                age_seconds=9.5, limit_seconds=9, reason="keeps its last content: …",
            )
        )  # fmt: skip
        for number, run in ((1, run_id), (2, "unknown")):
            connection.execute(
                insert(PUBLISHED_SETS).values(
                    number=number, set_id=f"set-{number}", run_id=run, as_of=moment,
                    fencing_tokens="{}", published_at=moment + timedelta(hours=number),
                )
            )  # fmt: skip
    engine.dispose()

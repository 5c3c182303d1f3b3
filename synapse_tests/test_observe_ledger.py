"""What a run leaves in the ledger: each attempt of each node, behind the fence, copied once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Engine

from synapse.athena.warehouse import forget_recorded
from synapse.errors import LeaseLostError
from synapse.ingest import tables
from synapse.observe.ledger import KEEP_NODES, ObservedRun
from synapse.observe.log import Log
from synapse.observe.nodes import NodeOutcome, SourceAge
from synapse.observe.tables import NODE_RUNS, RUN_ENDS, SOURCE_AGES
from synapse.runner.clock import utc_now
from synapse.runner.history import SCHEDULE_RUNS, RunHistory
from synapse.runner.lease import Lease, lease
from synapse.runner.record import KEEP_RECORDED, record_runs
from synapse.schedules.model import Step
from synapse.settings import Settings
from synapse_tests.lakes import ask, lake_settings
from synapse_tests.observed import MODEL, add_runs, empty_store

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
STEP = Step("daily", "user_metrics")
TEST = "test.synapse.unique"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "lake").mkdir()
    return lake_settings(tmp_path / "lake")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = empty_store(settings.state)
    yield engine
    engine.dispose()


@pytest.fixture
def held(settings: Settings, engine: Engine) -> Iterator[Lease]:
    del engine
    with lease(settings.state, "r1", "lake") as held:
        yield held


def observed(settings: Settings, engine: Engine, held: Lease, run_id: str = "r1") -> ObservedRun:
    return ObservedRun(engine, held, run_id, AS_OF, Log(settings))


def model(status: str, took: int = 1_500, began: datetime | None = None) -> NodeOutcome:
    return NodeOutcome(MODEL, "model", "fct_events", status, began or utc_now(), took)


def a_test(status: str, failures: int) -> NodeOutcome:
    return NodeOutcome(
        TEST, "test", "unique", status, utc_now(), 10,
        failures=failures, severity="error", model="fct_events", column="event_id",
    )  # fmt: skip


def attempts(engine: Engine) -> list[tuple[int, str, str]]:
    query = select(NODE_RUNS.c.attempt, NODE_RUNS.c.name, NODE_RUNS.c.status)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(*NODE_RUNS.primary_key)).all()
    return [(row.attempt, row.name, row.status) for row in rows]


def test_each_attempt_is_kept_and_a_retry_goes_on_counting(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    run = observed(settings, engine, held)
    run.record_step(0, STEP, [(1, model("error")), (1, a_test("skipped", 0)), (2, model("error"))])
    run.record_step(0, STEP, [(1, model("success")), (1, a_test("pass", 0))])
    assert attempts(engine) == [
        (1, "fct_events", "error"), (1, "unique", "skipped"), (2, "fct_events", "error"),
        (3, "fct_events", "success"), (3, "unique", "pass"),
    ]  # fmt: skip


def test_a_run_that_lost_its_lease_writes_nothing(settings: Settings, engine: Engine) -> None:
    with lease(settings.state, "r1", "lake") as lost:
        pass
    run = observed(settings, engine, lost)
    with lease(settings.state, "r2", "lake"):
        with pytest.raises(LeaseLostError):
            run.record_step(0, STEP, [(1, model("success"))])
        with pytest.raises(LeaseLostError):
            run.record_end()
    assert attempts(engine) == []


def test_the_end_counts_the_last_attempts_only(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    history = RunHistory(settings.state)
    history.start("r1", "daily", AS_OF, lease=held)
    run = observed(settings, engine, held)
    run.record_step(0, STEP, [(1, model("error")), (1, a_test("fail", 3))])
    run.record_step(0, STEP, [(1, model("success")), (1, a_test("warn", 3))])
    history.finish("r1", "succeeded", lease=held)
    history.close()
    run.record_end()
    run.record_end()
    with engine.connect() as connection:
        (end,) = connection.execute(select(RUN_ENDS)).all()
    assert (end.nodes, end.tests, end.tests_warned, end.tests_failed) == (2, 1, 1, 0)
    assert (end.schedule, end.status, end.as_of) == ("daily", "succeeded", datetime(2026, 6, 1))


def test_recorded_days_leave_the_lake_when_the_marts_no_longer_tell_of_them(
    settings: Settings,
) -> None:
    """As on Athena, where a day of a recorded table is a file."""
    today = date(2026, 6, 1)
    kept, gone = (f"{today - KEEP_RECORDED - timedelta(days=n):%Y-%m-%d}" for n in (0, 1))
    for day in (kept, gone, "rows"):
        path = settings.lake / "recorded" / "recorded_node_runs" / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lake = settings.open_lake()
    assert forget_recorded(lake, today) == [f"recorded/recorded_node_runs/{gone}.parquet"]
    left = [file.name for file in lake.listing("recorded")]
    assert sorted(left) == sorted([f"{kept}.parquet", "rows.parquet"])
    assert forget_recorded(lake, today) == []


def test_a_run_that_is_retried_took_what_it_worked_not_what_it_waited(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    history = RunHistory(settings.state)
    history.start("r1", "daily", AS_OF, lease=held)
    observed(settings, engine, held).going_on().record_end()
    history.finish("r1", "failed", lease=held)
    began = utc_now() - timedelta(hours=10)
    times = {"started_at": began, "finished_at": began + timedelta(minutes=10)}
    with engine.begin() as connection:
        connection.execute(update(SCHEDULE_RUNS).values(times))
    observed(settings, engine, held).record_end()
    run = observed(settings, engine, held).going_on()
    history.reopen("r1", lease=held)
    history.finish("r1", "succeeded", lease=held)
    history.close()
    for _ in range(2):
        run.record_end()
    with engine.connect() as connection:
        (end,) = connection.execute(select(RUN_ENDS)).all()
    assert end.status == "succeeded"
    assert timedelta(minutes=10) <= timedelta(milliseconds=end.milliseconds) < timedelta(minutes=20)


def test_ages_of_sources_are_kept_apart_from_nodes(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    age = SourceAge("source.a", "dms.users", "warn", utc_now(), utc_now(), 9, 5, None)
    observed(settings, engine, held).record_step(0, STEP, [(1, age)])
    with engine.connect() as connection:
        (row,) = connection.execute(select(SOURCE_AGES)).all()
    assert (row.source, row.status, row.age_seconds, row.warn_after_seconds) == (
        "dms.users", "warn", 9, 5,
    )  # fmt: skip
    assert attempts(engine) == []


def test_old_nodes_leave_the_store_and_stay_in_the_marts_longer(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    run = observed(settings, engine, held)
    old = utc_now() - KEEP_NODES - timedelta(days=1)
    run.record_step(0, STEP, [(1, model("success", began=old))])
    record_runs(settings)
    run = observed(settings, engine, held, "r2")
    run.record_step(0, STEP, [(1, model("success"))])
    run.record_end()
    with engine.connect() as connection:
        assert connection.execute(select(NODE_RUNS.c.run_id)).scalars().all() == ["r2"]
    record_runs(settings)
    copied = "select run_id from ops.recorded_node_runs order by run_id"
    assert ask(settings.warehouse, copied) == [("r1",), ("r2",)]
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            "update ops.recorded_node_runs set started_at = ? where run_id = 'r1'",
            [utc_now() - KEEP_RECORDED - timedelta(days=1)],
        )
    record_runs(settings)
    assert ask(settings.warehouse, copied) == [("r2",)]


def test_the_copy_equals_the_store_also_of_a_run_that_went_on(
    settings: Settings, engine: Engine, held: Lease
) -> None:
    run = observed(settings, engine, held)
    rows = "select run_id, attempt, status from ops.recorded_node_runs order by all"
    run.record_step(0, STEP, [(1, model("error"))])
    record_runs(settings)
    record_runs(settings)
    assert ask(settings.warehouse, rows) == [("r1", 1, "error")]
    run.record_step(0, STEP, [(1, model("success"))])
    record_runs(settings)
    assert ask(settings.warehouse, rows) == [("r1", 1, "error"), ("r1", 2, "success")]
    # A lost store is made again without them: what was copied is all that is left of them.
    with engine.begin() as connection:
        connection.execute(delete(NODE_RUNS))
    record_runs(settings)
    assert len(ask(settings.warehouse, rows)) == 2


def test_an_old_run_that_changed_is_copied_too(settings: Settings, engine: Engine) -> None:
    old = datetime(2026, 1, 1)
    ids = add_runs(engine, [{"as_of": old}, {"as_of": old + timedelta(days=100)}])
    record_runs(settings)
    states = "select run_id, status from ops.recorded_schedule_runs order by started_at"
    assert ask(settings.warehouse, states) == [(ids[0], "succeeded"), (ids[1], "succeeded")]
    with engine.begin() as connection:
        runs = SCHEDULE_RUNS.c
        changed = update(SCHEDULE_RUNS).values(status="rolled_back")
        connection.execute(changed.where(runs.run_id == ids[0]))
        lost = update(tables.RUN_SOURCES).values(landed=0)
        connection.execute(lost.where(tables.RUN_SOURCES.c.run_id == ids[0]))
    record_runs(settings)
    assert ask(settings.warehouse, states) == [(ids[0], "rolled_back"), (ids[1], "succeeded")]
    landed = "select sum(landed) from ops.recorded_run_sources"
    assert ask(settings.warehouse, landed) == [(1_000,)]


def test_a_new_store_replaces_the_copies_of_the_old_one(settings: Settings, engine: Engine) -> None:
    add_runs(engine, [{"as_of": datetime(2026, 1, 1)}])
    record_runs(settings)
    with engine.begin() as connection:
        for table in (SCHEDULE_RUNS, tables.RUNS, tables.RUN_SOURCES):
            connection.execute(delete(table))
    (again,) = add_runs(engine, [{"as_of": datetime(2026, 5, 1)}])
    record_runs(settings)
    assert ask(settings.warehouse, "select run_id from ops.recorded_run_sources") == [(again,)]
    assert ask(settings.warehouse, "select run_id from ops.recorded_ingest_runs") == [(again,)]

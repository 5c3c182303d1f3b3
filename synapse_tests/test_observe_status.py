"""One look at the state store: what runs, what is late, what it cost; on either engine."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import create_engine, insert, inspect, text
from sqlalchemy.engine import Engine

from synapse.observe.reader import open_reader
from synapse.observe.status import Status, read_status
from synapse.observe.status_view import render
from synapse.observe.tables import ANOMALIES, SOURCE_AGES
from synapse.runner.history import SCHEDULE_RUNS, RunHistory
from synapse.schedules.load import load_schedules
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE
from synapse_tests.observed import add_runs, aware, empty_store
from synapse_tests.postgres_server import postgres

SCHEDULES = load_schedules(PROJECT_DIR).by_name
NOW = datetime(2026, 6, 15, 15, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.db'}"
    else:
        url = request.getfixturevalue("server")
    engine = empty_store(url)
    yield url, engine
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.execute(text(f"delete from {name}"))
    engine.dispose()


def look(url: str, now: datetime = NOW) -> Status:
    with open_reader(url) as reader:
        return read_status(reader, "lake", SCHEDULES, TIMEZONE, now)


def shown(status: Status) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(status, TIMEZONE))
    return console.export_text()


def hourly(hours_ago: float, **more: Any) -> dict[str, Any]:
    began = (NOW - hours_ago * HOUR).replace(tzinfo=None)
    return {"schedule": "hourly", "as_of": began, **more}


def test_what_ran_is_told_with_its_sums_and_costs(store: tuple[str, Engine]) -> None:
    url, engine = store
    add_runs(engine, [hourly(1.5), hourly(0.5, landed=7), hourly(30), hourly(24 * 40)])
    status = look(url)
    assert status.runs_by_status == {"succeeded": 2}
    assert (status.landed, status.accepted, status.quarantined) == (1_007, 1_007, 0)
    assert status.cost_usd_day == Decimal("0.002")
    assert status.cost_usd_month == Decimal("0.003")
    assert [run.landed for run in status.recent] == [7, 1_000, 1_000, 1_000]
    line = next(line for line in status.schedules if line.name == "hourly")
    assert line.succeeded_at == (NOW - HOUR / 2).replace(tzinfo=None)
    assert line.next_at == datetime(2026, 6, 15, 16, 5)
    assert "hourly" in shown(status)


def late(url: str, now: datetime = NOW) -> dict[str, datetime | None]:
    return {line.name: line.late_since for line in look(url, now).late}


def test_a_schedule_is_late_once_its_sla_has_passed_and_nothing_made_it_good(
    store: tuple[str, Engine],
) -> None:
    url, engine = store
    # Due at 15:05 with an sla of 30 minutes; it ran at 14:05 and failed at 15:05.
    add_runs(engine, [
        {"as_of": datetime(2026, 6, 15, 14, 5)},
        {"as_of": datetime(2026, 6, 15, 15, 5), "status": "failed"},
    ])  # fmt: skip
    assert "hourly" not in late(url, NOW.replace(minute=34))
    assert late(url, NOW.replace(minute=36))["hourly"] == datetime(2026, 6, 15, 15, 5)
    assert "hourly was due at 06-15 12:05" in shown(look(url))
    add_runs(engine, [{"as_of": datetime(2026, 6, 15, 15, 38), "status": "unchanged"}])
    assert "hourly" not in late(url)


def test_where_nobody_schedules_nothing_is_late(store: tuple[str, Engine]) -> None:
    assert look(store[0]).late == []
    assert "nothing has run yet" in shown(look(store[0]))


def test_a_run_that_builds_its_needs_makes_them_good(store: tuple[str, Engine]) -> None:
    url, engine = store
    day = datetime(2026, 6, 14, 4, 0)
    (weekly,) = add_runs(
        engine, [{"schedule": "weekly", "as_of": day + timedelta(days=1, hours=2)}]
    )
    add_runs(engine, [{"schedule": "daily", "as_of": day}])
    assert "daily" in late(url)
    with engine.begin() as connection:
        connection.execute(
            text('update run_plans set covers = \'["daily","weekly"]\' where run_id = :run_id'),
            {"run_id": weekly},
        )
    assert "daily" not in late(url)


def test_a_run_at_work_shows_its_step(store: tuple[str, Engine]) -> None:
    url, engine = store
    (run_id,) = add_runs(engine, [hourly(0.1, status="running")])
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into run_steps (run_id, position, schedule, selector, status, attempts, "
                "began_at) values (:run_id, 0, 'hourly', 'hourly', 'running', 0, '2026-06-15')"
            ),
            {"run_id": run_id},
        )
    (running,) = look(url).running
    assert (running.step, running.steps_done, running.steps_total) == ("hourly", 0, 1)
    assert "running: hourly for 6 m 00 s, at hourly (0 of 1 steps done)" in shown(look(url))


def test_stale_sources_and_anomalies_are_on_the_screen(store: tuple[str, Engine]) -> None:
    url, engine = store
    now = NOW.replace(tzinfo=None)
    age = {"run_id": "r", "as_of": now, "checked_at": now, "age_seconds": 200_000,
           "warn_after_seconds": 129_600}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(SCHEDULE_RUNS), [
            {"run_id": "r", "schedule": "freshness", "status": "failed", "as_of": now,
             "started_at": now, "finished_at": now, "detail": "users: stale"},
        ])  # fmt: skip
        connection.execute(insert(SOURCE_AGES), [
            {**age, "unique_id": "a", "source": "dms_synapse.users", "status": "warn"},
            {**age, "unique_id": "b", "source": "dms_synapse.plans", "status": "pass"},
        ])  # fmt: skip
        connection.execute(insert(ANOMALIES).values(
            run_id="r", kind="source_volume", subject="dms.synapse.users", schedule="hourly",
            observed=0, median=900, deviation=3, points=8, as_of=now, found_at=now,
        ))  # fmt: skip
    said = shown(look(url))
    assert "stale: dms_synapse.users, 2 d 7 h old, at most 1 d 12 h" in said
    assert "dms.synapse.users landed 0 rows, usually 900 (8 weeks)" in said
    assert "failed: freshness: users: stale" in said
    assert [line.source for line in look(url).freshness] == [
        "dms_synapse.users",
        "dms_synapse.plans",
    ]


def test_an_older_ledger_gets_the_indexes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    engine = create_engine(url)
    SCHEDULE_RUNS.create(engine)
    with engine.begin() as connection:
        for index in SCHEDULE_RUNS.indexes:
            connection.execute(text(f"drop index {index.name}"))
    RunHistory(url).close()
    RunHistory(url).close()
    present = {index["name"] for index in inspect(engine).get_indexes("schedule_runs")}
    engine.dispose()
    assert present == {index.name for index in SCHEDULE_RUNS.indexes}


def test_no_question_reads_all_runs(tmp_path: Path) -> None:
    """What must be quick on a long ledger has an index: SQLite would say SCAN otherwise."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    engine = empty_store(url)
    add_runs(engine, [hourly(n) for n in range(1, 4)])
    engine.dispose()
    plans: list[str] = []
    with open_reader(url) as reader:
        asked = reader.rows

        def watched(query: str, **values: object) -> list[dict[str, Any]]:
            plans.extend(row["detail"] for row in asked(f"explain query plan {query}", **values))
            return asked(query, **values)

        reader.rows = watched  # type: ignore[method-assign]
        read_status(reader, "lake", SCHEDULES, TIMEZONE, NOW)
    scans = [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert len(plans) > 20
    assert [plan for plan in scans if plan != "SCAN sqlite_master"] == []


def synapse(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "synapse", *arguments]


def test_the_command_prints_json_and_imports_nothing_heavy(tmp_path: Path) -> None:
    engine = empty_store(f"sqlite:///{tmp_path / 'state.db'}")
    add_runs(engine, [{"as_of": datetime.now(UTC).replace(tzinfo=None) - HOUR}])
    engine.dispose()
    command = synapse("status", "--lake", str(tmp_path), "--json")
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert [run["schedule"] for run in said["recent"]] == ["hourly"]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "sqlite3" in imported
    assert not imported & {
        "sqlalchemy",
        "duckdb",
        "pyarrow",
        "dbt",
        "structlog",
        "prometheus_client",
    }


def test_watching_ends_clean_on_ctrl_c(tmp_path: Path) -> None:
    engine = empty_store(f"sqlite:///{tmp_path / 'state.db'}")
    add_runs(engine, [{"as_of": aware(datetime(2026, 6, 1)).replace(tzinfo=None)}])
    engine.dispose()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        synapse("status", "--lake", str(tmp_path), "--watch"),
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    until = time.monotonic() + 60
    while b"hourly" not in said and time.monotonic() < until:
        said += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:
        pass  # Linux says so when the other end is closed
    finally:
        os.close(ours)
    assert process.wait(30) == 0
    # The other screen was left, the cursor is back, and nothing was said after.
    assert b"\x1b[?1049h" in said
    assert said.rindex(b"\x1b[?1049l") > said.rindex(b"hourly")
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l")
    assert b"Traceback" not in said

"""The scheduler as processes: each time once, whoever dies, stops, starts late or starts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, select

from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.run_ledger import RunLedger
from synapse.schedules.claims import OCCURRENCES, Claim, OccurrenceDoneError, Occurrences
from synapse.schedules.load import load_schedules
from synapse.schedules.scheduler import Command, Scheduler
from synapse_tests.lakes import PROJECT_DIR, lake_settings

PROCESS = Path(__file__).with_name("scheduler_process.py")
ONE = """
  {name}:
    description: A test.
    owner: tests
    cron: "{cron}"
    needs: [{needs}]
    selectors: [{selector}]
    table_groups: [lake]
    timeout: 1m
    sla: {sla}
    budget: {{cents: 1}}
    catch_up: {catch_up}
"""


def declare(folder: Path, *schedules: dict[str, str], seconds: float = 0.0) -> None:
    """Write schedules.yml (each with its own selector), and how long a run takes."""
    selectors = ("hourly", "realtime", "data_validation")
    text = "version: 1\ntable_groups: {lake: All.}\nschedules:"
    for schedule, selector in zip(schedules, selectors, strict=False):
        values = {"selector": selector, "needs": "", "catch_up": "all", "sla": "2h", **schedule}
        text += ONE.format(**values)
    (folder / "schedules.yml").write_text(text)
    (folder / "selectors.yml").write_bytes((PROJECT_DIR / "selectors.yml").read_bytes())
    (folder / "seconds").write_text(str(seconds))


@pytest.fixture
def schedulers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a test starts is gone when it ends."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()


def start(state: str, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "log").open("ab")
    with log:
        return subprocess.Popen([sys.executable, str(PROCESS), state, str(folder)], stderr=log)


def notes(folder: Path) -> list[tuple[str, ...]]:
    path = folder / "notes"
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def until(condition: object, seconds: float = 60.0, folder: Path | None = None) -> None:
    end = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        said = (folder / "log").read_text()[-3000:] if folder else ""
        assert time.monotonic() < end, f"never came true\n{said}"
        time.sleep(0.05)


def known(state: str, schedule: str, occurs_at: datetime) -> None:
    """As if a scheduler had last run at that time."""
    engine = create_engine(state)
    Occurrences(engine).note(schedule, occurs_at, "missed", "where the test begins")
    engine.dispose()


def hours_ago(hours: int) -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


def test_eight_schedulers_at_once_run_each_time_once(
    store: str, tmp_path: Path, schedulers: list[subprocess.Popen[bytes]]
) -> None:
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *"}, {"name": "tock", "cron": "0 * * * *"})
    for name in ("tick", "tock"):
        known(store, name, hours_ago(3))
    schedulers += [start(store, tmp_path) for _ in range(8)]
    expected = {(name, hours_ago(n).isoformat()) for name in ("tick", "tock") for n in (0, 1, 2)}
    until(lambda: sum(note[0] == "ended" for note in notes(tmp_path)) >= 6, 100, tmp_path)
    time.sleep(2)  # long enough for a second run to begin
    begun = Counter((name, at) for what, name, at, _ in notes(tmp_path) if what == "begun")
    assert set(begun) == expected
    assert set(begun.values()) == {1}
    for process in schedulers:
        process.terminate()
    assert [process.wait(30) for process in schedulers] == [0] * 8


def test_sigterm_in_mid_run_stops_it_and_a_restart_runs_it_again(
    store: str, tmp_path: Path, schedulers: list[subprocess.Popen[bytes]]
) -> None:
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *"}, seconds=60)
    known(store, "tick", hours_ago(1))
    first = start(store, tmp_path)
    schedulers.append(first)
    until(lambda: notes(tmp_path), 60, tmp_path)
    first.terminate()
    assert first.wait(30) == 0
    assert [note[0] for note in notes(tmp_path)] == ["begun", "stopped"]
    pid = int(notes(tmp_path)[0][3])
    assert not psutil.pid_exists(pid)
    (tmp_path / "seconds").write_text("0")
    schedulers.append(start(store, tmp_path))
    until(lambda: len(notes(tmp_path)) == 4, 60, tmp_path)
    assert [note[:3] for note in notes(tmp_path)[2:]] == [
        (what, "tick", hours_ago(0).isoformat()) for what in ("begun", "ended")
    ]


DEAF = """
import signal, sys, threading
from dataclasses import replace
from pathlib import Path
from synapse.schedules import scheduler as module
from synapse.schedules.load import load_schedules
from synapse_tests.lakes import lake_settings
def elsewhere():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
module.LOOK_SECONDS = 0.5
state, folder = sys.argv[1], Path(sys.argv[2])
settings = replace(lake_settings(folder), state=state)
say = lambda event, **_: print(event, flush=True)
module.Scheduler(settings, load_schedules(folder), module.Command(()), say, elsewhere).run()
"""


def test_a_sigterm_that_another_thread_was_given_stops_it_too(tmp_path: Path) -> None:
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *"})
    words = [sys.executable, "-c", DEAF, f"sqlite:///{tmp_path / 'state.db'}", str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "scheduler stopped"


def test_a_killed_scheduler_and_its_killed_run_are_taken_up_by_another(
    store: str, tmp_path: Path, schedulers: list[subprocess.Popen[bytes]]
) -> None:
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *"}, seconds=60)
    known(store, "tick", hours_ago(1))
    first = start(store, tmp_path)
    schedulers.append(first)
    until(lambda: notes(tmp_path), 60, tmp_path)
    first.kill()
    first.wait()
    second = start(store, tmp_path)
    schedulers.append(second)
    time.sleep(2)
    # The run itself lives on, so it is left alone.
    assert [note[0] for note in notes(tmp_path)] == ["begun"]
    (tmp_path / "seconds").write_text("0")
    os.kill(int(notes(tmp_path)[0][3]), signal.SIGKILL)
    until(lambda: len(notes(tmp_path)) == 3, 60, tmp_path)
    assert [note[0] for note in notes(tmp_path)] == ["begun", "begun", "ended"]
    history = RunHistory(store)
    assert Counter(run.status for run in history.latest()) == {"killed": 1, "succeeded": 1}
    history.close()


def test_what_is_needed_is_waited_for_and_refused_by_nobody_meanwhile(
    tmp_path: Path, schedulers: list[subprocess.Popen[bytes]]
) -> None:
    """Both are due at the same time; the needed one is declared last."""
    state = f"sqlite:///{tmp_path / 'state.db'}"
    declare(
        tmp_path,
        {"name": "weekly", "cron": "0 * * * *", "needs": "daily", "catch_up": "latest"},
        {"name": "daily", "cron": "0 * * * *", "catch_up": "latest"},
        seconds=1,
    )
    for name in ("daily", "weekly"):
        known(state, name, hours_ago(1))
    schedulers.append(start(state, tmp_path))
    until(lambda: len(notes(tmp_path)) == 4, 60, tmp_path)
    assert [note[:2] for note in notes(tmp_path)] == [
        ("begun", "daily"),
        ("ended", "daily"),
        ("begun", "weekly"),
        ("ended", "weekly"),
    ]


# --- what is due ----------------------------------------------------------------------------------


def scheduler(folder: Path, state: str, zone: str = "UTC") -> Scheduler:
    settings = replace(lake_settings(folder), state=state, business_timezone=zone)
    return Scheduler(settings, load_schedules(folder), Command(()), lambda *_, **__: None)


def noted(state: str) -> dict[datetime, str]:
    engine = create_engine(state)
    with engine.connect() as connection:
        rows = connection.execute(select(OCCURRENCES)).all()
    engine.dispose()
    return {row.occurs_at.replace(tzinfo=UTC): row.state for row in rows}


MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("policy", "late", "due", "missed"),
    [
        ("all", 40, [1, 2, 3], []),
        ("latest", 40, [3], [1, 2]),
        ("none", 40, [], [1, 2, 3]),
        ("none", 1, [3], [1, 2]),
    ],
)
def test_what_passed_while_no_scheduler_ran_is_caught_up_as_declared(
    tmp_path: Path, policy: str, late: int, due: list[int], missed: list[int]
) -> None:
    state = f"sqlite:///{tmp_path / 'state.db'}"
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *", "catch_up": policy})
    known(state, "tick", MIDNIGHT)
    now = MIDNIGHT + timedelta(hours=3, minutes=late)
    found = scheduler(tmp_path, state).due("tick", now)
    assert found == [MIDNIGHT + timedelta(hours=n) for n in due]
    assert set(noted(state)) == {MIDNIGHT, *(MIDNIGHT + timedelta(hours=n) for n in missed)}
    # Asking again finds the same, and notes nothing twice.
    assert scheduler(tmp_path, state).due("tick", now) == found


def test_a_first_start_owes_nothing_and_a_clock_set_back_runs_nothing_twice(
    tmp_path: Path,
) -> None:
    state = f"sqlite:///{tmp_path / 'state.db'}"
    declare(tmp_path, {"name": "tick", "cron": "0 * * * *"})
    now = datetime.now(UTC)
    assert scheduler(tmp_path, state).due("tick", now) == []
    known(state, "tick", MIDNIGHT + timedelta(hours=5))
    assert scheduler(tmp_path, state).due("tick", MIDNIGHT + timedelta(hours=3)) == []


def test_a_night_in_which_the_clocks_change_has_each_time_once(tmp_path: Path) -> None:
    state = f"sqlite:///{tmp_path / 'state.db'}"
    declare(
        tmp_path,
        {"name": "daily", "cron": "30 1 * * *"},
        {"name": "hourly", "cron": "5 * * * *"},
    )
    before, after = datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    for name in ("daily", "hourly"):
        known(state, name, before)
    lisbon = scheduler(tmp_path, state, "Europe/Lisbon")
    assert lisbon.due("daily", after) == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    assert len(lisbon.due("hourly", after)) == 24, "one in each hour that really passed"


def test_an_occurrence_is_given_up_after_three_killed_runs(store: str) -> None:
    history = RunHistory(store)
    RunLedger(history.engine)
    claim = Claim("tick", MIDNIGHT)
    for number in range(3):
        with lease(store, f"run-{number}") as held:
            history.start(f"run-{number}", "tick", MIDNIGHT, lease=held, within=claim)
            history.finish(f"run-{number}", "killed", lease=held)
    with lease(store, "run-3") as held, pytest.raises(OccurrenceDoneError):
        history.start("run-3", "tick", MIDNIGHT, lease=held, within=claim)
    assert len(history.latest()) == 3, "the refused claim left no run behind"
    assert Occurrences(history.engine).open_ones("tick") == []
    history.close()


# --- the command itself ---------------------------------------------------------------------------


def test_an_idle_scheduler_is_small_and_stops_at_once(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "synapse", "schedule", "--lake", str(tmp_path / "lake")],
        cwd=PROJECT_DIR,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "scheduler started" in process.stderr.readline()
        time.sleep(3)  # its first sweep is over
        used = psutil.Process(process.pid).memory_info().rss
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        if process.stderr is not None:
            process.stderr.close()
    assert code == 0
    assert "duckdb" not in loaded, "what builds is loaded by the runs"
    assert used < 120e6

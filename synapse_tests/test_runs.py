"""A run as a whole: time limits, retries by class, going on after a failure, only looking."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from synapse.errors import SynapseError, UsageError
from synapse.generate.service import generate
from synapse.ingest.service import IngestReport
from synapse.progress import Progress
from synapse.runner.backfill import backfill
from synapse.runner.clock import parse_as_of
from synapse.runner.dbt import DbtProject, DbtResult
from synapse.runner.dry_run import dry_run
from synapse.runner.error_class import ErrorClass, error_class
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.retry import retry
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.runner.service import RunReport, run
from synapse.runner.steps import run_step
from synapse.runner.time_limit import Stop, stoppable
from synapse.settings import Settings
from synapse.terminal import print_json
from synapse_tests.lakes import PROJECT_DIR, ask, copy_project, lake_settings


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path, datetime]:
    """A small lake, a project whose daily run fails in its second step, and the as-of."""
    root = tmp_path_factory.mktemp("runs")
    settings = lake_settings(root / "lake")
    made = generate(settings.lake, users=40, days=8, seed=5, append=False, hazards="none")
    return settings, copy_project(root / "project"), parse_as_of(made.as_of)


def test_retry_goes_on_where_the_run_failed(world: tuple[Settings, Path, datetime]) -> None:
    settings, project, as_of = world
    with pytest.raises(SynapseError, match="nothing has run on this lake yet"):
        retry(settings, project)
    looked = dry_run(settings, project, schedule="daily_aggregate", as_of=as_of)
    assert [step.selector for step in looked.steps] == [
        "data_validation",
        "user_metrics",
        "daily_aggregate",
    ]
    counted = "select count(*) from information_schema.tables"
    assert ask(settings.warehouse, counted) == [(0,)], "looking builds nothing"
    model = project / "models" / "gold" / "engagement" / "rpt_active_users_daily.sql"
    good = model.read_text()
    model.write_text(good.replace("        activity_date,\n", "        no_such_column,\n", 1))
    failed = run(settings, project, schedule="daily", as_of=as_of)
    assert [(step.selector, step.status) for step in failed.steps] == [
        ("data_validation", "succeeded"),
        ("user_metrics", "failed"),
        ("daily_aggregate", "not run"),
    ]
    model.write_text(good)
    again = retry(settings, project)
    assert (again.status, again.run_id, again.as_of) == ("succeeded", failed.run_id, as_of)
    assert [step.selector for step in again.steps] == ["user_metrics", "daily_aggregate"]
    assert again.dbt.statuses["success"] < 60, "what had been built was not built again"
    history = RunHistory(settings.state)
    (only,) = history.latest()
    assert (only.status, only.as_of) == ("succeeded", as_of.replace(tzinfo=None))
    assert [status for _, status, _ in RunLedger(history.engine).steps_of(only.run_id)] == [
        "succeeded"
    ] * 3
    history.close()
    # It is as if it had never failed: the same run again has nothing to do.
    assert run(settings, project, schedule="daily", as_of=as_of).status == "unchanged"
    assert ask(settings.warehouse, "select count(*) from gold.rpt_active_users_daily")[0][0] > 0
    with pytest.raises(SynapseError, match=r"nothing to retry: the newest run .* is unchanged"):
        retry(settings, project)


def test_a_backfill_of_nothing_or_of_the_future_is_refused(
    world: tuple[Settings, Path, datetime],
) -> None:
    settings, project, _ = world
    today = datetime.now(UTC).date()

    def fill(first: date, last: date, schedule: str = "daily") -> None:
        backfill(settings, project, schedule=schedule, first=first, last=last)

    with pytest.raises(UsageError, match="lies after"):
        fill(date(2026, 3, 2), date(2026, 3, 1))
    with pytest.raises(UsageError, match="has not ended yet"):
        fill(today, today + timedelta(days=1))
    with pytest.raises(UsageError, match="builds nothing"):
        fill(date(2026, 3, 1), date(2026, 3, 1), "maintenance")


# --- errors that may pass -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("An error occurred (ThrottlingException): Rate exceeded", ErrorClass.throttled),
        ("503 Slow Down: Please reduce your request rate", ErrorClass.throttled),
        ("IO Error: Could not set lock on file \"w.duckdb\": Conflicting lock", ErrorClass.locked),
        ("ICEBERG_COMMIT_ERROR: Failed to commit Iceberg update", ErrorClass.locked),
        ("Connection reset by peer", ErrorClass.network),
        ("Compilation Error in model x: Connection reset by peer", None),
        ("Conversion Error: Could not convert string 'Rate exceeded' to INT64", None),
        ("Got 3 results, configured to fail if != 0", None),
        ("AccessDenied: not authorized to perform s3:GetObject; Slow Down", None),
        ("anything else", None),
    ],
)  # fmt: skip
def test_only_what_may_pass_by_itself_has_a_class(
    message: str, expected: ErrorClass | None
) -> None:
    assert error_class(message) is expected


class Scripted:
    """dbt as far as a step uses it: answers one after the other."""

    def __init__(self, *answers: DbtResult | SynapseError) -> None:
        self._answers = list(answers)
        self.commands: list[str] = []

    def invoke(self, arguments: list[str], *, run_id: str, progress: Progress | None) -> DbtResult:
        del run_id, progress
        self.commands.append(arguments[0])
        answer = self._answers.pop(0)
        if isinstance(answer, SynapseError):
            raise answer
        return answer


GOOD = DbtResult({"success": 5})
THROTTLED = DbtResult(
    {"success": 3, "error": 1, "skipped": 1}, ["a"], passing=(ErrorClass.throttled,)
)
TESTED = DbtResult({"success": 3, "fail": 1}, ["b"], passing=(None,))
BOTH = DbtResult({"error": 1, "fail": 1}, ["a", "b"], passing=(ErrorClass.throttled, None))
LOCKED = SynapseError("dbt could not run: IO Error: Could not set lock on file")
COMPILE = SynapseError("dbt could not run: Compilation Error in model x")


def step(*answers: DbtResult | SynapseError) -> tuple[Scripted, list[float], DbtResult, int]:
    dbt = Scripted(*answers)
    pauses: list[float] = []
    retries = {ErrorClass.throttled: 2, ErrorClass.locked: 1}
    outcome = run_step(cast("DbtProject", dbt), ["build"], retries, run_id="r", pause=pauses.append)
    return dbt, pauses, outcome.result, outcome.attempts


def test_a_step_goes_on_after_what_passes_and_only_so_often() -> None:
    dbt, pauses, result, attempts = step(THROTTLED, DbtResult({"success": 2}))
    assert (dbt.commands, attempts, len(pauses)) == (["build", "retry"], 2, 1)
    assert (result.succeeded, result.statuses) == (True, {"success": 5})
    dbt, pauses, result, attempts = step(THROTTLED, THROTTLED, THROTTLED)
    assert (dbt.commands, attempts, result.succeeded) == (["build", "retry", "retry"], 3, False)
    dbt, _, result, attempts = step(LOCKED, GOOD)
    assert (dbt.commands, attempts, result.succeeded) == (["build", "build"], 2, True)
    with pytest.raises(SynapseError, match="set lock"):
        step(LOCKED, LOCKED)


def test_a_failed_test_or_a_model_that_does_not_compile_is_never_tried_again() -> None:
    for failed in (TESTED, BOTH):
        dbt, pauses, result, attempts = step(failed)
        assert (dbt.commands, pauses, attempts, result.succeeded) == (["build"], [], 1, False)
    with pytest.raises(SynapseError, match="Compilation"):
        step(COMPILE)


# --- the end of a run -----------------------------------------------------------------------------


def test_what_takes_too_long_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable(timedelta(seconds=0.2), _silent) as stop:
        threading.Event().wait(20)
    assert stop.why is not None
    assert "ran out of time" in stop.why


def _silent(_stop: Stop) -> None:
    return


STUBBORN = """
import signal, sys, time
from datetime import timedelta
from synapse.runner.time_limit import stoppable
def say(stop):
    print("last words:", stop.why, flush=True)
with stoppable(timedelta(seconds=0.2), say, grace=0.5):
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""


def test_what_cannot_be_interrupted_is_ended() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "last words: it ran out of time" in ended.stdout
    assert "did not end within" in ended.stderr


DEAF = """
import signal, threading
from datetime import timedelta
from synapse.runner.time_limit import stoppable
def elsewhere():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
try:
    with stoppable(timedelta(seconds=20), lambda _: None) as stop:
        threading.Timer(0.5, elsewhere).start()
        threading.Event().wait()
except KeyboardInterrupt:
    print(stop.why, flush=True)
"""


def test_a_stop_that_another_thread_was_given_is_heard_by_one_that_waits() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DEAF], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "told to stop" in ended.stdout


def test_a_run_that_is_told_to_stop_says_so_in_the_ledger(
    world: tuple[Settings, Path, datetime], tmp_path: Path
) -> None:
    """SIGTERM in mid-run: recorded, the lease released, dbt gone."""
    source, project, as_of = world
    shutil.copytree(source.lake / "bronze", tmp_path / "lake" / "bronze")
    settings = lake_settings(tmp_path / "lake")
    words = ["-m", "synapse", "run", "daily", "--as-of", as_of.isoformat(), "--lake"]
    process = subprocess.Popen(
        [sys.executable, *words, str(settings.lake), "--project-dir", str(project)],
        cwd=PROJECT_DIR,
        env={**os.environ, "SYNAPSE_STATE": settings.state},
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger, running = settings.lake / "state.db", False
    history: RunHistory | None = None
    end = time.monotonic() + 120
    while not running and time.monotonic() < end:
        time.sleep(0.2)
        if ledger.exists():
            history = history or RunHistory(settings.state)
            steps = [RunLedger(history.engine).steps_of(each.run_id) for each in history.latest()]
            running = bool(steps and steps[0])
    assert running
    assert history is not None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "told to stop (SIGTERM)" in said
    (only,) = history.latest()
    assert only.status == "killed"
    assert "SIGTERM" in str(only.detail)
    history.close()
    with lease(settings.state, "next") as held:
        assert held.predecessors == (), "it was released, not left to expire"


def test_only_a_later_run_of_its_like_makes_a_run_a_backfill(tmp_path: Path) -> None:
    """An hourly run of 01:05 that came first must not keep daily's of 01:00 from its snapshots."""
    settings = lake_settings(tmp_path / "lake")
    settings.lake.mkdir()
    history = RunHistory(settings.state)
    ledger = RunLedger(history.engine)
    one = datetime(2026, 3, 1, 1, tzinfo=UTC)
    runs = [
        ("hourly", 5, "succeeded", ("hourly",)),
        ("weekly", -60, "succeeded", ("daily", "weekly")),
        ("daily", 120, "failed", ("daily",)),
    ]
    for schedule, minutes, status, covers in runs:
        as_of = one + timedelta(minutes=minutes)
        history.start(schedule, schedule, as_of)
        with history.engine.begin() as connection:
            plan = RunPlan(schedule, covers, (), None, False, False)
            ledger.plan(connection, plan, as_of, settings.business_timezone)
        history.finish(schedule, status)
    found = {name: ledger.newest_as_of([name]) for name in ("hourly", "daily", "realtime")}
    judged = {name: ledger.judged_until(name) for name in ("hourly", "daily", "realtime")}
    history.close()
    # What a test may leave out was judged by a run that succeeded.
    assert judged == found
    assert found == {
        "hourly": datetime(2026, 3, 1, 1, 5),
        "daily": datetime(2026, 3, 1),
        "realtime": None,
    }


def test_what_a_run_did_can_be_told_to_machines(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    result = DbtResult({"success": 1}, built=frozenset({"model.synapse.a"}))
    print_json(RunReport("r", "daily", "succeeded", now, IngestReport("r", now), result))
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["dbt"]["statuses"]) == ("succeeded", {"success": 1})

"""Whether a run that AWS was asked for may begin: the state store's answers, and the Lambda's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from synapse.deploy import lambda_handler
from synapse.deploy.readiness import How, Readiness, State
from synapse.errors import LeaseHeldError, SynapseError, UsageError
from synapse.ingest.service import IngestReport, ingest
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.plan import leases
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.schedules.claims import Claim, Occurrences
from synapse.schedules.load import load_schedules
from synapse.settings import Settings
from synapse_tests.ingest_lake import Lake, change, event, lines, new_lake
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, lake_settings

SCHEDULES = load_schedules(PROJECT_DIR)
# Monday 02:00 in São Paulo, and the daily run before it.
WEEKLY = datetime(2026, 3, 2, 5, tzinfo=UTC)
DAILY = datetime(2026, 3, 2, 4, tzinfo=UTC)
SOON = timedelta(minutes=1)


class Store:
    """A state store in which runs are recorded as the runner records them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.history = RunHistory(settings.state)
        self.readiness = Readiness(self.history.engine, SCHEDULES, TIMEZONE)
        self._runs = 0

    def ask(self, name: str, at: datetime, after: timedelta = SOON, tries: int = 0) -> State:
        return self.readiness.ask(name, How.occurrence, at, tries, at + after).state

    def landed(self, name: str, at: datetime) -> State:
        return self.readiness.ask(name, How.landed, at, 0, at + SOON).state

    def begin(self, name: str, at: datetime) -> str:
        self._runs += 1
        run_id = f"run-{self._runs}"
        with lease(self.settings.state, run_id, leases(SCHEDULES, [name])) as held:
            self.history.start(run_id, name, at, lease=held, within=Claim(name, at))
            plan = RunPlan(run_id, (name,), SCHEDULES.steps(name), None, False, False)
            with self.history.engine.begin() as connection:
                RunLedger(self.history.engine).plan(connection, plan, at, TIMEZONE)
        return run_id

    def end(self, run_id: str, name: str, status: str) -> None:
        with lease(self.settings.state, f"{run_id}-end", leases(SCHEDULES, [name])) as held:
            self.history.finish(run_id, status, lease=held)

    def ran(self, name: str, at: datetime, status: str = "succeeded") -> None:
        self.end(self.begin(name, at), name, status)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(lake_settings(tmp_path))
    yield made
    made.history.close()


def test_a_new_store_lets_the_first_run_begin(store: Store) -> None:
    assert store.ask("hourly", datetime(2026, 3, 2, 5, 5, tzinfo=UTC)) is State.run


def test_what_is_needed_is_waited_for_until_the_run_itself_may_say_so(store: Store) -> None:
    assert store.ask("weekly", WEEKLY) is State.wait
    sla = SCHEDULES["weekly"].sla
    assert store.ask("weekly", WEEKLY, after=sla) is State.run, "the run records what is missing"
    store.ran("daily", DAILY)
    assert store.ask("weekly", WEEKLY) is State.run


def test_tables_that_are_being_written_are_waited_for(store: Store) -> None:
    with lease(store.settings.state, "other", leases(SCHEDULES, ["hourly"])):
        assert store.ask("daily", DAILY) is State.wait
    assert store.ask("daily", DAILY) is State.run


@pytest.mark.parametrize(
    ("status", "state"),
    [("succeeded", State.done), ("unchanged", State.done), ("failed", State.failed)],
)
def test_a_time_that_has_been_run_is_not_run_again(store: Store, status: str, state: State) -> None:
    store.ran("daily", DAILY, status)
    assert store.ask("daily", DAILY) is state
    assert store.ask("daily", DAILY, tries=9) is state


def test_a_killed_run_is_begun_again_even_when_its_next_time_has_come(store: Store) -> None:
    store.begin("daily", DAILY)
    assert store.ask("daily", DAILY, tries=1) is State.run
    assert store.ask("daily", DAILY, after=timedelta(days=2), tries=1) is State.run


def test_a_time_that_a_later_one_has_overtaken_is_noted_as_missed(store: Store) -> None:
    assert store.ask("daily", DAILY, after=timedelta(days=1, minutes=1)) is State.done
    assert Occurrences(store.history.engine).is_done("daily", DAILY)


def test_what_never_begins_is_given_up_after_its_retries(store: Store) -> None:
    allowed = max(SCHEDULES["daily"].retries.values())
    assert store.ask("daily", DAILY, tries=allowed) is State.run
    assert store.ask("daily", DAILY, tries=allowed + 1) is State.failed
    assert store.ask("daily", DAILY) is State.failed, "whoever asks later is told the same"


def test_what_landed_is_read_once_by_whichever_run_began_later(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert store.landed("hourly", before) is State.run
    store.ran("daily", DAILY)
    # Daily does not build what the hour is judged by.
    assert store.landed("hourly", before) is State.run
    store.ran("hourly", datetime(2026, 3, 2, 5, 5, tzinfo=UTC))
    assert store.landed("hourly", before) is State.done
    assert store.landed("hourly", datetime.now(UTC) + SOON) is State.run, "that landed later"


def test_a_schedule_is_late_once_its_sla_has_passed_without_success(store: Store) -> None:
    def late(name: str, now: datetime) -> bool:
        return store.readiness.lateness(name, now).is_late

    sla = SCHEDULES["daily"].sla
    assert not late("daily", DAILY + sla), "a new deployment owes nothing"
    store.ran("daily", DAILY)
    assert not late("daily", DAILY + sla + SOON)
    tomorrow = DAILY + timedelta(days=1)
    assert not late("daily", tomorrow + sla - SOON)
    assert late("daily", tomorrow + sla + SOON)
    store.ran("daily", tomorrow, "failed")
    assert late("daily", tomorrow + sla + SOON), "a failed run is no run"
    age = store.readiness.lateness("daily", datetime.now(UTC)).age
    assert age is not None
    assert timedelta() <= age < timedelta(minutes=5)


# -- the Lambda


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNAPSE_LAKE", str(tmp_path))
    monkeypatch.setenv("SYNAPSE_BUSINESS_TIMEZONE", TIMEZONE)
    for name in ("SYNAPSE_STATE", "SYNAPSE_STATE_SECRET", "SYNAPSE_TARGET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_watch_writes_what_cloudwatch_makes_metrics_of(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment.is_dir()
    assert lambda_handler.handle({"do": "watch"}, None) == {"late": []}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["Schedule"] for line in lines} == set(SCHEDULES.by_name)
    for line in lines:
        (described,) = line["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "Synapse"
        assert described["Dimensions"] == [["Deployment", "Schedule"]]
        assert all(metric["Name"] in line for metric in described["Metrics"])


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (LeaseHeldError("another run works on this lake"), "LockedError"),
        (SynapseError("S3 could not list: SlowDown"), "ThrottledError"),
        (SynapseError("server closed the connection"), "NetworkError"),
        (SynapseError("Nothing has landed"), "SynapseError"),
    ],
)
def test_an_error_carries_the_name_by_which_the_machine_retries(
    environment: Path, monkeypatch: pytest.MonkeyPatch, error: SynapseError, name: str
) -> None:
    assert environment.is_dir()

    def fails(*_all: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr(lambda_handler, "ingest", fails)
    event = {"do": "ingest", "schedule": "hourly", "at": "2026-03-02T05:05Z", "sweep": False,
             "seconds": 60}  # fmt: skip
    with pytest.raises(SynapseError) as raised:
        lambda_handler.handle(event, None)
    assert type(raised.value).__name__ == name


def test_an_event_that_says_nothing_is_told_what_it_lacks(environment: Path) -> None:
    assert environment.is_dir()
    with pytest.raises(UsageError, match="lacks 'tries'; it has"):
        lambda_handler.handle({"do": "ask", "schedule": "hourly"}, None)
    with pytest.raises(UsageError, match=r"asks to 'sing'; what is known is \['ask', 'ingest'"):
        lambda_handler.handle({"do": "sing"}, None)


def test_an_error_of_a_key_inside_is_not_told_as_one_of_the_event(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.is_dir()

    def fails(*_all: Any, **_more: Any) -> None:
        raise KeyError("column")

    monkeypatch.setattr(lambda_handler, "ingest", fails)
    event = {"do": "ingest", "at": "2026-03-02T05:05Z", "sweep": False, "seconds": 60}
    with pytest.raises(KeyError, match="column"):
        lambda_handler.handle(event, None)


# -- ingest in slices


def land_two_sources(lake: Lake) -> None:
    lake.land_rows(
        "bronze/dms/shop/orders/2026/03/01/20260301-000000001.parquet", [change(1), change(2)]
    )
    lake.land(
        "bronze/kconnect/topics/app-events/year=2026/month=03/day=01/hour=00/"
        "app-events+0+0000000000.json",
        lines([event(1), event(2), event(3)]),
    )


def test_an_ingest_whose_time_is_over_leaves_whole_sources_to_the_next(tmp_path: Path) -> None:
    """Slice by slice, the sum is what one ingest would have accepted; no slice does nothing."""
    sliced, whole = new_lake(tmp_path / "sliced"), new_lake(tmp_path / "whole")
    for lake in (sliced, whole):
        land_two_sources(lake)
    at = datetime(2026, 3, 2, 4, tzinfo=UTC)
    expected = ingest(whole.settings, whole.project, as_of=at)
    assert not expected.is_cut
    slices: list[IngestReport] = []
    while not slices or slices[-1].is_cut:
        slices.append(ingest(sliced.settings, sliced.project, as_of=at, sweep=None, seconds=0.0))
        assert slices[-1].is_sweep, "a sweep that was cut is none"
        assert slices[-1].accepted > 0
        assert len(slices) < 10
    assert len(slices) == 2
    total = {name: counts for each in slices for name, counts in each.sources.items()}
    assert total == expected.sources
    assert sum(each.accepted for each in slices) == expected.accepted
    after = ingest(sliced.settings, sliced.project, as_of=at, sweep=None)
    assert (after.accepted, after.is_sweep) == (0, False)

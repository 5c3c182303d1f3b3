"""What is unlike the weeks before is found; what repeats by the week, or hardly varies, is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from synapse.observe.anomalies import Anomaly, find_anomalies, past_moments, period_of
from synapse.observe.rule import LEAST_POINTS, judge
from synapse_tests.lakes import TIMEZONE
from synapse_tests.observed import MODEL, add_runs, empty_store

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 6, 15, 15, 5)
amounts = st.floats(0, 1e9, allow_nan=False)


@given(amounts, st.integers(LEAST_POINTS, 30), st.floats(0, 100))
def test_a_constant_series_never_alarms(value: float, points: int, least: float) -> None:
    assert not judge(value, [value] * points, least).is_anomaly


@given(st.lists(st.floats(0.001, 1e9), min_size=LEAST_POINTS, max_size=30), st.floats(10, 1e6))
def test_ten_times_as_much_always_alarms_however_the_past_varied(
    past: list[float], times: float
) -> None:
    verdict = judge(0, past)
    assert judge(verdict.median * times, past).is_anomaly


@given(st.lists(amounts, max_size=LEAST_POINTS - 1), amounts)
def test_too_few_points_say_nothing(past: list[float], value: float) -> None:
    assert not judge(value, past).is_anomaly


@given(st.lists(amounts, min_size=LEAST_POINTS, max_size=30), st.floats(0, 1))
def test_what_lies_within_half_of_the_median_never_alarms(past: list[float], at: float) -> None:
    middle = judge(0, past).median
    assert not judge(middle * (0.5 + at * 0.999), past).is_anomaly


def test_the_same_hour_of_the_week_is_the_business_zones() -> None:
    # In 2018 São Paulo's clocks went forward at midnight of 4 November: 12:00 is 14:00 UTC after.
    moments = past_moments(datetime(2018, 11, 7, 14, 0), TIMEZONE, 2)
    assert moments == [datetime(2018, 10, 31, 15, 0), datetime(2018, 10, 24, 15, 0)]


def test_what_runs_more_often_than_hourly_is_not_compared() -> None:
    gaps = (timedelta(minutes=10), HOUR, DAY, timedelta(days=7))
    assert [period_of(gap) for gap in gaps] == [None, HOUR, DAY, DAY]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = empty_store(f"sqlite:///{tmp_path / 'state.db'}")
    yield engine
    engine.dispose()


def weeks(count: int, **more: object) -> list[dict[str, object]]:
    """The same hour of the weeks before NOW; on every other day, that hour is ten times as much."""
    found: list[dict[str, object]] = []
    for day in range(1, count * 7 + 1):
        like = {"seconds": 100.0 + day % 3, "landed": 1_000 + day % 5}
        if day % 7:
            like = {"seconds": 1_000.0, "landed": 20_000}
        found.append({"as_of": NOW - timedelta(days=day), **like, **more})
    return found


def found_of(
    store: Engine, run: dict[str, object], period: timedelta | None = HOUR
) -> list[Anomaly]:
    (run_id,) = add_runs(store, [{"as_of": NOW, **run}])
    with store.connect() as connection:
        return find_anomalies(connection, run_id, period, TIMEZONE)


def test_a_weekly_pattern_does_not_alarm(store: Engine) -> None:
    add_runs(store, weeks(6))
    assert found_of(store, {"seconds": 101.0, "landed": 1_002}) == []


def test_a_day_that_is_like_the_other_weekdays_alarms(store: Engine) -> None:
    add_runs(store, weeks(6))
    found = found_of(store, {"seconds": 1_000.0, "landed": 20_000})
    assert {one.kind: one.subject for one in found} == {
        "schedule_duration": "hourly",
        "model_duration": MODEL,
        "source_volume": "kconnect.app-events",
    }
    assert {one.points for one in found} == {6}


def test_a_source_that_fell_silent_alarms_and_a_fast_run_does_not(store: Engine) -> None:
    add_runs(store, weeks(6))
    found = found_of(store, {"seconds": 1.0, "landed": 0})
    assert [(one.kind, one.observed) for one in found] == [("source_volume", 0)]


def test_three_weeks_are_no_history(store: Engine) -> None:
    add_runs(store, weeks(3))
    assert found_of(store, {"seconds": 1_000.0, "landed": 20_000}) == []


def test_neither_backfills_nor_failures_are_compared(store: Engine) -> None:
    add_runs(store, weeks(6))
    assert found_of(store, {"seconds": 1_000.0, "is_backfill": True}) == []
    assert found_of(store, {"seconds": 1_000.0, "status": "failed"}) == []
    assert found_of(store, {"seconds": 1_000.0}, period=None) == []


def test_past_backfills_do_not_make_the_usual(store: Engine) -> None:
    add_runs(store, weeks(6))
    slow = [{"as_of": NOW - timedelta(weeks=week), "seconds": 5_000.0, "landed": 0,
             "is_backfill": True} for week in range(1, 7)]  # fmt: skip
    add_runs(store, slow)
    found = found_of(store, {"seconds": 1_000.0})
    assert "schedule_duration" in {one.kind for one in found}

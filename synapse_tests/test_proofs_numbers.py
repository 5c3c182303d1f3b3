"""The headline numbers equal a plain-Python computation from the truth (rules R2 to R9)."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from synapse_tests import lakes
from synapse_tests.builds import LONG
from synapse_tests.conftest import DailySteps
from synapse_tests.oracle import (
    BRACKETS,
    CohortCell,
    Product,
    Retained,
    daily_actives,
    headline,
    retention,
)
from synapse_tests.oracle_journeys import attempts, funnel_report, last_mature_entry, sessions
from synapse_tests.oracle_truth import read_truth

Row = tuple[Any, ...]


def ask(built: DailySteps, query: str) -> list[Row]:
    """Run one query on the warehouse of the last step."""
    return lakes.ask(built.settings.warehouse, query)


def rate(part: int, whole: int) -> Decimal | None:
    """Return part / whole to six digits, NULL for nothing of nothing."""
    if whole == 0:
        return None
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def test_r2_the_oracle_and_the_generator_agree_on_who_was_active(
    built: DailySteps, product: Product
) -> None:
    simulated = {
        (str(row["user_id"]), row["activity_date"])
        for row in read_truth(built.settings.lake, "daily_actives")
    }
    assert {(k, day) for k, days in product.active_days.items() for day in days} == simulated


def test_r2_user_days_equal_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(built, "select user_id::varchar, activity_date from gold.fct_user_days")
    assert len(found) == len(set(found))
    expected = {(key, day) for key, days in product.active_days.items() for day in days}
    assert set(found) == expected


def test_r3_daily_report_equals_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(
        built,
        "select activity_date, active_users_1d, active_users_7d, active_users_28d, "
        "active_users_30d, stickiness_rate, new_users "
        "from gold.rpt_active_users_daily where is_complete order by activity_date",
    )
    expected = [
        (
            day,
            row.active_1d,
            row.active_7d,
            row.active_28d,
            row.active_30d,
            rate(row.active_1d, row.active_28d),
            row.new_users,
        )
        for day, row in daily_actives(product).items()
    ]
    assert found == expected


def _retention_rows(built: DailySteps) -> dict[CohortCell, tuple[Retained, Decimal | None]]:
    rows = ask(
        built,
        "select cohort_basis, cohort_grain, cohort_start, retention_mode, period_number, "
        "bracket_start, bracket_end, cohort_size, retained_users, is_mature, retention_rate "
        "from gold.rpt_retention",
    )
    cells = {}
    for basis, grain, start, mode, period, first, last, size, retained, mature, share in rows:
        bracket = None if first is None else (first, last)
        cell = CohortCell(basis, grain, start, mode, period, bracket)
        assert cell not in cells, f"{cell} is there twice"
        cells[cell] = (Retained(size, retained, mature), share)
    return cells


def test_r6_retention_equals_the_oracle_in_every_cell(built: DailySteps, product: Product) -> None:
    found = _retention_rows(built)
    expected = retention(product)
    assert found.keys() == expected.keys()
    wrong = {
        cell: (found[cell][0], value)
        for cell, value in expected.items()
        if found[cell][0] != value or found[cell][1] != rate(value.retained, value.cohort_size)
    }
    assert not wrong, f"{len(wrong)} cells differ, such as {next(iter(wrong.items()))}"


def test_r6_only_periods_that_have_ended_are_mature(built: DailySteps) -> None:
    cells = _retention_rows(built)
    both_sides = set()
    for bracket in BRACKETS:
        by_age = {
            (built.last - cell.cohort_start).days: value[0].is_mature
            for cell, value in cells.items()
            if cell.bracket == bracket
        }
        assert by_age == {age: age >= bracket[1] for age in by_age}
        if len(set(by_age.values())) == 2:
            both_sides.add(bracket)
    assert both_sides >= set(BRACKETS if built.build == LONG else BRACKETS[:3])
    immature = Counter(cell.grain for cell, value in cells.items() if not value[0].is_mature)
    assert immature["day"] > 0, "a broken maturity would go unnoticed"
    is_sunday = built.last.weekday() == 6
    assert (immature["week"] == 0) == is_sunday, "weeks end on Sunday"


def test_r6_headline_equals_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(
        built,
        "select activity_date, retention_1d_rate, retention_7d_rate, retention_30d_rate "
        "from gold.rpt_retention_headline where is_complete order by activity_date",
    )
    days: list[date] = [row[0] for row in found]
    assert days == list(daily_actives(product))
    expected = [(day, *(rate(*headline(product, day, n)) for n in (1, 7, 30))) for day in days]
    assert found == expected


def test_r8_attempts_equal_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(
        built,
        "select funnel_name, user_key, attempt_number, reached_step_number, started_at, closed_at "
        "from gold.fct_funnel_attempts",
    )
    sizes = {funnel.name: len(funnel.events) for funnel in product.funnels}
    windows = {funnel.name: funnel.window for funnel in product.funnels}
    expected = {
        (
            attempt.funnel_name,
            attempt.user_key,
            attempt.attempt_number,
            len(attempt.reached),
            attempt.reached[0],
            attempt.reached[-1]
            if len(attempt.reached) == sizes[attempt.funnel_name]
            else attempt.reached[0] + windows[attempt.funnel_name],
        )
        for attempt in attempts(product)
    }
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert max(row[2] for row in found) > 1, "nobody tried twice: restarts are not tested"


def test_r8_report_equals_the_oracle(built: DailySteps, product: Product) -> None:
    found = {
        row[:3]: row[3:]
        for row in ask(
            built,
            "select funnel_name, entry_date, step_number, entered_count, reached_count, "
            "step_conversion_rate, overall_conversion_rate, median_seconds_to_step, "
            "p90_seconds_to_step, is_mature from gold.rpt_conversion_funnel",
        )
    }
    expected = funnel_report(product, attempts(product))
    assert expected.keys() <= found.keys()
    for key, row in found.items():
        if key not in expected:
            assert row[:2] == (0, 0), f"{key}: nobody entered, and yet {row}"
            continue
        wanted = expected[key]
        assert row == (
            wanted.entered,
            wanted.reached,
            rate(wanted.reached, wanted.reached_before),
            rate(wanted.reached, wanted.entered),
            wanted.median_seconds,
            wanted.p90_seconds,
            wanted.is_mature,
        ), key
    for funnel in product.funnels:
        newest = last_mature_entry(product, funnel)
        mature = {key[1] for key, row in found.items() if key[0] == funnel.name and row[-1]}
        assert not mature or max(mature) == newest


def test_r9_sessions_equal_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(
        built,
        "select user_key, started_at, ended_at, event_count from gold.fct_sessions",
    )
    expected = Counter(
        (session.user_key, session.started_at, session.ended_at, session.event_count)
        for session in sessions(product)
        if not product.is_internal(session.user_key)
    )
    assert Counter(found) == expected


@pytest.mark.parametrize("name", ["message_sent", "trial_started", "payment_paid"])
def test_facts_are_in_the_activity_stream_once(
    built: DailySteps, product: Product, name: str
) -> None:
    found = ask(
        built, f"select user_key, occurred_at from gold.fct_events where event_name = '{name}'"
    )
    expected = Counter(
        (event.user_key, event.occurred_at) for event in product.events if event.event_name == name
    )
    assert {row for row in Counter(found).items() if not row[0][0].startswith("anon:")} == {
        row for row in expected.items() if not row[0][0].startswith("anon:")
    }

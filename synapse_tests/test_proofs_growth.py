"""Lifecycle, segments, churn and MRR equal a plain-Python computation from the truth."""

from __future__ import annotations

from dataclasses import astuple, fields

import pytest

from synapse_tests.conftest import DailySteps
from synapse_tests.oracle import Product
from synapse_tests.oracle_customers import Customer, adoption, customers, growth
from synapse_tests.oracle_dimensions import (
    DIMENSIONS,
    Described,
    actives_by_dimension,
    funnel_by_dimension,
    read_described,
    retention_by_dimension,
)
from synapse_tests.oracle_growth import Registered, lifecycle
from synapse_tests.oracle_money import MOVEMENTS, Ledger, churn, mrr, read_ledger, report_months
from synapse_tests.oracle_operations import load_service
from synapse_tests.oracle_past import read_past
from synapse_tests.test_proofs_numbers import ask, rate


@pytest.fixture(scope="module")
def registered(built: DailySteps, product: Product) -> Registered:
    """The oracle's view of who is registered when."""
    return Registered(product, read_past(built.settings.lake, "users", "user_id"))


@pytest.fixture(scope="module")
def described(built: DailySteps, registered: Registered) -> Described:
    """The oracle's view of everybody's dimensions."""
    return read_described(built.settings.lake, registered)


@pytest.fixture(scope="module")
def ledger(built: DailySteps, product: Product) -> Ledger:
    """The oracle's view of who pays what when."""
    return read_ledger(built.settings.lake, product)


def test_r4_lifecycle_equals_the_oracle(built: DailySteps, product: Product) -> None:
    found = ask(
        built,
        "select period_grain, period_start, new_users, returning_users, resurrected_users, "
        "dormant_users, active_users, quick_ratio, is_complete from gold.rpt_lifecycle "
        "order by period_grain, period_start",
    )
    expected = [
        (
            *key,
            row.new,
            row.returning,
            row.resurrected,
            row.dormant,
            row.active,
            rate(row.new + row.resurrected, row.dormant),
            row.is_complete,
        )
        for key, row in sorted(lifecycle(product).items())
    ]
    assert found == expected
    assert all(sum(row[place] for row in found) > 0 for place in (2, 3, 4, 5)), "an idle product"


def test_r13_segments_equal_the_oracle(built: DailySteps, registered: Registered) -> None:
    found = ask(built, "select activity_date, segment, user_count from gold.rpt_user_segments")
    expected = {(*key, count) for key, count in registered.segments().items()}
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert {row[1] for row in found if row[2] > 0} == {name for _, name, _ in expected}


def test_r7_churn_equals_the_oracle(built: DailySteps, ledger: Ledger) -> None:
    found = ask(
        built,
        "select month_start, activity_base_users, activity_churned_users, activity_churn_rate, "
        "subscription_base_users, subscription_churned_users, subscription_churn_rate, "
        "is_complete from gold.rpt_churn_monthly order by month_start",
    )
    expected = [
        (
            month,
            row.activity_base,
            row.activity_churned,
            rate(row.activity_churned, row.activity_base),
            row.subscription_base,
            row.subscription_churned,
            rate(row.subscription_churned, row.subscription_base),
            row.is_complete,
        )
        for month, row in churn(ledger).items()
    ]
    assert found == expected
    assert sum(row[2] for row in found) > 0, "nobody stopped coming: churn is not tested"


def test_r7_mrr_equals_the_oracle_in_every_row(built: DailySteps, ledger: Ledger) -> None:
    names = ("opening", *MOVEMENTS, "closing")
    columns = ", ".join(f"{name}_mrr_cents" for name in names)
    found = {
        row[:3]: dict(zip(names, row[3:], strict=True))
        for row in ask(
            built, f"select month_start, currency, plan_code, {columns} from gold.rpt_mrr_monthly"
        )
    }
    expected = mrr(ledger)
    assert expected.keys() <= found.keys()
    for key, row in found.items():
        wanted = expected.get(key, {})
        assert row == {name: wanted.get(name, 0) for name in names}, key
    assert {month for month, _, _ in found} == set(report_months(ledger.product))
    total = [row for (_, _, plan), row in found.items() if plan == "all"]
    assert all(sum(row[name] for row in total) > 0 for name in ("opening", "new", "closing"))


def test_r14_actives_by_dimension_equal_the_oracle(built: DailySteps, described: Described) -> None:
    found = {
        row[:3]: row[3:]
        for row in ask(
            built,
            "select activity_date, dimension_name, dimension_value, active_users_1d, "
            "active_users_7d, active_users_28d, active_users_30d "
            "from gold.rpt_active_users_by_dimension",
        )
    }
    expected = actives_by_dimension(described)
    assert expected.keys() <= found.keys()
    wrong = {
        key: (row, expected.get(key, (0, 0, 0, 0)))
        for key, row in found.items()
        if row != expected.get(key, (0, 0, 0, 0))
    }
    assert not wrong, f"{len(wrong)} rows differ, such as {next(iter(wrong.items()))}"
    values = {name: {key[2] for key in found if key[1] == name} for name in DIMENSIONS}
    several = set(DIMENSIONS) - {"country"}
    assert all(len(values[name]) > 1 for name in several), "a mix-up of values would go unnoticed"


def test_r13_user_growth_equals_the_oracle(built: DailySteps, registered: Registered) -> None:
    found = ask(
        built,
        "select activity_date, registered_users, signed_up_users, rejoined_users, left_users, "
        "growth_28d_rate from gold.rpt_user_growth order by activity_date",
    )
    rows = growth(registered)
    days = list(rows)
    expected = []
    for place, (day, row) in enumerate(rows.items()):
        before = rows[days[place - 28]].registered if place >= 28 else 0
        share = rate(row.registered, before)
        expected.append((day, *astuple(row), None if share is None else share - 1))
    assert found == expected
    assert sum(row[2] for row in found) > 0 < sum(row[4] for row in found)


def test_r14_regional_adoption_equals_the_oracle(built: DailySteps, described: Described) -> None:
    found = {
        row[:2]: row[2:]
        for row in ask(
            built,
            "select activity_date, region, active_users_28d, registered_users, adoption_rate, "
            "active_share_rate from gold.rpt_regional_adoption",
        )
    }
    expected = adoption(described)
    assert expected.keys() <= found.keys()
    for key, row in found.items():
        active, there = expected.get(key, (0, 0))
        everywhere = sum(counts[0] for (day, _), counts in expected.items() if day == key[0])
        assert row == (active, there, rate(active, there), rate(active, everywhere)), key


def test_customers_equal_the_oracle(
    built: DailySteps, described: Described, ledger: Ledger
) -> None:
    found = {
        row[0]: Customer(*row[1:])
        for row in ask(
            built,
            "select user_key, segment, lifecycle_stage, favourite_feature, active_day_count, "
            "active_days_28d_count, session_count, session_seconds, message_count, mrr_cents, "
            "ltv_cents from gold.rpt_customer_360",
        )
    }
    lake = built.settings.lake
    service = load_service(described.product, lake, built.project / "seeds")
    expected = customers(described, ledger, service, lake)
    assert found.keys() == expected.keys()
    wrong = {key: (found[key], row) for key, row in expected.items() if found[key] != row}
    assert not wrong, f"{len(wrong)} customers differ, such as {next(iter(wrong.items()))}"
    for one in fields(Customer):
        assert len({getattr(row, one.name) for row in found.values()}) > 1, one.name


def test_r6_retention_by_dimension_equals_the_oracle(
    built: DailySteps, described: Described
) -> None:
    found = {
        row[:6]: row[6:]
        for row in ask(
            built,
            "select dimension_name, dimension_value, cohort_basis, cohort_grain, cohort_start, "
            "period_number, cohort_size, retained_users, is_mature, retention_rate "
            "from gold.rpt_retention_by_dimension",
        )
    }
    expected = {
        key: (*astuple(cell), rate(cell.retained, cell.cohort_size))
        for key, cell in retention_by_dimension(described).items()
    }
    assert found.keys() == expected.keys()
    wrong = {key: (row, found[key]) for key, row in expected.items() if found[key] != row}
    assert not wrong, f"{len(wrong)} cells differ, such as {next(iter(wrong.items()))}"


def test_r8_funnel_by_dimension_equals_the_oracle(built: DailySteps, described: Described) -> None:
    found = ask(
        built,
        "select funnel_name, entry_date, dimension_name, dimension_value, step_number, "
        "entered_count, reached_count, step_conversion_rate, overall_conversion_rate "
        "from gold.rpt_conversion_funnel_by_dimension",
    )
    expected = funnel_by_dimension(described)
    assert expected.keys() <= {row[:4] for row in found}
    assert len(found) == len({row[:5] for row in found})
    for row in found:
        reached = expected.get(row[:4])
        if reached is None:
            assert row[5:7] == (0, 0), f"{row}: nobody entered"
            continue
        step = row[4]
        before = reached[max(step - 2, 0)]
        assert row[5:] == (
            reached[0],
            reached[step - 1],
            rate(reached[step - 1], before),
            rate(reached[step - 1], reached[0]),
        ), row

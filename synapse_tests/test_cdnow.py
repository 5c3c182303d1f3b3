"""Real input: CDNOW's purchases through the same job must give the figures published about them."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from synapse_tests import cdnow
from synapse_tests.lakes import ask, copy_project, lake_settings, run_daily


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Land CDNOW, declare its one event as configuration, and run the daily job on it."""
    root = tmp_path_factory.mktemp("cdnow")
    project = copy_project(root / "project")
    plan = project / "seeds" / "tracking_plan.csv"
    plan.write_text(plan.read_text().rstrip("\n") + f"\n{cdnow.PURCHASE_EVENT},true,,growth\n")
    cdnow.write_bronze(root / "lake")
    settings = lake_settings(root / "lake")
    run_daily(settings, project, cdnow.LAST_DATE)
    return settings.warehouse


def test_the_file_is_the_published_one() -> None:
    purchases = cdnow.read_master()
    sample = cdnow.read_sample_customers()
    bought = [(p.customer_id, p.day) for p in purchases if p.customer_id in sample]
    assert len({purchase.customer_id for purchase in purchases}) == cdnow.CUSTOMERS
    assert len(purchases) == cdnow.TRANSACTIONS
    assert len(sample) == cdnow.SAMPLE_CUSTOMERS
    assert len(bought) == cdnow.SAMPLE_TRANSACTIONS
    assert len(set(bought)) == cdnow.SAMPLE_PURCHASE_DAYS
    assert cdnow.cumulative_repeats(bought) == cdnow.SAMPLE_REPEATS_BY_WEEK


def test_customers_and_transactions_equal_the_published_counts(warehouse: Path) -> None:
    assert ask(warehouse, "select count(*) from gold.dim_users") == [(cdnow.CUSTOMERS,)]
    payments = "select count(*), count(distinct user_id), min(currency), max(currency), "
    payments += "sum(amount_cents) from gold.fct_payments"
    cents = sum(purchase.amount_cents for purchase in cdnow.read_master())
    assert ask(warehouse, payments) == [(cdnow.TRANSACTIONS, cdnow.CUSTOMERS, "USD", "USD", cents)]
    events = "select count(*) from gold.fct_events where event_name = 'payment_paid'"
    assert ask(warehouse, events) == [(cdnow.TRANSACTIONS,)]


def test_weekly_repeat_purchases_of_the_sample_equal_the_published_curve(warehouse: Path) -> None:
    sample = cdnow.read_sample_customers()
    rows = ask(warehouse, "select user_id, activity_date from gold.fct_user_days")
    days = [(int(str(key)), day) for key, day in rows if isinstance(day, date)]
    curve = cdnow.cumulative_repeats((key, day) for key, day in days if key in sample)
    assert curve == cdnow.SAMPLE_REPEATS_BY_WEEK
    assert curve[cdnow.CALIBRATION_WEEKS - 1] == 2_457


def test_weekly_repeat_purchases_of_everybody_follow_from_the_daily_report(warehouse: Path) -> None:
    rows = ask(
        warehouse,
        "select floor(datediff('day', date '1997-01-01', activity_date) / 7)::int, "
        "sum(active_users_1d - new_users)::int from gold.rpt_active_users_daily "
        "where activity_date <= date '1998-06-30' group by 1 order by 1",
    )
    total, curve = 0, []
    for _week, repeats in rows:
        assert isinstance(repeats, int)
        total += repeats
        curve.append(total)
    bought = ((p.customer_id, p.day) for p in cdnow.read_master())
    assert tuple(curve) == cdnow.cumulative_repeats(bought)


def test_cohorts_of_1997_are_those_of_the_file(warehouse: Path) -> None:
    first: dict[int, date] = {}
    for purchase in cdnow.read_master():
        first[purchase.customer_id] = min(
            purchase.day, first.get(purchase.customer_id, purchase.day)
        )
    expected = Counter(day.replace(day=1) for day in first.values())
    assert max(first.values()) <= cdnow.LAST_COHORT_DATE
    for basis in ("signup", "first_activity"):
        rows = ask(
            warehouse,
            "select cohort_start, cohort_size from gold.rpt_retention where cohort_grain = 'month' "
            f"and cohort_basis = '{basis}' and retention_mode = 'on' and period_number = 0",
        )
        assert Counter(dict(rows)) == expected


def test_monthly_retention_of_each_cohort_equals_the_file(warehouse: Path) -> None:
    months: dict[int, set[int]] = {}
    for purchase in cdnow.read_master():
        number = purchase.day.year * 12 + purchase.day.month
        months.setdefault(purchase.customer_id, set()).add(number)
    expected: Counter[tuple[int, int]] = Counter()
    for bought in months.values():
        expected.update((min(bought), number - min(bought)) for number in bought)
    rows = ask(
        warehouse,
        "select year(cohort_start) * 12 + month(cohort_start), period_number, retained_users "
        "from gold.rpt_retention where cohort_grain = 'month' and cohort_basis = 'first_activity' "
        "and retention_mode = 'on' and retained_users > 0",
    )
    assert {(cohort, period): retained for cohort, period, retained in rows} == expected


def test_instants_fall_on_the_dates_of_the_file() -> None:
    purchase = cdnow.Purchase(cdnow.TRANSACTIONS, 1, date(1997, 7, 1), 0)
    assert purchase.instant - datetime(1997, 7, 1, 15) < timedelta(minutes=2)

"""The independent computation of registered people, regions and the row of each customer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from synapse_tests.oracle import DAY, MESSAGE_SENT, Product, shift, start_of
from synapse_tests.oracle_dimensions import UNKNOWN, Described, actives_by_dimension
from synapse_tests.oracle_growth import Registered, report_dates
from synapse_tests.oracle_journeys import sessions
from synapse_tests.oracle_money import Ledger
from synapse_tests.oracle_operations import Service, feature_of
from synapse_tests.oracle_truth import read_truth


@dataclass(frozen=True, slots=True)
class Growth:
    """R13: the row of one date."""

    registered: int
    signed_up: int
    rejoined: int
    left: int


def growth(registered: Registered) -> dict[date, Growth]:
    """R13: who is registered on each date, compared with the date before."""
    product = registered.product
    people = {user_id for user_id, person in product.people.items() if not person.is_internal}
    joined = {
        user_id: product.business_date(product.people[user_id].created_at) for user_id in people
    }
    dates = report_dates(product)

    def there_on(day: date) -> set[int]:
        return {user_id for user_id in people if registered.row(user_id, day) is not None}

    rows: dict[date, Growth] = {}
    before = there_on(dates[0] - DAY)
    for day in dates:
        there = there_on(day)
        newcomers = {user_id for user_id in people if joined[user_id] == day}
        rows[day] = Growth(
            registered=len(there),
            signed_up=len(newcomers),
            rejoined=len(there - before - newcomers),
            left=len(before - there) + len(newcomers - there),
        )
        before = there
    return rows


def adoption(described: Described) -> dict[tuple[date, str], tuple[int, int]]:
    """R14: date × region to actives of 28 days and people registered; no rows of zeros."""
    registered = described.registered
    rows: Counter[tuple[date, str]] = Counter()
    for day in report_dates(described.product):
        for user_id in described.product.people:
            values = registered.row(user_id, day)
            if values is not None:
                rows[(day, values["region"] or UNKNOWN)] += 1
    active = {
        (day, value): counts[2]
        for (day, name, value), counts in actives_by_dimension(described).items()
        if name == "region" and counts[2]
    }
    return {key: (active.get(key, 0), rows[key]) for key in active.keys() | rows.keys()}


@dataclass(frozen=True, slots=True)
class Customer:
    """The row of one person."""

    segment: str
    lifecycle_stage: str
    favourite_feature: str | None
    active_days: int
    active_days_28d: int
    sessions: int
    session_seconds: int
    messages: int
    mrr_cents: int
    ltv_cents: int


def customers(
    described: Described, ledger: Ledger, service: Service, lake: Path
) -> dict[str, Customer]:
    """Everybody who signed up or was active; the generated product has one currency."""
    product = described.product
    last = product.last_complete
    keys = {str(user_id) for user_id, who in product.people.items() if not who.is_internal}
    keys |= product.active_days.keys()
    visits, seconds = Counter[str](), Counter[str]()
    for session in sessions(product):
        if product.business_date(session.started_at) <= last:
            visits[session.user_key] += 1
            seconds[session.user_key] += (session.ended_at - session.started_at) // timedelta(
                seconds=1
            )
    messages: Counter[str] = Counter()
    uses: dict[str, Counter[str]] = {key: Counter() for key in keys}
    for (key, day), events in described.signals.items():
        if key in keys and day <= last:
            messages[key] += sum(1 for event in events if event.event_name == MESSAGE_SENT)
            uses[key].update(name for event in events if (name := feature_of(service, event)))
    paid: Counter[str] = Counter()
    for row in read_truth(lake, "payments"):
        if row["status"] == "paid":
            paid[str(row["user_id"])] += row["amount_cents"]
    month_ends = shift(start_of(last + DAY, "month"), "month", 1) - DAY
    mrr: Counter[str] = Counter()
    for (user_id, _), bill in ledger.bills(product.end_of(month_ends)).items():
        mrr[str(user_id)] += sum(bill.values())
    return {
        key: Customer(
            segment=described.registered.segment(int(key), last) or UNKNOWN,
            lifecycle_stage=_stage(product, key),
            favourite_feature=min(
                ((-count, name) for name, count in uses[key].items()), default=(0, None)
            )[1],
            active_days=sum(1 for day in product.active_days.get(key, ()) if day <= last),
            active_days_28d=sum(
                1 for day in product.active_days.get(key, ()) if last - 28 * DAY < day <= last
            ),
            sessions=visits[key],
            session_seconds=seconds[key],
            messages=messages[key],
            mrr_cents=mrr[key],
            ltv_cents=paid[key],
        )
        for key in keys
    }


def _stage(product: Product, key: str) -> str:
    week = start_of(product.last_complete + DAY, "week") - 7 * DAY
    weeks = {start_of(day, "week") for day in product.active_days.get(key, ())}
    before = week - 7 * DAY in weeks
    if week not in weeks:
        return "dormant" if before else "inactive"
    if min(weeks) == week:
        return "new"
    return "returning" if before else "resurrected"

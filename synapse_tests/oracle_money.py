"""The independent computation of churn and MRR (R7): who paid what when each month began."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from synapse_tests.oracle import DAY, Product, shift, start_of
from synapse_tests.oracle_past import Past, read_past
from synapse_tests.oracle_truth import read_truth

ALL_PLANS = "all"
MOVEMENTS = ("new", "reactivated", "expansion", "contraction", "churned")

Bill = dict[str, int]
"""Plan code to cents a month."""


@dataclass(frozen=True)
class Ledger:
    """R7: the histories of subscriptions and prices, and the currency of each subscription."""

    product: Product
    subscriptions: Past
    plans: Past
    currency_of_subscription: dict[int, str]
    currency_of_user: dict[int, str]

    def _pays_at(self, subscription_id: int, instant: datetime) -> tuple[int, int] | None:
        """Return the plan and its price while a subscription is paid for."""
        first = self.subscriptions.versions[subscription_id][0]
        if instant < first.begins:
            row = first.values
            until = row["canceled_at"]
            if row["status"] == "trialing" or not row["started_at"] <= instant:
                return None
            if until is not None and instant >= until:
                return None
        else:
            found = self.subscriptions.at(subscription_id, instant)
            if found is None or found["status"] not in ("active", "past_due"):
                return None
            row = found
        plan = self.plans.at(row["plan_id"], instant)
        if plan is None or plan["monthly_price_cents"] <= 0:
            return None
        return row["plan_id"], plan["monthly_price_cents"]

    def _owner(self, subscription_id: int) -> int:
        owner: int = self.subscriptions.versions[subscription_id][-1].values["user_id"]
        return owner

    def _currency(self, subscription_id: int) -> str:
        of_user = self.currency_of_user.get(self._owner(subscription_id), "unknown")
        return self.currency_of_subscription.get(subscription_id, of_user)

    def bills(self, instant: datetime) -> dict[tuple[int, str], Bill]:
        """Return what each paying customer pays at an instant, by currency and plan."""
        bills: dict[tuple[int, str], Bill] = defaultdict(lambda: defaultdict(int))
        for subscription_id in self.subscriptions.versions:
            owner = self._owner(subscription_id)
            paid = self._pays_at(subscription_id, instant)
            if paid is not None and not self.product.is_internal(str(owner)):
                code = self.plans.versions[paid[0]][-1].values["plan_code"]
                bills[(owner, self._currency(subscription_id))][code] += paid[1]
        return {key: dict(bill) for key, bill in bills.items()}

    def first_paid(self) -> dict[tuple[int, str], datetime]:
        """Return when each customer first paid in a currency: something begins at that instant."""
        moments = {
            version.begins for past in (self.subscriptions, self.plans)
            for versions in past.versions.values() for version in versions
        } | {
            versions[0].values["started_at"] for versions in self.subscriptions.versions.values()
        }  # fmt: skip
        first: dict[tuple[int, str], datetime] = {}
        for subscription_id in self.subscriptions.versions:
            key = (self._owner(subscription_id), self._currency(subscription_id))
            for moment in sorted(moments):
                if key in first and moment >= first[key]:
                    break
                if self._pays_at(subscription_id, moment) is not None:
                    first[key] = moment
                    break
        return first


def read_ledger(lake: Path, product: Product) -> Ledger:
    """Read the histories below a generated lake."""
    payments = sorted(
        read_truth(lake, "payments"), key=lambda row: (row["created_at"], row["payment_id"])
    )
    of_subscription: dict[int, str] = {}
    of_user: dict[int, str] = {}
    for row in payments:
        of_subscription.setdefault(row["subscription_id"], row["currency"])
        of_user.setdefault(row["user_id"], row["currency"])
    return Ledger(
        product,
        read_past(lake, "subscriptions", "subscription_id"),
        read_past(lake, "plans", "plan_id"),
        of_subscription,
        of_user,
    )


def report_months(product: Product) -> list[date]:
    """Return every month from the first event's to the one that has not ended."""
    first = min(
        product.business_date(event.occurred_at)
        for event in product.events
        if not product.is_internal(event.user_key)
    )
    months, month = [], start_of(first, "month")
    while month <= product.last_complete + DAY:
        months.append(month)
        month = shift(month, "month", 1)
    return months


def mrr(ledger: Ledger) -> dict[tuple[date, str, str], Bill]:
    """R7: month × currency × plan to opening, movements and closing; empty rows are left out."""
    rows: dict[tuple[date, str, str], Bill] = defaultdict(lambda: defaultdict(int))
    product, first_paid = ledger.product, ledger.first_paid()
    for month in report_months(product):
        starts = product.end_of(month - DAY)
        opening = ledger.bills(starts)
        closing = ledger.bills(product.end_of(shift(month, "month", 1) - DAY))
        for user, currency in opening.keys() | closing.keys():
            before = opening.get((user, currency), {})
            after = closing.get((user, currency), {})
            total = {ALL_PLANS: sum(before.values())}, {ALL_PLANS: sum(after.values())}
            for old, new in ((before, after), total):
                for plan in old.keys() | new.keys():
                    row = rows[(month, currency, plan)]
                    row["opening"] += old.get(plan, 0)
                    row["closing"] += new.get(plan, 0)
                    moved = new.get(plan, 0) - old.get(plan, 0)
                    if not before:
                        came = first_paid[(user, currency)] >= starts
                        row["new" if came else "reactivated"] += moved
                    elif not after:
                        row["churned"] -= moved
                    elif moved > 0:
                        row["expansion"] += moved
                    else:
                        row["contraction"] -= moved
    return {key: dict(row) for key, row in rows.items()}


@dataclass(frozen=True, slots=True)
class Churn:
    """R7: the row of one month: who was there, and who of them is gone."""

    activity_base: int
    activity_churned: int
    subscription_base: int
    subscription_churned: int
    is_complete: bool


def churn(ledger: Ledger) -> dict[date, Churn]:
    """R7: activity churn and subscription churn of every month."""
    product = ledger.product
    current = product.last_complete + DAY
    rows: dict[date, Churn] = {}
    for month in report_months(product):
        last = shift(month, "month", 1) - DAY
        counted: Counter[bool] = Counter()
        for days in product.active_days.values():
            known = {(last - day).days for day in days if day <= current}
            if any(28 <= back <= 55 for back in known):
                counted[any(0 <= back <= 27 for back in known)] += 1
        paying = {user for user, _ in ledger.bills(product.end_of(month - DAY))}
        still = {user for user, _ in ledger.bills(product.end_of(last))}
        rows[month] = Churn(
            activity_base=counted.total(),
            activity_churned=counted[False],
            subscription_base=len(paying),
            subscription_churned=len(paying - still),
            is_complete=last <= product.last_complete,
        )
    return rows

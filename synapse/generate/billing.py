"""Subscriptions and payments: trials, purchases, renewals, failures, refunds, plan changes."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.activity import Sessions
from synapse.generate.calendar import DAY_US, SECOND_US, Calendar
from synapse.generate.frames import Bools, Codes, Ints, integers, pool, take, timestamps
from synapse.generate.people import ACTIVE as ACTIVE_USER
from synapse.generate.people import People, Rows, choose
from synapse.generate.tables import ChangeBuffer

TRIALING, ACTIVE, PAST_DUE, CANCELED = range(4)
PAID, FAILED, REFUNDED = range(3)
FIRST_SUBSCRIPTION_ID = 9_001
FIRST_PAYMENT_ID = 30_001
PRICE_DECIDED_US = 9 * 3_600 * SECOND_US
"""Time of day (local) at which a price change is committed."""
TRIAL_DAYS = 7
MONTH_DAYS = 30

_STATUSES = pool(catalogue.SUBSCRIPTION_STATUSES)
_PAYMENT_STATUSES = pool(catalogue.PAYMENT_STATUSES)


def _ints() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass
class Subscriptions(Rows):
    """State of every subscription; the row is subscription_id - FIRST_SUBSCRIPTION_ID."""

    person: Ints = field(default_factory=_ints)
    plan: Codes = field(default_factory=_ints)
    status: Codes = field(default_factory=_ints)
    started_us: Ints = field(default_factory=_ints)
    trial_ends_us: Ints = field(default_factory=_ints)  # 0 = never on trial
    canceled_us: Ints = field(default_factory=_ints)  # 0 = not canceled
    updated_us: Ints = field(default_factory=_ints)
    created_day: Ints = field(default_factory=_ints)
    due_day: Ints = field(default_factory=_ints)  # next charge or end of trial; -10000 = none
    failures: Ints = field(default_factory=_ints)

    def __len__(self) -> int:
        return len(self.person)


@dataclass
class Payments(Rows):
    """State of every payment; the row is payment_id - FIRST_PAYMENT_ID."""

    subscription: Ints = field(default_factory=_ints)
    person: Ints = field(default_factory=_ints)
    amount: Ints = field(default_factory=_ints)
    status: Codes = field(default_factory=_ints)
    created_us: Ints = field(default_factory=_ints)
    updated_us: Ints = field(default_factory=_ints)
    day: Ints = field(default_factory=_ints)
    gone: Ints = field(default_factory=_ints)  # 1 = deleted from the source

    def __len__(self) -> int:
        return len(self.subscription)


@dataclass(frozen=True)
class Checkouts:
    """Checkouts started on a day: an event of the app each."""

    person: Ints
    at_us: Ints
    plan: Codes


_NEVER = -10_000


class Billing:
    """The billing system of the product, one day at a time."""

    def __init__(
        self, calendar: Calendar, people: People, changes: ChangeBuffer, charges: ChangeBuffer
    ) -> None:
        self._calendar = calendar
        self._people = people
        self._changes = changes
        self._charges = charges
        self.subscriptions = Subscriptions()
        self.payments = Payments()
        self._prices = np.array([plan.price_cents for plan in catalogue.PLANS], dtype=np.int64)

    def day(
        self, day: int, sessions: Sessions, closed: Ints, rng: np.random.Generator
    ) -> Checkouts:
        """Bill a day; a subscription changes at most once, and not on the day it was made."""
        subs, older = self.subscriptions, len(self.subscriptions)
        touched = np.zeros(older, dtype=np.bool_)
        owner = np.isin(subs.person, closed) & (subs.status != CANCELED)
        self._refund(day, rng)
        self._cancel(day, self._mark(touched, np.flatnonzero(owner)), rng)
        due = np.flatnonzero((subs.due_day == day) & (subs.status != CANCELED))
        trials = self._end_trials(day, self._mark(touched, due[subs.status[due] == TRIALING]), rng)
        self._charge_due(day, self._mark(touched, due), rng)
        paying = (subs.status == ACTIVE) & (subs.plan != catalogue.FREE) & ~touched
        asleep = ~self._people.engaged[subs.person]
        leave = np.flatnonzero(paying & (rng.random(older) < np.where(asleep, 0.02, 0.0035)))
        self._cancel(day, self._mark(touched, leave), rng)
        switch = np.flatnonzero(paying & (rng.random(older) < 0.004))
        self._switch(day, self._mark(touched, switch), rng)
        bought = self._buy(day, sessions, touched, rng)
        if day in catalogue.PRICE_CHANGES:
            plan, price = catalogue.PRICE_CHANGES[day]
            self._prices[plan] = price
        return Checkouts(
            person=np.concatenate([trials.person, bought.person]),
            at_us=np.concatenate([trials.at_us, bought.at_us]),
            plan=np.concatenate([trials.plan, bought.plan]),
        )

    @staticmethod
    def _mark(touched: Bools, rows: Ints) -> Ints:
        """Those of `rows` that nothing touched yet today; they are touched from now on."""
        free: Ints = rows[~touched[rows]]
        touched[free] = True
        return free

    def _moments(self, day: int, rng: np.random.Generator, count: int) -> Ints:
        latest = self._calendar.start_us(day) + DAY_US - 3_600 * SECOND_US
        return np.minimum(self._calendar.moments(day, rng, count), latest) // 1_000 * 1_000

    def _refund(self, day: int, rng: np.random.Generator) -> None:
        """Money back within a week; rarer, a charge made by mistake disappears from the source."""
        pays = self.payments
        recent = (pays.day < day) & (pays.day >= day - 7) & (pays.gone == 0)
        draw = rng.random(len(pays))
        back = np.flatnonzero(recent & (pays.status == PAID) & (draw < 0.004))
        drop = np.flatnonzero(recent & (pays.status == FAILED) & (draw > 0.99))
        pays.status[back] = REFUNDED
        pays.updated_us[back] = self._moments(day, rng, len(back))
        pays.gone[drop] = 1
        self._charges.add("U", pays.updated_us[back] + 4_000, self._payment_image(back))
        at = self._moments(day, rng, len(drop))
        self._charges.add("D", at, {"payment_id": integers(FIRST_PAYMENT_ID + drop)})

    def _cancel(self, day: int, rows: Ints, rng: np.random.Generator) -> None:
        subs = self.subscriptions
        at = self._moments(day, rng, len(rows))
        subs.status[rows] = CANCELED
        subs.canceled_us[rows] = at
        subs.due_day[rows] = _NEVER
        self._record(rows, at)

    def _end_trials(self, day: int, rows: Ints, rng: np.random.Generator) -> Checkouts:
        """Half of those on trial check out; the others are canceled when the trial ends."""
        subs = self.subscriptions
        converts = rng.random(len(rows)) < np.where(
            self._people.engaged[subs.person[rows]], 0.62, 0.15
        )
        pays, leaves = rows[converts], rows[~converts]
        at = subs.trial_ends_us[leaves]
        subs.status[leaves] = CANCELED
        subs.canceled_us[leaves] = at
        subs.due_day[leaves] = _NEVER
        self._record(leaves, at)
        checkout = self._moments(day, rng, len(pays))
        paid = checkout + rng.integers(25, 400, len(pays)) * SECOND_US
        self._settle(day, pays, paid, rng, success=0.93)
        return Checkouts(subs.person[pays], checkout, subs.plan[pays])

    def _charge_due(self, day: int, rows: Ints, rng: np.random.Generator) -> None:
        self._settle(day, rows, self._moments(day, rng, len(rows)), rng, success=0.94)

    def _settle(
        self, day: int, rows: Ints, at: Ints, rng: np.random.Generator, *, success: float
    ) -> None:
        """Charge: paid is active for a month more; failed is past due, and twice is the end."""
        subs = self.subscriptions
        paid = rng.random(len(rows)) < success
        ends = ~paid & (subs.failures[rows] >= 1)
        subs.failures[rows] = np.where(paid, 0, subs.failures[rows] + 1)
        subs.status[rows] = np.select([paid, ends], [ACTIVE, CANCELED], PAST_DUE)
        subs.canceled_us[rows] = np.where(ends, at, subs.canceled_us[rows])
        subs.due_day[rows] = np.select([paid, ends], [day + MONTH_DAYS, _NEVER], day + 3)
        self._pay(day, rows, at, np.where(paid, PAID, FAILED))
        self._record(rows, at)

    def _switch(self, day: int, rows: Ints, rng: np.random.Generator) -> None:
        """Two upgrades to one downgrade; the new price counts from the next charge."""
        subs = self.subscriptions
        step = np.where(rng.random(len(rows)) < 0.66, 1, -1)
        plan = (subs.plan[rows] + step).clip(1, 3)
        at = self._moments(day, rng, len(rows))
        moved = plan != subs.plan[rows]
        subs.plan[rows] = plan
        self._record(rows[moved], at[moved])

    def _buy(
        self, day: int, sessions: Sessions, touched: Bools, rng: np.random.Generator
    ) -> Checkouts:
        """Those who came today may take the free plan, start a trial, or buy at once."""
        people, subs = self._people, self.subscriptions
        person, first = np.unique(sessions.person, return_index=True)
        when = sessions.start_us[first]
        current = people.subscription[person]
        live = np.zeros(len(person), dtype=np.bool_)
        has = current >= 0
        live[has] = subs.status[current[has]] != CANCELED
        on_free = live & (subs.plan[current] == catalogue.FREE) if len(subs) else live
        busy = has & live
        busy[has] |= touched[current[has]] | (subs.created_day[current[has]] == day)
        allowed = (people.status[person] == ACTIVE_USER) & ~people.internal[person]
        new = people.created_day[person] == day
        draw = rng.random(len(person))
        open_ = allowed & ~busy
        free = open_ & new & (draw < 0.22)
        trial = open_ & ~free & (draw > np.where(new, 0.955, 0.987))
        direct = open_ & ~free & ~trial & (draw > np.where(new, 0.915, 0.978))
        upgrade = allowed & on_free & ~touched[current] & (draw > 0.985) if len(subs) else on_free
        # Nothing here may cross midnight: tomorrow's changes must commit after today's.
        latest = self._calendar.start_us(day) + DAY_US - 900 * SECOND_US
        at = np.minimum(when + rng.integers(30, 900, len(person)) * SECOND_US, latest)
        at = np.maximum(at, people.created_us[person] + 2_000_000) // 1_000 * 1_000
        plan = choose(rng, catalogue.PURCHASE_WEIGHTS, len(person))
        plan[free] = catalogue.FREE
        paid_at = at + rng.integers(20, 300, len(person)) * SECOND_US
        self._open(day, person[free], plan[free], at[free], trial=False)
        self._open(day, person[trial], plan[trial], at[trial], trial=True)
        made = self._open(day, person[direct], plan[direct], paid_at[direct], trial=False)
        paid = np.full(int(direct.sum()), PAID, dtype=np.int64)
        self._pay(day, made, paid_at[direct] - 2_000_000, paid)
        raised = self._mark(touched, current[upgrade])
        subs.plan[raised] = plan[upgrade]
        self._settle(day, raised, paid_at[upgrade], rng, success=1.0)
        asks = direct | upgrade
        return Checkouts(person[asks], at[asks], plan[asks])

    def _open(self, day: int, person: Ints, plan: Codes, at: Ints, *, trial: bool) -> Ints:
        subs, count = self.subscriptions, len(person)
        rows = len(subs) + np.arange(count, dtype=np.int64)
        due = np.full(count, day + (TRIAL_DAYS if trial else MONTH_DAYS), dtype=np.int64)
        due[plan == catalogue.FREE] = _NEVER
        subs.extend(
            Subscriptions(
                person=person,
                plan=plan,
                status=np.full(count, TRIALING if trial else ACTIVE, dtype=np.int64),
                started_us=at,
                trial_ends_us=at + TRIAL_DAYS * DAY_US if trial else np.zeros_like(at),
                canceled_us=np.zeros_like(at),
                updated_us=at,
                created_day=np.full(count, day, dtype=np.int64),
                due_day=due,
                failures=np.zeros_like(at),
            )
        )
        self._people.subscription[person] = rows
        self._changes.add("I", at + 3_000, self._image(rows))
        return rows

    def _pay(self, day: int, rows: Ints, at: Ints, status: Codes) -> None:
        subs, count = self.subscriptions, len(rows)
        new = len(self.payments) + np.arange(count, dtype=np.int64)
        plan = subs.plan[rows]
        late = at > self._calendar.start_us(day) + PRICE_DECIDED_US
        price = self._prices[plan].copy()
        changed = catalogue.PRICE_CHANGES.get(day)
        if changed is not None:
            price[late & (plan == changed[0])] = changed[1]
        self.payments.extend(
            Payments(
                subscription=rows,
                person=subs.person[rows],
                amount=price,
                status=status,
                created_us=at,
                updated_us=at,
                day=np.full(count, day, dtype=np.int64),
                gone=np.zeros(count, dtype=np.int64),
            )
        )
        self._charges.add("I", at + 5_000, self._payment_image(new))

    def _record(self, rows: Ints, at: Ints) -> None:
        self.subscriptions.updated_us[rows] = at
        self._changes.add("U", at + 6_000, self._image(rows))

    def _image(self, rows: Ints) -> dict[str, pa.Array]:
        subs = self.subscriptions
        trial, canceled = subs.trial_ends_us[rows], subs.canceled_us[rows]
        return {
            "subscription_id": integers(FIRST_SUBSCRIPTION_ID + rows),
            "user_id": integers(self._people.user_id(subs.person[rows])),
            "plan_id": integers(subs.plan[rows] + 1),
            "status": take(_STATUSES, subs.status[rows]),
            "started_at": timestamps(subs.started_us[rows]),
            "trial_ends_at": timestamps(trial, trial == 0),
            "canceled_at": timestamps(canceled, canceled == 0),
            "created_at": timestamps(subs.started_us[rows]),
            "updated_at": timestamps(subs.updated_us[rows]),
        }

    def _payment_image(self, rows: Ints) -> dict[str, pa.Array]:
        pays = self.payments
        created = pays.created_us[rows]
        return {
            "payment_id": integers(FIRST_PAYMENT_ID + rows),
            "user_id": integers(self._people.user_id(pays.person[rows])),
            "subscription_id": integers(FIRST_SUBSCRIPTION_ID + pays.subscription[rows]),
            "amount_cents": integers(pays.amount[rows]),
            "currency": pa.repeat("BRL", len(rows)),
            "status": take(_PAYMENT_STATUSES, pays.status[rows]),
            "paid_at": timestamps(created, pays.status[rows] == FAILED),
            "created_at": timestamps(created),
            "updated_at": timestamps(pays.updated_us[rows]),
        }

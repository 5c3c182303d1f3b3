"""The independent computation of dimensions (R14): what was true of whom at the end of a date."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from synapse_tests.oracle import (
    DAY,
    GRAINS,
    MESSAGE_SENT,
    Event,
    Product,
    Retained,
    active_between,
    cohorts,
    members,
    shift,
)
from synapse_tests.oracle_growth import Registered, report_dates
from synapse_tests.oracle_journeys import Attempt, attempts
from synapse_tests.oracle_past import Past, Row, read_past
from synapse_tests.oracle_truth import read_truth

DIMENSIONS = ("region", "country", "platform", "acquisition_channel", "plan", "segment")
WINDOWS = (1, 7, 28, 30)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """What one event says of where and on what it happened."""

    platform: str | None = None
    region: str | None = None
    country: str | None = None


@dataclass(frozen=True)
class Described:
    """R14: everybody's dimensions on any date."""

    registered: Registered
    subscriptions: Past
    plans: Past
    told: dict[str, Told]
    subscriptions_of: dict[int, list[int]] = field(init=False)
    signals: dict[tuple[str, date], list[Event]] = field(init=False)
    events_of: dict[str, list[Event]] = field(init=False)

    def __post_init__(self) -> None:
        owned: dict[int, list[int]] = defaultdict(list)
        for identity, versions in self.subscriptions.versions.items():
            owned[versions[-1].values["user_id"]].append(identity)
        object.__setattr__(self, "subscriptions_of", dict(owned))
        signals: dict[tuple[str, date], list[Event]] = defaultdict(list)
        events_of: dict[str, list[Event]] = defaultdict(list)
        product = self.product
        for event in product.events:
            events_of[event.user_key].append(event)
            wrote = event.event_name == MESSAGE_SENT and not event.is_app_event
            if wrote or event.event_name in product.active_signals:
                day = product.business_date(event.occurred_at)
                signals[(event.user_key, day)].append(event)
        for events in signals.values():
            events.sort(key=lambda event: (event.occurred_at, event.event_id))
        object.__setattr__(self, "signals", dict(signals))
        object.__setattr__(self, "events_of", dict(events_of))

    @property
    def product(self) -> Product:
        """The product that is described."""
        return self.registered.product

    def says(self, event: Event) -> Told:
        """Return what an event tells."""
        return self.told.get(event.event_id, Told())

    def _held_at_end(self, subscription_id: int, end: datetime) -> Row | None:
        first = self.subscriptions.versions[subscription_id][0]
        if end <= first.begins:
            row = first.values
            until = row["canceled_at"]
            held = row["started_at"] < end and (until is None or end <= until)
            return row if held else None
        found = self.subscriptions.before(subscription_id, end)
        if found is None or found["status"] not in ("trialing", "active", "past_due"):
            return None
        return found

    def plan(self, user_id: int, end: datetime) -> str:
        """R14: the code of the plan held when a date ends."""
        if self.registered.users.before(user_id, end) is None:
            return UNKNOWN
        held = [
            (row["started_at"], identity, row["plan_id"])
            for identity in self.subscriptions_of.get(user_id, [])
            if (row := self._held_at_end(identity, end)) is not None
        ]
        if not held:
            return "none"
        code: str = self.plans.versions[max(held)[2]][-1].values["plan_code"]
        return code

    def of_row(self, name: str, user_id: int, day: date) -> str | None:
        """R14: what the person's own rows say at a date's end; None where they say nothing."""
        end = self.product.end_of(day)
        if name == "plan":
            return self.plan(user_id, end)
        if name == "segment":
            return self.registered.segment(user_id, day)
        row = self.registered.users.before(user_id, end)
        return None if row is None or name == "platform" else row[name]

    def value(self, name: str, user_key: str, day: date, active_day: date) -> str:
        """R14: a dimension of a person at a date's end who was last active on `active_day`."""
        told = [self.says(event) for event in self.signals.get((user_key, active_day), [])]
        if name == "platform":
            return (told[0].platform if told else None) or UNKNOWN
        said = (getattr(one, name, None) for one in told)
        return self.of_row(name, int(user_key), day) or next(filter(None, said), UNKNOWN)

    def value_of_attempt(self, name: str, attempt: Attempt, first_event: str) -> str:
        """R14: a dimension of an attempt at a funnel at the end of its entry date."""
        began = attempt.reached[0]
        event = min(
            (
                event
                for event in self.events_of.get(attempt.user_key, [])
                if event.occurred_at == began and event.event_name == first_event
            ),
            key=lambda event: event.event_id,
        )
        known = None
        if attempt.user_key.isdigit():
            day = self.product.business_date(began)
            known = self.of_row(name, int(attempt.user_key), day)
        return known or getattr(self.says(event), name, None) or UNKNOWN


def read_described(lake: Path, registered: Registered) -> Described:
    """Read what describes people and events below a generated lake."""
    told = {
        row["event_id"]: Told(row["platform"], row["region"], row["country"])
        for row in read_truth(lake, "events")
    }
    conversations = read_past(lake, "conversations", "conversation_id").versions
    for row in read_truth(lake, "messages"):
        versions = conversations.get(row["conversation_id"])
        channel = versions[-1].values["channel"] if versions else None
        told[f"{MESSAGE_SENT}:dms:{row['message_id']}"] = Told(channel)
    for row in read_truth(lake, "document_messages"):
        place = f"{row['conversation_id']}:{row['position']}"
        told[f"{MESSAGE_SENT}:documents:{place}"] = Told(row["channel"])
    return Described(
        registered,
        read_past(lake, "subscriptions", "subscription_id"),
        read_past(lake, "plans", "plan_id"),
        told,
    )


def actives_by_dimension(described: Described) -> dict[tuple[date, str, str], tuple[int, ...]]:
    """R14, R3: date × dimension × value to actives of 1, 7, 28 and 30 days; no rows of zeros."""
    rows: dict[tuple[date, str, str], Counter[int]] = defaultdict(Counter)
    for day in report_dates(described.product):
        for key, days in described.product.active_days.items():
            before = [active for active in days if day - 30 * DAY < active <= day]
            if not before:
                continue
            latest = max(before)
            for name in DIMENSIONS:
                value = described.value(name, key, day, latest)
                rows[(day, name, value)].update(
                    window for window in WINDOWS if (day - latest).days < window
                )
    return {key: tuple(counts[window] for window in WINDOWS) for key, counts in rows.items()}


def retention_by_dimension(
    described: Described,
) -> dict[tuple[str, str, str, str, date, int], Retained]:
    """R6, R14: dimension × value × basis × grain × cohort × period, in mode on."""
    product, last = described.product, described.product.last_complete
    cells = {}
    for basis in ("signup", "first_activity"):
        joined = members(product, basis)
        for name in DIMENSIONS:
            values = {
                key: described.value(name, key, day, day)
                for key, day in joined.items()
                if day <= last
            }
            for grain in GRAINS:
                for start, keys in cohorts(product, basis, grain).items():
                    period = 0
                    while (begins := shift(start, grain, period)) <= last:
                        ends = shift(start, grain, period + 1) - DAY
                        for value in {values[key] for key in keys}:
                            if grain == "day" and period not in (1, 7, 30):
                                continue
                            alike = [key for key in keys if values[key] == value]
                            cells[(name, value, basis, grain, start, period)] = Retained(
                                len(alike),
                                active_between(product, alike, begins, ends),
                                ends <= last,
                            )
                        period += 1
    return cells


def funnel_by_dimension(
    described: Described,
) -> dict[tuple[str, date, str, str], list[int]]:
    """R8, R14: funnel × entry date × dimension × value to attempts that reached each step."""
    rows: dict[tuple[str, date, str, str], list[int]] = {}
    funnels = {funnel.name: funnel.events for funnel in described.product.funnels}
    for attempt in attempts(described.product):
        steps = funnels[attempt.funnel_name]
        day = described.product.business_date(attempt.reached[0])
        for name in DIMENSIONS:
            value = described.value_of_attempt(name, attempt, steps[0])
            row = rows.setdefault((attempt.funnel_name, day, name, value), [0] * len(steps))
            for place in range(len(attempt.reached)):
                row[place] += 1
    return rows

"""The independent computation of how the service ran: visits, features, waiting, errors, models.

As in oracle.py: loops over the generator's truth, nothing taken from the models (R9 to R16).
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from synapse_tests.oracle import DAY, MESSAGE_SENT, Event, Product, daily_actives
from synapse_tests.oracle_journeys import nearest_rank, sessions
from synapse_tests.oracle_truth import read_truth

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Message:
    """A living message of either source; `order` breaks ties of `sent_at` in its conversation."""

    conversation_id: str
    order: int
    user_id: int | None
    role: str
    model: str | None
    token_count: int | None
    sentiment: Decimal | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """Cents per million tokens from a business date on."""

    valid_from: date
    input_cents: Decimal
    output_cents: Decimal


@dataclass(frozen=True)
class Service:
    """A product, and what only its operations ask for."""

    product: Product
    properties: dict[str, dict[str, Any]]  # of app events, by event_id
    documented: frozenset[str]
    messages: list[Message]
    prices: dict[str, list[Price]]

    def dates(self) -> Iterator[date]:
        """Every date from the first event of anybody but internals to the last complete date."""
        day = min(self.product.business_date(event.occurred_at) for event in self.events())
        while day <= self.product.last_complete:
            yield day
            day += DAY

    def events(self) -> list[Event]:
        """R2: the stream without internal users."""
        return [e for e in self.product.events if not self.product.is_internal(e.user_key)]

    def counted_messages(self) -> list[Message]:
        """R2: the messages of everybody but internal users."""
        return [m for m in self.messages if not self.product.is_internal(str(m.user_id))]


def load_service(product: Product, lake: Path, seeds: Path) -> Service:
    """Read what the product does not hold from the same truth and seeds."""
    messages = [
        Message(f"dms:{row['conversation_id']}", row["message_id"], *_values(row))
        for row in read_truth(lake, "messages")
    ] + [
        Message(f"documents:{row['conversation_id']}", row["position"], *_values(row))
        for row in read_truth(lake, "document_messages")
        if row["position"] is not None
    ]
    prices: dict[str, list[Price]] = defaultdict(list)
    with (seeds / "model_prices.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            prices[row["model"]].append(
                Price(
                    date.fromisoformat(row["valid_from"]),
                    Decimal(row["input_price_cents_per_million"]),
                    Decimal(row["output_price_cents_per_million"]),
                )
            )
    with (seeds / "tracking_plan.csv").open(encoding="utf-8") as stream:
        documented = frozenset(row["event_name"] for row in csv.DictReader(stream))
    properties = {
        row["event_id"]: json.loads(row["properties"] or "{}") for row in read_truth(lake, "events")
    }
    return Service(product, properties, documented, messages, dict(prices))


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("user_id", "role", "model", "token_count", "sentiment", "sent_at")
    return tuple(row[name] for name in names)


# --- R9 -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionDay:
    """R9: the sessions that began on one date."""

    sessions: int
    users: int
    known_users: int
    events: int
    seconds: int
    median_seconds: int | None
    p90_seconds: int | None


def session_days(service: Service) -> dict[date, SessionDay]:
    """R9: every date, zeros included."""
    product = service.product
    found: dict[date, list[tuple[str, int, int]]] = defaultdict(list)
    for one in sessions(product):
        if not product.is_internal(one.user_key):
            seconds = (one.ended_at - one.started_at) // timedelta(seconds=1)
            day = product.business_date(one.started_at)
            found[day].append((one.user_key, one.event_count, seconds))
    rows = {}
    for day in service.dates():
        keys = {key for key, _, _ in found[day]}
        durations = [seconds for _, _, seconds in found[day]]
        rows[day] = SessionDay(
            len(durations),
            len(keys),
            len([key for key in keys if not key.startswith("anon:")]),
            sum(events for _, events, _ in found[day]),
            sum(durations),
            nearest_rank(durations, 50),
            nearest_rank(durations, 90),
        )
    return rows


# --- R10 ----------------------------------------------------------------------------------------


def feature_of(service: Service, event: Event) -> str | None:
    """R10: properties.feature, else the documented name."""
    if not event.is_app_event:
        return event.event_name
    named = service.properties[event.event_id].get("feature")
    if named not in (None, "") and not isinstance(named, dict | list):
        return str(named)
    return event.event_name if event.event_name in service.documented else None


def feature_days(service: Service) -> dict[tuple[str, date], tuple[int, int, int, int]]:
    """R10: (uses, users, users in 28 days, active users in 28 days) of each feature and date."""
    uses: dict[tuple[str, date], list[str]] = defaultdict(list)
    for event in service.events():
        feature = feature_of(service, event)
        if feature is not None and not event.user_key.startswith("anon:"):
            day = service.product.business_date(event.occurred_at)
            uses[(feature, day)].append(event.user_key)
    features = {feature for feature, _ in uses}
    actives = daily_actives(service.product)
    rows = {}
    for day in service.dates():
        active = actives[day].active_28d if day in actives else 0
        for feature in features:
            window: set[str] = set()
            for back in range(28):
                window.update(uses.get((feature, day - back * DAY), ()))
            today = uses.get((feature, day), [])
            rows[(feature, day)] = (len(today), len(set(today)), len(window), active)
    return rows


# --- R11 ----------------------------------------------------------------------------------------


def responses(service: Service) -> list[tuple[datetime, int]]:
    """R11: when each response was given, and its microseconds."""
    talks: dict[str, list[Message]] = defaultdict(list)
    for message in service.messages:
        if message.role != "system":
            talks[message.conversation_id].append(message)
    internal = service.product.is_internal
    found = []
    for talk in talks.values():
        talk.sort(key=lambda one: (one.sent_at, one.order))
        for asked, answer in pairwise(talk):
            if (asked.role, answer.role) != ("user", "assistant"):
                continue
            if not internal(str(asked.user_id)) and not internal(str(answer.user_id)):
                found.append((answer.sent_at, (answer.sent_at - asked.sent_at) // MICROSECOND))
    return found


def response_days(service: Service) -> dict[date, tuple[int, tuple[Decimal | None, ...]]]:
    """R11: responses of every date and their 50th, 90th, 95th and 99th percentile in seconds."""
    found: dict[date, list[int]] = defaultdict(list)
    for responded_at, micros in responses(service):
        found[service.product.business_date(responded_at)].append(micros)
    return {
        day: (len(found[day]), tuple(_seconds(found[day], p) for p in (50, 90, 95, 99)))
        for day in service.dates()
    }


def _seconds(micros: list[int], percent: int) -> Decimal | None:
    value = nearest_rank(micros, percent)
    return None if value is None else Decimal(value) / MILLION


# --- R12 ----------------------------------------------------------------------------------------


def requests(service: Service) -> list[tuple[datetime, bool]]:
    """R12: when each request was made, and whether the service failed it."""
    return [
        (event.occurred_at, int(service.properties[event.event_id]["status"]) >= 500)
        for event in service.events()
        if event.is_app_event and event.event_name == "api_request"
    ]


def error_hours(service: Service) -> dict[datetime, tuple[int, int]]:
    """R12: (requests, errors) of every hour from the first event to the last complete date."""
    rows = {}
    hour = min(e.occurred_at for e in service.events()).replace(minute=0, second=0, microsecond=0)
    while hour < service.product.end_of(service.product.last_complete):
        rows[hour] = (0, 0)
        hour += HOUR
    for at, failed in requests(service):
        hour = at.replace(minute=0, second=0, microsecond=0)
        if hour in rows:
            rows[hour] = (rows[hour][0] + 1, rows[hour][1] + failed)
    return rows


# --- R15 ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class ModelDay:
    """R15: what one language model did on one date."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_cents: Decimal | None = None
    scored: int = 0
    mean_sentiment: Decimal | None = None


def model_days(service: Service) -> dict[tuple[str, date], ModelDay]:
    """R15: every model that was used × every date."""
    found: dict[tuple[str, date], list[Message]] = defaultdict(list)
    for message in service.counted_messages():
        day = service.product.business_date(message.sent_at)
        found[(message.model or "unknown", day)].append(message)
    models = {model for model, _ in found}
    rows = {}
    for day in service.dates():
        for model in models:
            row = ModelDay()
            price = _price(service, model, day)
            row.cost_cents = None if price is None else Decimal(0)
            scores = []
            for message in found.get((model, day), []):
                tokens = message.token_count or 0
                written = message.role == "assistant"
                row.messages += 1
                row.input_tokens += 0 if written else tokens
                row.output_tokens += tokens if written else 0
                if price is not None and row.cost_cents is not None:
                    cents = price.output_cents if written else price.input_cents
                    row.cost_cents += tokens * cents / MILLION
                if message.sentiment is not None:
                    scores.append(message.sentiment)
            row.scored = len(scores)
            if scores:
                mean = sum(scores, Decimal(0)) / len(scores)
                row.mean_sentiment = mean.quantize(Decimal("0.0001"), ROUND_HALF_UP)
            rows[(model, day)] = row
    return rows


def _price(service: Service, model: str, day: date) -> Price | None:
    valid = [price for price in service.prices.get(model, []) if price.valid_from <= day]
    return max(valid, key=lambda price: price.valid_from, default=None)


# --- R16 ----------------------------------------------------------------------------------------


def minutes(service: Service, end: datetime) -> dict[datetime, tuple[int, ...]]:
    """R16: (active users, messages, requests, errors, responses) of the 60 minutes before `end`."""
    minute = timedelta(minutes=1)
    active: dict[datetime, set[str]] = defaultdict(set)
    for event in service.events():
        wrote = event.event_name == MESSAGE_SENT and not event.is_app_event
        signal = event.event_name in service.product.active_signals
        if (wrote or signal) and not event.user_key.startswith("anon:"):
            active[_minute(event.occurred_at)].add(event.user_key)
    written = Counter(_minute(message.sent_at) for message in service.counted_messages())
    made = Counter(_minute(at) for at, _ in requests(service))
    failed = Counter(_minute(at) for at, is_error in requests(service) if is_error)
    answered = Counter(_minute(at) for at, _ in responses(service))
    return {
        at: (len(active[at]), written[at], made[at], failed[at], answered[at])
        for at in (end - back * minute for back in range(60, 0, -1))
    }


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)

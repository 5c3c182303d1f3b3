"""The independent computation of what is done event by event: funnels (R8) and sessions (R9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from synapse_tests.oracle import DAY, MESSAGE_SENT, Event, FunnelDefinition, Product

SESSION_GAP = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Attempt:
    """R8: one attempt; `reached` holds the instants of steps 1, 2, … as far as it came."""

    funnel_name: str
    user_key: str
    attempt_number: int
    reached: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class StepReport:
    """R8: one step of one funnel and entry date; seconds are since the attempt's start."""

    entered: int
    reached: int
    reached_before: int
    median_seconds: int | None
    p90_seconds: int | None
    is_mature: bool


def _one_attempt(
    events: Sequence[Event], funnel: FunnelDefinition, began: datetime
) -> tuple[datetime, ...]:
    reached = [began]
    for name in funnel.events[1:]:
        later = [
            event.occurred_at
            for event in events
            if event.event_name == name
            and event.occurred_at > reached[-1]
            and event.occurred_at <= began + funnel.window
        ]
        if not later:
            break
        reached.append(min(later))
    return tuple(reached)


def attempts(product: Product) -> list[Attempt]:
    """R8: every attempt of everyone but internals; anonymous visitors are in."""
    by_key: dict[str, list[Event]] = defaultdict(list)
    for event in product.events:
        if not product.is_internal(event.user_key):
            by_key[event.user_key].append(event)
    found = []
    for funnel in product.funnels:
        for key, events in by_key.items():
            entries = sorted(e.occurred_at for e in events if e.event_name == funnel.events[0])
            number, closed = 0, None
            for began in entries:
                if closed is not None and began <= closed:
                    continue
                number += 1
                reached = _one_attempt(events, funnel, began)
                complete = len(reached) == len(funnel.events)
                closed = reached[-1] if complete else began + funnel.window
                found.append(Attempt(funnel.name, key, number, reached))
    return found


def nearest_rank(values: Sequence[int], percent: int) -> int | None:
    """Return the nearest-rank percentile: the value at rank ceil(percent / 100 × count)."""
    if not values:
        return None
    rank = -(-percent * len(values) // 100)
    return sorted(values)[max(rank, 1) - 1]


def funnel_report(
    product: Product, found: Sequence[Attempt]
) -> dict[tuple[str, date, int], StepReport]:
    """R8: funnel × entry date × step, for entry dates on which somebody entered."""
    rows: dict[tuple[str, date, int], StepReport] = {}
    for funnel in product.funnels:
        by_date: dict[date, list[Attempt]] = defaultdict(list)
        for attempt in found:
            if attempt.funnel_name == funnel.name:
                by_date[product.business_date(attempt.reached[0])].append(attempt)
        for day, entered in by_date.items():
            mature = product.end_of(day) + funnel.window <= product.end_of(product.last_complete)
            for step in range(1, len(funnel.events) + 1):
                there = [a for a in entered if len(a.reached) >= step]
                seconds = [_whole_seconds(a.reached[step - 1] - a.reached[0]) for a in there]
                rows[(funnel.name, day, step)] = StepReport(
                    entered=len(entered),
                    reached=len(there),
                    reached_before=len([a for a in entered if len(a.reached) >= step - 1]),
                    median_seconds=nearest_rank(seconds, 50),
                    p90_seconds=nearest_rank(seconds, 90),
                    is_mature=mature,
                )
    return rows


def _whole_seconds(span: timedelta) -> int:
    return span // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Session:
    """R9: one session."""

    user_key: str
    started_at: datetime
    ended_at: datetime
    event_count: int


def sessions(product: Product) -> list[Session]:
    """R9: app events and user messages of one key; a gap of more than 30 minutes starts anew."""
    by_key: dict[str, list[datetime]] = defaultdict(list)
    for event in product.events:
        if event.is_app_event or event.event_name == MESSAGE_SENT:
            by_key[event.user_key].append(event.occurred_at)
    found = []
    for key, instants in by_key.items():
        instants.sort()
        open_from = 0
        for place in range(1, len(instants) + 1):
            at_end = place == len(instants)
            if at_end or instants[place] - instants[place - 1] > SESSION_GAP:
                found.append(
                    Session(key, instants[open_from], instants[place - 1], place - open_from)
                )
                open_from = place
    return found


def last_mature_entry(product: Product, funnel: FunnelDefinition) -> date:
    """R8: the newest entry date whose window has ended by the last complete date."""
    day = product.last_complete
    while product.end_of(day) + funnel.window > product.end_of(product.last_complete):
        day -= DAY
    return day

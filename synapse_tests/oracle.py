"""An independent computation of the product's numbers: plain Python, straight from the rules.

Nothing here shares code, SQL or shortcuts with the models: sets, dicts and loops only, so that an
agreement means something. Instants are naive UTC `datetime`s as the lake holds them; dates are
business dates (R1). The rule numbers are those of docs/rules.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MESSAGE_SENT = "message_sent"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Person:
    """A row that ever was in `users`: first `created_at`, and whether ever marked internal."""

    user_id: int
    created_at: datetime
    is_internal: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event, as the source knew it, before anybody is identified."""

    event_id: str
    event_name: str
    occurred_at: datetime
    user_id: int | None
    anonymous_id: str | None = None
    is_app_event: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the activity stream with its user key (R2)."""

    event_id: str
    event_name: str
    occurred_at: datetime
    user_key: str
    is_app_event: bool


@dataclass(frozen=True, slots=True)
class FunnelDefinition:
    """A funnel of the seed: the event names in step order, and the window."""

    name: str
    events: tuple[str, ...]
    window: timedelta


@dataclass(frozen=True)
class Product:
    """Everything that the numbers depend on."""

    people: dict[int, Person]
    sightings: list[Sighting]
    active_signals: frozenset[str]
    funnels: list[FunnelDefinition]
    timezone: ZoneInfo
    last_complete: date
    events: list[Event] = field(init=False)
    active_days: dict[str, set[date]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", _stream(self))
        object.__setattr__(self, "active_days", _active_days(self))

    def business_date(self, instant: datetime) -> date:
        """R1: the date of a UTC instant in the business time zone."""
        return instant.replace(tzinfo=UTC).astimezone(self.timezone).date()

    def end_of(self, day: date) -> datetime:
        """Return the UTC instant (naive) at which a business date ends."""
        midnight = datetime.combine(day + DAY, datetime.min.time(), self.timezone)
        return midnight.astimezone(UTC).replace(tzinfo=None)

    def is_internal(self, user_key: str) -> bool:
        """R2: whether the key is that of a person ever marked internal."""
        return user_key.isdigit() and (
            (person := self.people.get(int(user_key))) is not None and person.is_internal
        )


def _stream(product: Product) -> list[Event]:
    """R2: tie each anonymous_id to the user of its least (occurred_at, event_id) known sighting."""
    least: dict[str, tuple[datetime, str, int]] = {}
    for seen in product.sightings:
        if seen.anonymous_id is not None and seen.user_id is not None:
            candidate = (seen.occurred_at, seen.event_id, seen.user_id)
            if seen.anonymous_id not in least or candidate < least[seen.anonymous_id]:
                least[seen.anonymous_id] = candidate
    stream = []
    for seen in product.sightings:
        if seen.user_id is not None:
            key = str(seen.user_id)
        elif seen.anonymous_id is None:
            key = f"anon:event:{seen.event_id}"
        elif seen.anonymous_id in least:
            key = str(least[seen.anonymous_id][2])
        else:
            key = f"anon:{seen.anonymous_id}"
        stream.append(
            Event(seen.event_id, seen.event_name, seen.occurred_at, key, seen.is_app_event)
        )
    return stream


def _active_days(product: Product) -> dict[str, set[date]]:
    """R2: user_key to the dates on which that person was active; no internals, nobody anonymous."""
    days: dict[str, set[date]] = defaultdict(set)
    for event in product.events:
        wrote = event.event_name == MESSAGE_SENT and not event.is_app_event
        signal = event.event_name in product.active_signals
        known = not event.user_key.startswith("anon:")
        if (wrote or signal) and known and not product.is_internal(event.user_key):
            days[event.user_key].add(product.business_date(event.occurred_at))
    return dict(days)


# --- R3 -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DailyActives:
    """R3: the row of one date."""

    active_1d: int
    active_7d: int
    active_28d: int
    active_30d: int
    new_users: int


def daily_actives(product: Product) -> dict[date, DailyActives]:
    """R3: every date from the first activity to the last complete date, zeros included."""
    by_date: dict[date, set[str]] = defaultdict(set)
    first: dict[str, date] = {}
    for key, days in product.active_days.items():
        first[key] = min(days)
        for day in days:
            by_date[day].add(key)
    if not by_date:
        return {}
    rows: dict[date, DailyActives] = {}
    day = min(by_date)
    while day <= product.last_complete:
        counts = {}
        for span in (1, 7, 28, 30):
            seen: set[str] = set()
            for back in range(span):
                seen |= by_date.get(day - back * DAY, set())
            counts[span] = len(seen)
        newcomers = sum(1 for began in first.values() if began == day)
        rows[day] = DailyActives(counts[1], counts[7], counts[28], counts[30], newcomers)
        day += DAY
    return rows


# --- R5, R6 -------------------------------------------------------------------------------------

GRAINS = ("day", "week", "month")
BRACKETS = ((1, 7), (8, 14), (15, 30), (31, 60), (61, 90))


@dataclass(frozen=True, slots=True)
class CohortCell:
    """Key of one retention cell; `period_number` is None for brackets."""

    basis: str
    grain: str
    cohort_start: date
    mode: str
    period_number: int | None
    bracket: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Retained:
    """Value of one retention cell."""

    cohort_size: int
    retained: int
    is_mature: bool


def start_of(day: date, grain: str) -> date:
    """R1, R5: the first date of the day's period; weeks start on Monday."""
    if grain == "week":
        return day - day.weekday() * DAY
    return day.replace(day=1) if grain == "month" else day


def shift(start: date, grain: str, periods: int) -> date:
    """R5: the first date of the period that begins N calendar days, weeks or months later."""
    if grain == "month":
        months = start.year * 12 + start.month - 1 + periods
        return date(months // 12, months % 12 + 1, 1)
    return start + periods * (7 if grain == "week" else 1) * DAY


def members(product: Product, basis: str) -> dict[str, date]:
    """R5: everybody in a cohort of a basis, and the date on which they joined."""
    if basis == "signup":
        return {
            str(person.user_id): product.business_date(person.created_at)
            for person in product.people.values()
            if not person.is_internal
        }
    return {key: min(days) for key, days in product.active_days.items()}


def cohorts(product: Product, basis: str, grain: str) -> dict[date, list[str]]:
    """R5: the members of each cohort that had begun by the last complete date."""
    found: dict[date, list[str]] = defaultdict(list)
    for key, joined in members(product, basis).items():
        if joined <= product.last_complete:
            found[start_of(joined, grain)].append(key)
    return dict(found)


def active_between(product: Product, keys: Iterable[str], first: date, last: date) -> int:
    """R6: how many of some people were active from one date to another, both included."""
    last = min(last, product.last_complete)
    return sum(
        1 for key in keys if any(first <= day <= last for day in product.active_days.get(key, ()))
    )


def retention(product: Product) -> dict[CohortCell, Retained]:
    """R6: every cohort and begun period, in all modes, bases and grains."""
    cells: dict[CohortCell, Retained] = {}
    last = product.last_complete
    for basis in ("signup", "first_activity"):
        for grain in GRAINS:
            for start, keys in cohorts(product, basis, grain).items():
                period = 0
                while (begins := shift(start, grain, period)) <= last:
                    ends = shift(start, grain, period + 1) - DAY
                    for mode, until in (("on", ends), ("on_or_after", last)):
                        cells[CohortCell(basis, grain, start, mode, period, None)] = Retained(
                            len(keys), active_between(product, keys, begins, until), ends <= last
                        )
                    period += 1
                for a, b in BRACKETS if grain == "day" else ():
                    if start + a * DAY <= last:
                        cells[CohortCell(basis, grain, start, "bracket", None, (a, b))] = Retained(
                            len(keys),
                            active_between(product, keys, start + a * DAY, start + b * DAY),
                            start + b * DAY <= last,
                        )
    return cells


def headline(product: Product, day: date, period: int) -> tuple[int, int]:
    """R6: (retained, cohort members) of the 28 daily sign-up cohorts that end at d − N."""
    retained = size = 0
    for key, joined in members(product, "signup").items():
        if day - (period + 27) * DAY <= joined <= day - period * DAY:
            size += 1
            retained += joined + period * DAY in product.active_days.get(key, ())
    return retained, size

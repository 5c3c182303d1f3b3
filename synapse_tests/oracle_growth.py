"""The independent computation of lifecycle (R4) and segments (R13), person by person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from synapse_tests.oracle import DAY, GRAINS, Product, shift, start_of
from synapse_tests.oracle_past import Past, Row

SEGMENTS = ("new", "power", "regular", "casual", "dormant")


def report_dates(product: Product) -> list[date]:
    """Return every date from the first activity to that of as-of, which has not ended."""
    day = min(min(days) for days in product.active_days.values())
    dates = []
    while day <= product.last_complete + DAY:
        dates.append(day)
        day += DAY
    return dates


# --- R4 -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """R4: the row of one period."""

    new: int
    returning: int
    resurrected: int
    dormant: int
    active: int
    is_complete: bool


def lifecycle(product: Product) -> dict[tuple[str, date], Lifecycle]:
    """R4: every day, week and month from the first activity to the one that has not ended."""
    dates = report_dates(product)
    rows: dict[tuple[str, date], Lifecycle] = {}
    for grain in GRAINS:
        periods = {
            key: {start_of(day, grain) for day in days if day <= dates[-1]}
            for key, days in product.active_days.items()
        }
        for start in sorted({start_of(day, grain) for day in dates}):
            before = shift(start, grain, -1)
            now = {key for key, active in periods.items() if start in active}
            then = {key for key, active in periods.items() if before in active}
            new = {key for key in now if min(product.active_days[key]) >= start}
            rows[(grain, start)] = Lifecycle(
                new=len(new),
                returning=len(now & then),
                resurrected=len(now - then - new),
                dormant=len(then - now),
                active=len(now),
                is_complete=shift(start, grain, 1) - DAY <= product.last_complete,
            )
    return rows


# --- R13 ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Registered:
    """R13: who is registered when, and in which segment."""

    product: Product
    users: Past

    def row(self, user_id: int, day: date) -> Row | None:
        """Return the row of somebody who is registered at a date's end, else None."""
        person = self.product.people.get(user_id)
        if person is None or person.is_internal:
            return None
        if self.product.business_date(person.created_at) > day:
            return None
        values = self.users.before(user_id, self.product.end_of(day))
        return None if values is None or values["status"] == "deleted" else values

    def segment(self, user_id: int, day: date) -> str | None:
        """R13: the first segment that matches at a date's end; None for who is not registered."""
        if self.row(user_id, day) is None:
            return None
        joined = self.product.business_date(self.product.people[user_id].created_at)
        if (day - joined).days < 7:
            return "new"
        days = self.product.active_days.get(str(user_id), set())
        active = sum(1 for back in range(28) if day - back * DAY in days)
        for name, least in (("power", 15), ("regular", 4), ("casual", 1)):
            if active >= least:
                return name
        return "dormant"

    def segments(self) -> dict[tuple[date, str], int]:
        """R13: date × segment, zeros included."""
        rows: dict[tuple[date, str], int] = {}
        for day in report_dates(self.product):
            counted = Counter(self.segment(user_id, day) for user_id in self.product.people)
            for name in SEGMENTS:
                rows[(day, name)] = counted[name]
        return rows

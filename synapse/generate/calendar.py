"""Business days of the simulated product: when a day starts, and how busy it is.

The product lives in America/Sao_Paulo, which has had no daylight saving since 2019: local time is
UTC-3 all year, so a business day runs from 03:00 UTC to 03:00 UTC.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from synapse.generate.frames import Floats, Ints

DEFAULT_START = date(2026, 3, 1)
"""First landed day unless an end date is asked for; fixed, so that a seed keeps its meaning."""

WARM_UP_DAYS = 28
"""Days simulated before the first landed day; the full load carries what they left behind."""

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
LOCAL_OFFSET_US = 3 * HOUR_US

_WEEKDAY = (1.08, 1.12, 1.10, 1.06, 1.0, 0.84, 0.80)
_HOLIDAY = 0.66
# Share of a day's activity by local hour: a morning and an evening peak, few at night.
_HOURS = (
    1.1, 0.6, 0.35, 0.25, 0.25, 0.5, 1.3, 2.8, 4.4, 5.6, 6.0, 5.8,
    5.4, 5.2, 5.6, 5.7, 5.5, 5.6, 6.0, 6.8, 7.4, 7.2, 5.2, 2.6,
)  # fmt: skip
_HOUR_CDF = np.cumsum(_HOURS) / np.sum(_HOURS)


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year (the anonymous computus of Meeus, Jones and Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> frozenset[date]:
    """Brazil's national holidays and the days treated as such (Carnival, Corpus Christi)."""
    moving = (easter(year) + timedelta(days=offset) for offset in (-48, -47, -2, 60))
    fixed = ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (11, 20), (12, 25))
    return frozenset((*moving, *(date(year, month, day) for month, day in fixed)))


@dataclass(frozen=True)
class Calendar:
    """Days are counted from `start` (day 0); warm-up days are negative."""

    start: date

    def date_of(self, day: int) -> date:
        """Business date of a day."""
        return self.start + timedelta(days=day)

    def start_us(self, day: int) -> int:
        """Local midnight that opens the day, in microseconds since the epoch (UTC)."""
        moment = datetime.combine(self.date_of(day), datetime.min.time(), tzinfo=UTC)
        return int(moment.timestamp()) * SECOND_US + LOCAL_OFFSET_US

    def busyness(self, day: int) -> float:
        """How active people are on the day; 1.0 is an ordinary weekday's neighbourhood."""
        today = self.date_of(day)
        factor = _WEEKDAY[today.weekday()]
        return factor * _HOLIDAY if today in holidays(today.year) else factor

    def signups_expected(self, day: int, users: int) -> float:
        """Expected sign-ups: a launch that fades over the warm-up, then steady growth.

        About half of `users` come in the warm-up and the rest in the first 120 landed days. The
        curve does not know how many days are asked for: that is what makes a day appendable.
        """
        growth = 0.535 / 120 * (0.75 + 0.5 * max(day, 0) / 120)
        launch = 0.066 * np.exp(-(day + WARM_UP_DAYS) / 6.5)
        return float(users * (growth + launch) * self.busyness(day))

    def moments(self, day: int, rng: np.random.Generator, count: int) -> Ints:
        """`count` moments of the day in microseconds UTC, spread as a day's activity is."""
        draw = rng.random(count)
        hours = np.searchsorted(_HOUR_CDF, draw, side="right").clip(0, 23)
        within: Floats = rng.random(count)
        return (self.start_us(day) + hours * HOUR_US + within * HOUR_US).astype(np.int64)

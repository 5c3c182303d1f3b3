"""What happens to accounts after sign-up: moves, suspensions, deletions, staff flags."""

import numpy as np

from synapse.generate import catalogue
from synapse.generate.calendar import DAY_US, HOUR_US, SECOND_US, Calendar
from synapse.generate.frames import Floats, Ints, integers
from synapse.generate.hazards import RELOAD_DAYS, RELOAD_HOUR, Rates
from synapse.generate.people import (
    ACTIVE,
    GONE,
    SOFT_DELETED,
    SUSPENDED,
    People,
    choose,
    phones,
)
from synapse.generate.tables import ChangeBuffer

# Chance a day, in the order in which they are tried; an account changes at most once a day.
_MOVES, _SUSPENDED, _ASKS_DELETION, _STAFF = 0.0025, 0.0004, 0.0004, 0.00006
_REINSTATED, _ERASED, _STAFF_LEAVES = 0.12, 0.30, 0.004


class Accounts:
    """Applies a day's account changes to People and records them as changes of users."""

    def __init__(
        self, calendar: Calendar, people: People, changes: ChangeBuffer, rates: Rates
    ) -> None:
        self._calendar = calendar
        self._people = people
        self._changes = changes
        self._rates = rates

    def signed_up(self, rows: Ints, rng: np.random.Generator) -> None:
        """Record new accounts."""
        people = self._people
        committed = people.created_us[rows] + rng.integers(800, 40_000, len(rows))
        self._changes.add("I", committed, people.image(rows))

    def day(self, day: int, rng: np.random.Generator) -> Ints:
        """Apply the changes of a day; returns the rows whose account was closed or erased."""
        people = self._people
        older = people.created_day < day
        status, draw = people.status, rng.random(len(people))
        lives = older & (status == ACTIVE)
        edges = np.cumsum([_MOVES, _SUSPENDED, _ASKS_DELETION, _STAFF])
        moved = np.flatnonzero(lives & (draw < edges[0]))
        suspended = np.flatnonzero(lives & (draw >= edges[0]) & (draw < edges[1]))
        closed = np.flatnonzero(lives & (draw >= edges[1]) & (draw < edges[2]))
        hired = np.flatnonzero(lives & (draw >= edges[2]) & (draw < edges[3]))
        left = np.flatnonzero(
            lives & people.internal & (draw >= edges[3]) & (draw < edges[3] + _STAFF_LEAVES)
        )
        reinstated = np.flatnonzero(older & (status == SUSPENDED) & (draw < _REINSTATED))
        # Not before the full load: whoever is erased unseen would leave messages of nobody.
        goes = older & (status == SOFT_DELETED) & (draw < _ERASED) & (day > 0)
        erased = np.flatnonzero(goes)

        self._move(moved, rng)
        people.status[suspended] = SUSPENDED
        people.status[reinstated] = ACTIVE
        people.status[closed] = SOFT_DELETED
        people.engaged[np.concatenate([suspended, closed])] = False
        people.internal[hired] = True
        people.internal[left] = False
        touched = np.sort(np.concatenate([moved, suspended, closed, hired, left, reinstated]))
        self._record(day, touched, rng)
        self._erase(erased, self._moments(day, rng, len(erased)))
        unseen = self._erased_unseen(day, draw)
        return np.concatenate([closed, erased, unseen])

    def _erased_unseen(self, day: int, draw: Floats) -> Ints:
        """Before a reload, an account is deleted while nobody captures: only absence will tell."""
        if not (self._rates.reloads and day in RELOAD_DAYS):
            return np.empty(0, dtype=np.int64)
        people = self._people
        asleep = (people.status == ACTIVE) & ~people.engaged & (people.created_day < day)
        quiet = np.flatnonzero(asleep & (draw > 0.5) & ~people.internal)[:2]
        at = self._calendar.start_us(day) + RELOAD_HOUR * HOUR_US - 1_800 * SECOND_US
        self._erase(quiet, at + np.arange(len(quiet), dtype=np.int64) * SECOND_US)
        return quiet

    def _erase(self, rows: Ints, at: Ints) -> None:
        """Delete accounts' rows from the source."""
        people = self._people
        people.status[rows] = GONE
        people.engaged[rows] = False
        self._changes.add("D", at, {"user_id": integers(people.user_id(rows))})

    def _move(self, rows: Ints, rng: np.random.Generator) -> None:
        people = self._people
        travels = rng.random(len(rows)) < 0.6
        regions = choose(rng, catalogue.REGION_WEIGHTS, len(rows))
        people.region[rows] = np.where(travels, regions, people.region[rows])
        people.phone[rows] = phones(rng, people.region[rows])

    def _record(self, day: int, rows: Ints, rng: np.random.Generator) -> None:
        at = self._moments(day, rng, len(rows))
        self._people.updated_us[rows] = at
        committed = at + rng.integers(800, 40_000, len(rows))
        if self._rates.hot_keys:
            # One transaction, two updates: the first of them is never seen to last.
            twice = slice(None, None, 2)
            people, hot = self._people, rows[twice]
            language = people.language[hot]
            people.language[hot] = (language + 1) % len(catalogue.LANGUAGES)
            self._changes.add("U", committed[twice], people.image(hot))
            people.language[hot] = language
        self._changes.add("U", committed, self._people.image(rows))

    def _moments(self, day: int, rng: np.random.Generator, count: int) -> Ints:
        latest = self._calendar.start_us(day) + DAY_US - SECOND_US
        return np.minimum(self._calendar.moments(day, rng, count), latest)

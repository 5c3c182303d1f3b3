"""What happens to accounts after sign-up: moves, suspensions, deletions, staff flags."""

import numpy as np

from synapse.generate import catalogue
from synapse.generate.calendar import DAY_US, SECOND_US, Calendar
from synapse.generate.frames import Ints, integers
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

    def __init__(self, calendar: Calendar, people: People, changes: ChangeBuffer) -> None:
        self._calendar = calendar
        self._people = people
        self._changes = changes

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
        erased = np.flatnonzero(older & (status == SOFT_DELETED) & (draw < _ERASED))

        self._move(moved, rng)
        people.status[suspended] = SUSPENDED
        people.status[reinstated] = ACTIVE
        people.status[closed] = SOFT_DELETED
        people.engaged[np.concatenate([suspended, closed])] = False
        people.internal[hired] = True
        people.internal[left] = False
        touched = np.sort(np.concatenate([moved, suspended, closed, hired, left, reinstated]))
        self._record(day, touched, rng)
        self.erase(day, erased, rng)
        return np.concatenate([closed, erased])

    def erase(self, day: int, rows: Ints, rng: np.random.Generator) -> None:
        """Delete accounts' rows from the source."""
        people = self._people
        people.status[rows] = GONE
        people.engaged[rows] = False
        at = self._moments(day, rng, len(rows))
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
        self._changes.add("U", committed, self._people.image(rows))

    def _moments(self, day: int, rng: np.random.Generator, count: int) -> Ints:
        latest = self._calendar.start_us(day) + DAY_US - SECOND_US
        return np.minimum(self._calendar.moments(day, rng, count), latest)

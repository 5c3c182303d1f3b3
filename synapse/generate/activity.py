"""Who shows up on a day and when: engagement, drift, return, and the day's sessions."""

from dataclasses import dataclass

import numpy as np

from synapse.generate.calendar import SECOND_US, Calendar
from synapse.generate.catalogue import PLATFORM_WEIGHTS
from synapse.generate.frames import Bools, Codes, Ints
from synapse.generate.people import ACTIVE, People, choose

# Chance a day that an engaged person stops coming, by days since sign-up; and that one returns.
_DRIFT = ((7, 0.065), (30, 0.030), (10_000, 0.013))
_RETURN = 0.0065
_NOVELTY = 1.5  # how much more often people come in their first three days


@dataclass(frozen=True)
class Sessions:
    """A day's visits of people with an account."""

    person: Ints
    start_us: Ints
    length_us: Ints
    platform: Codes
    is_first: Bools  # the session that follows the sign-up

    def __len__(self) -> int:
        return len(self.person)


class Activity:
    """Engagement of each person from day to day."""

    def __init__(self, calendar: Calendar, people: People) -> None:
        self._calendar = calendar
        self._people = people

    def show_up(self, day: int, rng: np.random.Generator) -> Ints:
        """Rows of the people (not of today's sign-ups) who come on the day."""
        people = self._people
        count = len(people)
        tenure = day - people.created_day
        lives = people.status == ACTIVE
        draw = rng.random(count)
        hazard = np.select([tenure < limit for limit, _ in _DRIFT], [rate for _, rate in _DRIFT])
        leaves = people.engaged & (draw < hazard / people.loyalty)
        returns = ~people.engaged & lives & (draw < _RETURN * people.loyalty)
        people.engaged = (people.engaged & ~leaves) | returns
        chance = people.rate * np.where(tenure <= 3, _NOVELTY, 1.0) * self._calendar.busyness(day)
        comes = people.engaged & lives & (rng.random(count) < np.minimum(chance, 0.97))
        return np.flatnonzero((comes | returns) & (tenure > 0)).astype(np.int64)

    def sessions(self, day: int, came: Ints, new: Ints, rng: np.random.Generator) -> Sessions:
        """Sessions of those who came and the first sessions of those who signed up."""
        people = self._people
        visits = 1 + rng.poisson(0.45, len(came))
        person = np.concatenate([np.repeat(came, visits), new])
        start = np.concatenate(
            [
                self._calendar.moments(day, rng, int(visits.sum())),
                people.created_us[new] + rng.integers(3, 60, len(new)) * SECOND_US,
            ]
        )
        count = len(person)
        length = np.exp(rng.normal(np.log(330), 0.8, count)).clip(20, 5_400) * SECOND_US
        elsewhere = rng.random(count) < 0.12
        other = choose(rng, PLATFORM_WEIGHTS, count)
        return Sessions(
            person=person,
            start_us=start,
            length_us=length.astype(np.int64),
            platform=np.where(elsewhere, other, people.platform[person]),
            is_first=np.arange(count) >= count - len(new),
        )

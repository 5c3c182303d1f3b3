"""Random streams: one independent generator per (seed, purpose, day).

A day draws from its own generators only, so adding a day, or drawing more in one corner of the
simulation, never shifts what another day or another corner draws.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a generator is used for; the numbers are part of "same seed, same bytes"."""

    PEOPLE = 1
    ENGAGEMENT = 2
    SESSIONS = 3
    CHAT = 4
    SIGNALS = 5
    BILLING = 6
    ACCOUNTS = 7
    EVENT_IDS = 8
    DOCUMENTS = 9
    DMS = 10
    KAFKA = 11
    HAZARDS = 12
    MESSAGE_CHANGES = 13
    KAFKA_DOCUMENTS = 14
    MISHAPS = 15


class Streams:
    """Hands out the generator of a purpose on a day."""

    # Days before the start are negative; a generator's seed parts must not be.
    _OFFSET = 1_000

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def at(self, stream: Stream, day: int) -> np.random.Generator:
        """The generator of `stream` on `day` (0 = the first landed day), in its first state."""
        return np.random.default_rng([self.seed, int(stream), day + self._OFFSET])

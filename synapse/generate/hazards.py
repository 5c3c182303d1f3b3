"""What goes wrong between the source and the lake, and how often.

`none`: nothing. `normal`: what any real lake sees: records and files delivered twice, files that
arrive days late, mistyped numbers, events nobody documented, a new column. `hostile`: more of it,
and overlapping files after a task resumed, reloads that overwrite LOAD files in place, deletes that
only a reload reveals, keys changed twice in one commit, changed primary keys, messages committed
out of order, conflicting redeliveries, compressed files, and bad records beside (never instead of)
good ones.

Whatever goes wrong, nothing good is lost: the truth can be found from what has arrived.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from synapse.generate.streams import Stream, Streams

Level = Literal["none", "normal", "hostile"]
LEVELS: tuple[str, ...] = get_args(Level)

RELOAD_DAYS = (4, 13, 80)
"""Days with a reload under `hostile`.

Fixed, because a day may not depend on how many follow it; spread so that a week, three weeks and
four months all have one about two thirds through.
"""
RELOADED = frozenset({"users", "subscriptions", "messages"})
RELOAD_HOUR = 15
"""Local hour of a reload: complete hours before the day ends."""
OUTAGE_HOURS = 3
"""For so long before a reload the task was down; deletes of that time never land."""


@dataclass(frozen=True)
class Rates:
    """How often things go wrong: shares of files or of records."""

    late_file: float = 0.0
    duplicate_file: float = 0.0
    overlapping_file: float = 0.0
    bad_file: float = 0.0  # with some bad records among the good ones
    corrupt_file: float = 0.0
    compressed_file: float = 0.0
    redelivered: float = 0.0
    conflicting: float = 0.0  # of the redelivered: the payload differs
    undocumented: float = 0.0  # events a session
    mistyped: float = 0.0  # CPFs whose check digits are wrong
    moved_key: float = 0.0
    out_of_order: float = 0.0
    drift: bool = False
    hot_keys: bool = False
    narrow_types: bool = False  # the first files carry a narrower integer type
    reloads: bool = False
    stray_table: bool = False


RATES: dict[Level, Rates] = {
    "none": Rates(),
    "normal": Rates(
        late_file=0.02,
        duplicate_file=0.02,
        redelivered=0.004,
        undocumented=0.02,
        mistyped=0.0125,
        drift=True,
    ),
    "hostile": Rates(
        late_file=0.06,
        duplicate_file=0.05,
        overlapping_file=0.08,
        bad_file=0.06,
        corrupt_file=0.004,
        compressed_file=0.08,
        redelivered=0.015,
        conflicting=0.25,
        undocumented=0.05,
        mistyped=0.0125,
        moved_key=0.004,
        out_of_order=0.03,
        drift=True,
        hot_keys=True,
        narrow_types=True,
        reloads=True,
        stray_table=True,
    ),
}


@dataclass(frozen=True)
class Fate:
    """What happens to one file."""

    delay: int = 0  # days between its own day and its arrival
    copy_delay: int | None = None  # a second copy arrives so many days after the file's own day
    overlaps: bool = False  # repeats the end of the file before it
    bad: bool = False  # carries bad records too
    corrupt: bool = False  # a broken file lands beside it
    compressed: bool = False


class Fates:
    """Decides, day by day, the fate of each file of a source."""

    def __init__(self, rates: Rates, streams: Streams, source: int) -> None:
        self._rates = rates
        self._streams = streams
        self._source = source

    def of(self, day: int, files: int) -> list[Fate]:
        """Fates of the files that a day may have, in order.

        Beside chance, each mishap is certain once in a while (the second file of a weekday that
        differs by source), so that a lake of three weeks has them all.
        """
        draw = self._streams.at(Stream.HAZARDS, day * 10 + self._source).random((files, 8)).tolist()
        return [self._fate((day + self._source) % 14, index, d) for index, d in enumerate(draw)]

    def _fate(self, turn: int, index: int, draw: list[float]) -> Fate:
        rates, sure = self._rates, turn % 7 if index == 1 else -1
        late = draw[0] < rates.late_file or (sure == 2 and rates.late_file > 0)
        delay = (2 if sure == 2 else 1 + int(draw[1] * 2)) if late else 0
        twice = draw[2] < rates.duplicate_file or (sure == 3 and rates.duplicate_file > 0)
        return Fate(
            delay=delay,
            copy_delay=delay + int(draw[3] * 3) if twice else None,
            overlaps=draw[4] < rates.overlapping_file or (sure == 4 and rates.overlapping_file > 0),
            bad=draw[5] < rates.bad_file or (sure == 5 and rates.bad_file > 0),
            corrupt=draw[6] < rates.corrupt_file
            or (turn == 6 and index == 1 and rates.corrupt_file > 0),
            compressed=draw[7] < rates.compressed_file,
        )

"""When somebody is told: the one place that decides, without clock, store or channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """How a subject stands. waiting: bad, but not yet for as long as the rule's hold."""

    quiet = "quiet"
    waiting = "waiting"
    firing = "firing"


class Kind(StrEnum):
    """What a notice says."""

    begin = "begin"
    repeat = "repeat"
    recovery = "recovery"


@dataclass(frozen=True)
class Standing:
    """A subject of a rule. since: from when on it is bad. sent: notices of this episode."""

    state: State = State.quiet
    episode: int = 0
    since: datetime | None = None
    last_sent: datetime | None = None
    sent: int = 0


def step(
    before: Standing, is_bad: bool | None, now: datetime, *, hold: timedelta, repeat: timedelta
) -> tuple[Standing, Kind | None]:
    """How it stands now, and what is to be told.

    Each episode is told once when it begins, again whenever `repeat` has passed since the last
    notice, and once when it is over; of one that ended within `hold` nobody hears. What cannot be
    told (None) changes nothing.
    """
    if is_bad is None:
        return before, None
    if not is_bad:
        if before.state is State.quiet:
            return before, None
        kind = Kind.recovery if before.state is State.firing else None
        return Standing(episode=before.episode), kind
    if before.state is State.firing:
        if before.last_sent is not None and now - before.last_sent < repeat:
            return before, None
        return replace(before, last_sent=now, sent=before.sent + 1), Kind.repeat
    since = before.since if before.state is State.waiting and before.since else now
    if now - since < hold:
        return replace(before, state=State.waiting, since=since), None
    return Standing(State.firing, before.episode + 1, since, now, 1), Kind.begin

"""What every way of telling a producer has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from synapse.feedback.event import Event


@dataclass(frozen=True)
class Patience:
    """Bounds on waiting for one channel: an ingest must not hang on whom it tells.

    answer_seconds: for one request, however slowly its answer trickles in. attempts: of one
    request. wait_seconds: before the second attempt, then doubled. total_seconds: after which
    nothing more is begun in this run.
    """

    answer_seconds: float = 10
    attempts: int = 3
    wait_seconds: float = 0.5
    total_seconds: float = 30


@dataclass(frozen=True)
class Answer:
    """taken: events that the channel has for certain. problem: why not all, for a person.

    is_down: later events would fare no better, so none is tried in this run.
    """

    taken: Sequence[Event] = ()
    problem: str | None = None
    is_down: bool = False


class Channel(Protocol):
    """A way of telling producers. name: its key in the state store. where: for a person."""

    name: str
    where: str

    def deliver(self, events: Sequence[Event], seconds: float) -> Answer:
        """Tell these events within about that many seconds; a failure is an Answer, not raised."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...

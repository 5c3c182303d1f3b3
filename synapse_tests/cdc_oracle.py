"""What silver must say of a world of which some has landed: CONTRACT 3 in plain Python.

Nothing here knows files, batches or SQL. Each key's events are put in the one order of the contract
and folded; `Landed` says which events there are at a commit point.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from synapse_tests.cdc_model import BEGINNING, Change, Key, Values, World

Row = tuple[Any, ...]


@dataclass
class Landed:
    """What has been accepted: numbers of changes, and the rows of each load by its number.

    whole: deletes that came with the values that they deleted.
    """

    changes: set[int] = field(default_factory=set)
    loads: dict[int, set[Key]] = field(default_factory=lambda: defaultdict(set))
    whole: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Version:
    """One row of the exact SCD2."""

    key: Key
    number: int
    values: Values
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True)
class _Event:
    """Something that happened to one key. stage: 0 absence, 1 load, 2 change.

    deleted: the values that a delete carries.
    """

    op: str
    epoch: int
    stage: int
    at: datetime
    sequence: int
    values: Values | None
    deleted: Values | None = None


class Expected:
    """Silver of a table once this much of its world has landed."""

    def __init__(self, world: World, landed: Landed) -> None:
        self._world = world
        self._events: dict[Key, list[_Event]] = defaultdict(list)
        loads = [
            (number, load.instant, landed.loads[number])
            for number, load in enumerate(world.loads)
            if landed.loads.get(number)
        ]
        self._instants = [(number + 1, instant) for number, instant, _ in loads]
        changes = [change for change in world.changes if change.sequence in landed.changes]
        for change in changes:
            self._take(change, change.last_values if change.sequence in landed.whole else None)
        for number, instant, keys in loads:
            for key in keys:
                values = world.snapshots[number][key]
                self._events[key].append(_Event("I", number + 1, 1, instant, 0, values))
        for number, instant, keys in loads:
            if instant == BEGINNING:
                continue
            for key, events in self._events.items():
                if key not in keys and any(event.epoch < number + 1 for event in events):
                    events.append(_Event("D", number + 1, 0, instant, 0, None))
        self._truncate(change for change in changes if change.op == "T")
        for events in self._events.values():
            _order(events, by_sequence=world.shape.sequence)

    def _epoch_of(self, at: datetime) -> int:
        return max((epoch for epoch, instant in self._instants if instant <= at), default=0)

    def _take(self, change: Change, deleted: Values | None) -> None:
        epoch = self._epoch_of(change.committed_at)

        def add(key: Key, op: str, values: Values | None) -> None:
            self._events[key].append(
                _Event(op, epoch, 2, change.committed_at, change.sequence, values, deleted)
            )

        if change.before is not None:
            add(change.before, "D", None)
        if change.key is not None:
            add(change.key, "I" if change.before else change.op, change.values)

    def _truncate(self, truncates: Iterable[Change]) -> None:
        for change in truncates:
            epoch = self._epoch_of(change.committed_at)
            gone = _Event("D", epoch, 2, change.committed_at, change.sequence, None)
            for events in self._events.values():
                events.append(gone)

    def current(self) -> dict[Row, tuple[Values | None, bool]]:
        """Key → (last living values, is deleted) as stg_dms__ must have it."""
        state = {}
        for key, events in self._events.items():
            living = [event.values for event in events if event.values is not None]
            row = self._world.shape.physical(key)
            state[row] = (living[-1] if living else events[-1].deleted, events[-1].values is None)
        return state

    def history(self) -> list[Row]:
        """The exact SCD2 as hist_dms__ must have it."""
        shape = self._world.shape
        rows = [
            (
                *(*shape.physical(v.key), v.number),
                *(v.values.name, v.values.score, v.values.updated_at),
                *(v.valid_from, v.valid_to, v.valid_to is None),
            )
            for key, events in self._events.items()
            for v in _fold(key, events)
        ]
        return sorted(rows, key=lambda row: row[: len(shape.key_types) + 1])

    def living(self) -> dict[Key, Values]:
        """Rows that exist."""
        return {
            key: events[-1].values
            for key, events in self._events.items()
            if events[-1].values is not None
        }


def _order(events: list[_Event], *, by_sequence: bool) -> None:
    """Sort by epoch, stage, sequence or commit time; what is tied, by content."""

    def place(event: _Event) -> Row:
        if event.stage < 2:
            return (event.epoch, event.stage, 0, BEGINNING)
        if by_sequence:
            return (event.epoch, 2, event.sequence, BEGINNING)
        return (event.epoch, 2, 0, event.at)

    inserted = {place(event) for event in events if event.op == "I"}

    def tie(event: _Event) -> Row:
        rank = {"I": 1, "U": 2, "D": 0 if place(event) in inserted else 3}[event.op]
        return (rank, event.values.updated_at if event.values else BEGINNING)

    events.sort(key=lambda event: (place(event), tie(event)))


def _fold(key: Key, events: list[_Event]) -> list[Version]:
    collapsed: list[tuple[datetime, _Event]] = []
    for event in events:
        at = max(event.at, collapsed[-1][0]) if collapsed else event.at
        if collapsed and collapsed[-1][0] == at:
            collapsed.pop()
        collapsed.append((at, event))
    versions: list[Version] = []
    living: Values | None = None
    for at, event in collapsed:
        if event.stage == 1 and living is not None and event.values == living:
            continue
        if living is not None:
            last = versions.pop()
            versions.append(Version(key, last.number, last.values, last.valid_from, at))
        if event.values is not None:
            versions.append(Version(key, len(versions) + 1, event.values, at, None))
        living = event.values
    return versions

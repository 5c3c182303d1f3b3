"""A source table as a plain dict with its exact history: what silver must say after any landing.

A `World` is one declared table: its epochs (full loads), and independent cases, each with keys of
its own, so that many small histories share one table, one lake and one dbt run. `World.changes` is
what the source's log delivers, `World.current` and `World.history` what CONTRACT 3 makes of it. How
it lands in files is `cdc_landing`'s concern.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from hypothesis import strategies as st

STEPS = 4
BASE = datetime(2026, 1, 5)
BEGINNING = datetime(1970, 1, 1)  # the instant of a first load without transfer time
SLOTS = 3
CASES = 8

Kind = Literal["insert", "update", "touch", "delete", "reinsert", "rekey"]
Gap = Literal["same", "microsecond", "minute", "back"]
Key = tuple[int, ...]
_GAPS = {"same": 0, "microsecond": 1, "minute": 60_000_000, "back": -250}
_ONE = timedelta(microseconds=1)


def as_of(step: int) -> datetime:
    """Return the as-of (naive UTC) of an ingest step."""
    return BASE + (step + 1) * timedelta(days=10)


@dataclass(frozen=True)
class Values:
    """The columns of a row beside its key."""

    name: str | None
    score: int | None
    updated_at: datetime


@dataclass(frozen=True)
class Action:
    """Something done to one of a case's keys; what cannot be done becomes what can."""

    kind: Kind
    slot: int
    target: int
    name: str | None
    gap: Gap
    is_lost: bool


History = tuple[list[Action], list[Action], list[Action], list[Action]]


@dataclass(frozen=True)
class Load:
    """One full load: it arrives at a step, and is pending there when it is too young."""

    arrives: int
    is_dated: bool
    is_pending: bool

    @property
    def instant(self) -> datetime:
        """When the source looked as the load says."""
        if not self.is_dated:
            return BEGINNING
        age = timedelta(minutes=10) if self.is_pending else timedelta(days=1)
        return as_of(self.arrives) - age


@dataclass(frozen=True)
class Change:
    """One delivered change. `values` is None for a delete, `before` the key before a key change."""

    op: Literal["I", "U", "D"]
    key: Key
    values: Values | None
    before: Key | None
    last_values: Values | None
    committed_at: datetime
    sequence: int


@dataclass(frozen=True)
class Version:
    """One row of the exact SCD2."""

    key: Key
    number: int
    values: Values
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True)
class _Entry:
    at: datetime
    values: Values | None
    is_load: bool


@dataclass
class World:
    """One table with everything that happens to it; built by `world_of`."""

    sequence: bool
    key: tuple[str, ...]
    loads: list[Load]
    cases: list[list[list[Action]]]
    seed: int
    changes: list[Change] = field(default_factory=list)
    snapshots: list[dict[Key, Values]] = field(default_factory=list)
    source: dict[Key, Values] = field(default_factory=dict)
    log: dict[Key, list[_Entry]] = field(default_factory=lambda: defaultdict(list))

    def key_of(self, case: int, slot: int) -> Key:
        """Return a slot's key: no two cases share one."""
        return (case, slot) if len(self.key) == 2 else (case * 10 + slot,)

    def case_of(self, key: Key) -> int:
        """Return the case that a key belongs to."""
        return key[0] if len(self.key) == 2 else key[0] // 10

    def current(self) -> dict[Key, tuple[Values | None, bool]]:
        """Return key → (last living values, is deleted) as stg_dms__ must have it."""
        state = {}
        for key, entries in self.log.items():
            living = [entry.values for entry in entries if entry.values is not None]
            state[key] = (living[-1] if living else None, entries[-1].values is None)
        return state

    def history(self) -> list[Version]:
        """Return the exact SCD2 as hist_dms__ must have it."""
        return [version for key, entries in self.log.items() for version in _fold(key, entries)]


def _fold(key: Key, entries: list[_Entry]) -> list[Version]:
    collapsed: list[_Entry] = []
    for entry in entries:
        at = max(entry.at, collapsed[-1].at) if collapsed else entry.at
        if collapsed and collapsed[-1].at == at:
            collapsed.pop()
        collapsed.append(_Entry(at, entry.values, entry.is_load))
    versions: list[Version] = []
    living: Values | None = None
    for entry in collapsed:
        if entry.is_load and living is not None and entry.values == living:
            continue
        if living is not None:
            last = versions.pop()
            versions.append(Version(key, last.number, last.values, last.valid_from, entry.at))
        if entry.values is not None:
            number = len(versions) + 1
            versions.append(Version(key, number, entry.values, entry.at, None))
        living = entry.values
    return versions


class _Simulation:
    """Plays a world's cases between its loads."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ticks = 0
        self.now = BASE
        self.floor = BASE
        self.tied: dict[Key, list[str]] = defaultdict(list)

    def play(self) -> None:
        world = self.world
        for phase in range(len(world.loads) + 1):
            begins = BASE
            if phase > 0 and world.loads[phase - 1].is_dated:
                begins = world.loads[phase - 1].instant
            reloaded = phase < len(world.loads)
            # Nothing of before an undated load can be delivered: it would count as after it.
            silent = reloaded and not world.loads[phase].is_dated
            for number, phases in enumerate(world.cases):
                self.now = self.floor = begins
                self.tied.clear()
                for action in phases[phase]:
                    self.act(number, action, lost=silent or (reloaded and action.is_lost))
            if reloaded:
                self.load(world.loads[phase].instant)

    def load(self, instant: datetime) -> None:
        world = self.world
        snapshot = dict(world.source)
        # A key that is always there: a load without rows would say nothing at all.
        snapshot[world.key_of(CASES, 0)] = Values("always", 0, BASE)
        world.snapshots.append(snapshot)
        for key, values in snapshot.items():
            world.log[key].append(_Entry(instant, values, is_load=True))
        for key in world.log.keys() - snapshot.keys():
            world.log[key].append(_Entry(instant, None, is_load=True))

    def act(self, case: int, action: Action, *, lost: bool) -> None:
        world = self.world
        key, target = world.key_of(case, action.slot), world.key_of(case, action.target)
        living = key in world.source
        kind = action.kind
        if kind == "delete" and not living:
            return
        if kind == "rekey" and (not living or target in world.source):
            kind = "update"
        if kind in ("update", "touch", "reinsert") and not living:
            kind = "insert"
        if kind == "insert" and living:
            kind = "update"
        touched = [key, target] if kind == "rekey" else [key]
        ops = {"delete": ["D"], "reinsert": ["D", "I"], "insert": ["I"], "rekey": ["K"]}
        self.advance(action.gap, touched, ops.get(kind, ["U"]))
        self.ticks += 1
        values = Values(action.name, self.ticks, BASE + self.ticks * timedelta(milliseconds=1))
        if kind == "touch":
            values = world.source[key]
        if kind in ("delete", "reinsert"):
            self.deliver("D", key, None, lost=lost)
        if kind == "rekey":
            self.deliver("U", target, values, before=key, lost=lost)
        elif kind != "delete":
            op: Literal["I", "U"] = "I" if kind in ("insert", "reinsert") else "U"
            self.deliver(op, key, values, lost=lost)

    def advance(self, gap: Gap, touched: list[Key], ops: list[str]) -> None:
        """Move the clock; without a sequence, only to where the rules can tell the order."""
        step = max(_GAPS[gap], 0) if not self.world.sequence else _GAPS[gap]
        moved = max(self.now + step * _ONE, self.floor)
        is_tied = moved == self.now and not self.world.sequence
        if is_tied and not all(_is_decidable(self.tied[key] + ops) for key in touched):
            moved += _ONE
        if moved != self.now:
            self.tied.clear()
        self.now = moved
        for key in touched:
            self.tied[key] += ops

    def deliver(
        self,
        op: Literal["I", "U", "D"],
        key: Key,
        values: Values | None,
        *,
        lost: bool,
        before: Key | None = None,
    ) -> None:
        world = self.world
        last_values = world.source.get(key)
        for gone in (before, key if values is None else None):
            if gone is not None:
                del world.source[gone]
                if not lost:
                    world.log[gone].append(_Entry(self.now, None, is_load=False))
        if values is not None:
            world.source[key] = values
        if lost:
            return
        if values is not None:
            world.log[key].append(_Entry(self.now, values, is_load=False))
        world.changes.append(
            Change(op, key, values, before, last_values, self.now, len(world.changes) + 1)
        )


def _is_decidable(ops: list[str]) -> bool:
    """Tell whether "D < I < U with an insert among the tied, else U < D" gives this very order."""
    if "K" in ops:
        return len(ops) == 1
    rank = {"D": 0, "I": 1, "U": 2} if "I" in ops else {"U": 0, "D": 1}
    return all(rank[a] < rank[b] or a == b == "U" for a, b in itertools.pairwise(ops))


_ACTIONS = st.builds(
    Action,
    kind=st.sampled_from(
        ["insert", "update", "touch", "delete", "delete", "reinsert", "rekey", "rekey"]
    ),
    slot=st.sampled_from([0, 0, 0, 1, 2]),
    target=st.integers(0, SLOTS - 1),
    name=st.sampled_from([None, "", "Ana", "João", "\x1f", "NULL", "O'Brien"]),
    gap=st.sampled_from(["same", "microsecond", "minute", "back"]),
    is_lost=st.booleans(),
)


def histories() -> st.SearchStrategy[History]:
    """Draw one case: what is done before the first load, between loads, and after the last."""
    phase = st.lists(_ACTIONS, min_size=1, max_size=6)
    return st.tuples(phase, phase, phase, phase)


def world_of(cases: Sequence[History], seed: int) -> World:
    """Make a table of cases; the seed decides its shape, its 0 to 3 loads and how it lands."""
    chance = random.Random(seed)
    count = seed % STEPS
    steps = sorted(chance.sample(range(STEPS), count))
    loads = []
    for number, arrives in enumerate(steps):
        # A pending reload is taken one step later, and nothing may overwrite it before that.
        following = steps[number + 1] if number + 1 < count else STEPS
        may_wait = number > 0 and arrives + 1 < following
        is_pending = may_wait and chance.random() < 0.7
        loads.append(Load(arrives, number > 0 or chance.random() < 0.6, is_pending))
    world = World(
        sequence=chance.random() < 0.6,
        key=("tenant_id", "id") if chance.random() < 0.3 else ("id",),
        loads=loads,
        cases=[[list(phase) for phase in case] for case in cases],
        seed=seed,
    )
    _Simulation(world).play()
    return world

"""A source table as a plain dict, and everything that happens to it.

A `World` is one declared table: what it is (`Shape`), and independent cases with keys of their own,
so that many small histories can share one table, one lake and one dbt run. `World.changes` is what
the source's log delivers. What silver must make of it is `cdc_oracle`'s concern, how it lands that
of `cdc_landing` and `cdc_envelopes`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeVar

from hypothesis import strategies as st

STEPS = 4
BASE = datetime(2026, 1, 5)
BEGINNING = datetime(1970, 1, 1)  # the instant of a first load without transfer time
SLOTS = 3
CASES = 8

Item = TypeVar("Item")
Kind = Literal["insert", "update", "touch", "delete", "reinsert", "rekey"]
Gap = Literal["minute", "same", "tick", "back"]
Key = tuple[int, int]
# The empty text, a blank, a letter with a combining accent: all of them keys.
_ODD = ("", " ", "e\u0301")
_GAPS = {"same": 0, "tick": 1, "minute": 60_000, "back": -250}


class Chance(Protocol):
    """What is drawn at random: a `random.Random`, or hypothesis, which then can shrink it."""

    def random(self) -> float:
        """From 0 to under 1; 0 is the harmless end."""
        ...

    def randint(self, a: int, b: int, /) -> int:
        """From a to b."""
        ...

    def choice(self, seq: Sequence[Item], /) -> Item:
        """One of them; the first is the harmless one."""
        ...

    def sample(self, population: Sequence[Item], /, k: int) -> list[Item]:
        """So many of them, in any order."""
        ...


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


Phase = Sequence[Action]
History = tuple[Phase, Phase, Phase, Phase]


@dataclass(frozen=True)
class Load:
    """One full load: it arrives at a step, and is pending there when it is too young.

    folder: which of the declared prefixes it lands in.
    """

    arrives: int
    is_dated: bool = True
    is_pending: bool = False
    folder: int = 0

    @property
    def instant(self) -> datetime:
        """When the source looked as the load says."""
        if not self.is_dated:
            return BEGINNING
        age = timedelta(minutes=10) if self.is_pending else timedelta(days=1)
        return as_of(self.arrives) - age

    @property
    def taken(self) -> int:
        """The step at which ingest takes a reload."""
        return self.arrives + self.is_pending


@dataclass(frozen=True)
class Truncate:
    """The source table is emptied; only Debezium says so."""

    arrives: int

    @property
    def instant(self) -> datetime:
        """When that was."""
        return as_of(self.arrives) - timedelta(days=2)


Boundary = Load | Truncate


@dataclass(frozen=True)
class Shape:
    """What a table is and who delivers it. boundaries: what parts its phases, at most three."""

    source: Literal["dms", "debezium"] = "dms"
    sequence: bool = True
    key: Literal["number", "text", "pair", "decimal"] = "number"
    has_before_image: bool = True
    boundaries: tuple[Boundary, ...] = ()

    @property
    def key_types(self) -> dict[str, str]:
        """Names and declared types of the key's columns."""
        return {
            "number": {"id": "bigint"},
            "text": {"id": "varchar"},
            "pair": {"tenant_id": "bigint", "id": "varchar"},
            "decimal": {"id": "decimal(12,2)"},
        }[self.key]

    def physical(self, key: Key) -> tuple[Any, ...]:
        """The key as the source spells it; no two keys share one."""
        case, slot = key
        text = f"{case or ''}{_ODD[slot]}"
        return {
            "number": (case * 10 + slot,),
            "text": (text,),
            "pair": (case, text),
            "decimal": (Decimal(case * 10 + slot) / 100,),
        }[self.key]

    @property
    def unit(self) -> timedelta:
        """The grain of commit times."""
        return timedelta(milliseconds=1) if self.source == "debezium" else timedelta(microseconds=1)


@dataclass(frozen=True)
class Change:
    """One delivered change. `values` is None for a delete, `before` the key before a key change.

    A truncate has neither key nor values.
    """

    op: Literal["I", "U", "D", "T"]
    key: Key | None
    values: Values | None
    before: Key | None
    last_values: Values | None
    committed_at: datetime
    sequence: int


@dataclass
class World:
    """One table with everything that happens to it; built by `world_of`.

    snapshots: what each load says, by its number from 0. source: the table at the end.
    """

    shape: Shape
    cases: Sequence[History]
    changes: list[Change] = field(default_factory=list)
    snapshots: list[dict[Key, Values]] = field(default_factory=list)
    source: dict[Key, Values] = field(default_factory=dict)

    @property
    def loads(self) -> list[Load]:
        """The full loads, oldest first."""
        return [item for item in self.shape.boundaries if isinstance(item, Load)]

    @property
    def always(self) -> Key:
        """A key that every load names: a load without rows would say nothing at all."""
        return (len(self.cases), 0)

    @property
    def keys(self) -> list[Key]:
        """Every key that may occur."""
        return [(case, slot) for case in range(len(self.cases) + 1) for slot in range(SLOTS)]


class _Simulation:
    """Plays a world's cases between its boundaries."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ticks = 0
        self.now = BASE
        self.floor = BASE
        self.tied: dict[Key, list[str]] = defaultdict(list)

    def play(self) -> None:
        boundaries = self.world.shape.boundaries
        begins = BASE
        for phase in range(len(boundaries) + 1):
            following = boundaries[phase] if phase < len(boundaries) else None
            reloaded = isinstance(following, Load)
            # Nothing of before an undated load can be delivered: it would count as after it.
            silent = isinstance(following, Load) and not following.is_dated
            for number, phases in enumerate(self.world.cases):
                self.now = self.floor = begins
                self.tied.clear()
                for action in phases[phase]:
                    self.act(number, action, lost=silent or (reloaded and action.is_lost))
            if following is None:
                continue
            if following.instant > begins:
                begins = following.instant
            self.cross(following)

    def cross(self, boundary: Boundary) -> None:
        world = self.world
        if isinstance(boundary, Truncate):
            number = len(world.changes) + 1
            world.changes.append(Change("T", None, None, None, None, boundary.instant, number))
            world.source.clear()
            return
        always = Values("always", 0, BASE)
        world.snapshots.append({**world.source, world.always: always})
        world.source[world.always] = always

    def act(self, case: int, action: Action, *, lost: bool) -> None:
        world = self.world
        key, target = (case, action.slot), (case, action.target)
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
        # Without a before image (and by Debezium always), a moved key is a delete and an insert.
        is_split = kind == "rekey" and not world.shape.has_before_image
        if is_split:
            self.advance(action.gap, {key: ["D"], target: ["I"]})
        elif kind == "rekey":
            self.advance(action.gap, {key: ["K"], target: ["K"]})
        else:
            ops = {"delete": ["D"], "reinsert": ["D", "I"], "insert": ["I"]}
            self.advance(action.gap, {key: ops.get(kind, ["U"])})
        self.ticks += 1
        values = Values(action.name, self.ticks, BASE + self.ticks * timedelta(milliseconds=1))
        if kind == "touch":
            values = world.source[key]
        if kind in ("delete", "reinsert") or is_split:
            self.deliver("D", key, None, lost=lost)
        if is_split:
            self.deliver("I", target, values, lost=lost)
        elif kind == "rekey":
            self.deliver("U", target, values, before=key, lost=lost)
        elif kind != "delete":
            op: Literal["I", "U"] = "I" if kind in ("insert", "reinsert") else "U"
            self.deliver(op, key, values, lost=lost)

    def advance(self, gap: Gap, ops: dict[Key, list[str]]) -> None:
        """Move the clock; without a sequence, only to where the rules can tell the order."""
        shape = self.world.shape
        step = _GAPS[gap] if shape.sequence else max(_GAPS[gap], 0)
        moved = max(self.now + step * shape.unit, self.floor)
        is_tied = moved == self.now and not shape.sequence
        if is_tied and not all(_is_decidable(self.tied[key] + ops[key]) for key in ops):
            moved += shape.unit
        if moved != self.now:
            self.tied.clear()
        self.now = moved
        for key in ops:
            self.tied[key] += ops[key]

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
        if values is not None:
            world.source[key] = values
        if not lost:
            number = len(world.changes) + 1
            world.changes.append(Change(op, key, values, before, last_values, self.now, number))


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
    name=st.sampled_from(["a", None, "", "Ana", "João", "\x1f", "NULL", "O'Brien"]),
    gap=st.sampled_from(["minute", "same", "tick", "back"]),
    is_lost=st.booleans(),
)


def histories(min_actions: int = 0) -> st.SearchStrategy[History]:
    """Draw one case: what is done before the first boundary, between them, and after the last."""
    first = st.lists(_ACTIONS, min_size=1, max_size=6).map(tuple)
    phase = st.lists(_ACTIONS, min_size=min_actions, max_size=6).map(tuple)
    return st.tuples(first, phase, phase, phase)


def shape_of(chance: Chance) -> Shape:
    """Draw a table. A chance of 0 is the plainest one, which shrinking goes for."""
    source: Literal["dms", "debezium"] = "debezium" if chance.random() > 0.65 else "dms"
    count = chance.choice([0, 1, 2, 3])
    steps = sorted(chance.sample(range(STEPS), count)) if count else []
    boundaries: list[Boundary] = []
    for number, arrives in enumerate(steps):
        has_load = any(isinstance(item, Load) for item in boundaries)
        if source == "debezium":
            is_snapshot = not has_load and chance.random() > 0.4
            boundaries.append(Load(arrives) if is_snapshot else Truncate(arrives))
            continue
        # A pending reload is taken one step later, and nothing may overwrite it before that.
        following = steps[number + 1] if number + 1 < count else STEPS
        may_wait = number > 0 and arrives + 1 < following
        boundaries.append(
            Load(
                arrives,
                is_dated=number > 0 or chance.random() < 0.6,
                is_pending=may_wait and chance.random() > 0.3,
                folder=chance.randint(1, 2) if number > 0 and chance.random() > 0.6 else 0,
            )
        )
    return Shape(
        source=source,
        sequence=chance.random() < 0.6,
        key=chance.choice(["number", "text", "pair", "decimal"]),
        has_before_image=source == "dms" and chance.random() < 0.7,
        boundaries=tuple(boundaries),
    )


def world_of(cases: Sequence[History], shape: Shape) -> World:
    """Let everything happen to a table of that shape."""
    world = World(shape, cases)
    _Simulation(world).play()
    return world

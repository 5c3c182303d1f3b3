"""One history of one table with its landing: run it step by step, and shrink it when it fails."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cached_property
from pathlib import Path

from synapse.ingest.service import ingest
from synapse_tests.cdc_landing import SCHEMA, LandedFile, land, landed_at, plan_landing, prefixes
from synapse_tests.cdc_model import (
    STEPS,
    Action,
    Boundary,
    Chance,
    History,
    Item,
    Load,
    Phase,
    Shape,
    World,
    as_of,
    world_of,
)
from synapse_tests.cdc_oracle import Expected
from synapse_tests.cdc_project import CdcTable, declare
from synapse_tests.cdc_story import differences, story
from synapse_tests.lakes import lake_settings
from synapse_tests.silver_engine import SilverEngine

TABLE = "t"
VALUES = {"name": "varchar", "score": "bigint", "updated_at": "timestamp"}
# Silver as it is built on each engine; all forms are held against the model.
FORMS = {
    "as on DuckDB": {},
    "as on Athena": dict.fromkeys(
        ("cdc_base_rows", "cdc_states", "cdc_versions", "value_ranges"), "athena"
    ),
}
# In memory, where there is such a folder: SQLite waits for the disk at each commit.
_SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Harmless:
    """A chance by which everything lands as it should: whole, in order, once."""

    def random(self) -> float:
        """No hazard."""
        return 0.0

    def randint(self, a: int, b: int, /) -> int:
        """The least."""
        return min(a, b)

    def choice(self, seq: Sequence[Item], /) -> Item:
        """The first."""
        return seq[0]

    def sample(self, population: Sequence[Item], /, k: int) -> list[Item]:
        """The first of them."""
        return list(population[:k])


@dataclass(frozen=True)
class Example:
    """landing: seed of how the files land; None for no hazard at all."""

    history: History
    shape: Shape
    landing: int | None = None

    @cached_property
    def world(self) -> World:
        """The table with everything that happens to it."""
        return world_of([self.history], self.shape)

    @cached_property
    def files(self) -> list[LandedFile]:
        """The files, in the order of the steps."""
        chance: Chance = Harmless() if self.landing is None else random.Random(self.landing)
        return plan_landing(self.world, chance)

    @property
    def actions(self) -> int:
        """How many things were done."""
        return sum(len(phase) for phase in self.history)


def table_of(name: str, shape: Shape) -> CdcTable:
    """How such a table is declared."""
    cdc = {"sequence": shape.sequence, "prefixes": prefixes(name)[1:]}
    return CdcTable(name, list(shape.key_types), {**shape.key_types, **VALUES}, cdc)


def problems_of(example: Example, mutate: Mapping[str, str] | None = None) -> list[str]:
    """Land, ingest and build step by step; say where silver is not the source, and when.

    mutate: text of the rendered SQL -> what to put there instead, to break a rule on purpose.
    """
    world, files = example.world, example.files
    with tempfile.TemporaryDirectory(dir=_SCRATCH) as folder:
        project, lake = Path(folder) / "project", lake_settings(Path(folder) / "lake")
        for part in ("bronze", "silver"):
            (project / "models" / part).mkdir(parents=True)
        table = table_of(TABLE, world.shape)
        declare(project, SCHEMA, [table])
        engines = {
            form: SilverEngine(lake.lake, SCHEMA, [table], mutate or {}, macros)
            for form, macros in FORMS.items()
        }

        def compare(step: int, how: str) -> list[str]:
            expected = Expected(world, landed_at(world, files, step))
            return [
                f"{form}, {how} step {step}: {line}"
                for form, engine in engines.items()
                for line in differences(engine.fetch, TABLE, world, expected)
            ]

        try:
            has_run = False
            waiting = {load.taken for load in world.loads if load.is_pending}
            for step in range(STEPS):
                if not land(files, step, lake.lake, TABLE) and step not in waiting:
                    continue
                report = ingest(lake, project, as_of=as_of(step).replace(tzinfo=UTC))
                if report.quarantined:
                    return [f"after step {step}: {report.quarantined} quarantined"]
                if not any((lake.lake / "manifest").glob("*.parquet")):
                    continue
                for engine in engines.values():
                    engine.run()
                has_run = True
                found = compare(step, "after")
                if found:
                    return found
            if has_run:
                for engine in engines.values():
                    engine.run(full_refresh=True)
                return compare(STEPS - 1, "rebuilt after")
            return []
        finally:
            for engine in engines.values():
                engine.close()


def shrink(example: Example, fails: Callable[[Example], bool]) -> Example:
    """Make a failing example as small and as harmless as it gets while it still fails.

    Hypothesis would lower each of some hundred draws by itself, at half a second a run; this knows
    what makes a history shorter to read, and takes the boldest step first.
    """
    tried = {example}
    progress = True
    while progress:
        progress = False
        for candidate in _smaller(example):
            if candidate in tried:
                continue
            tried.add(candidate)
            if fails(candidate):
                example, progress = candidate, True
                break
    return example


def tell(example: Example, problems: Sequence[str]) -> str:
    """The story of a failure."""
    lines = "\n".join(f"  {line}" for line in problems)
    return f"silver is not the source\n{story(example.world, example.files)}\n{lines}"


def _smaller(example: Example) -> Iterator[Example]:
    shape, history = example.shape, example.history
    if example.landing is not None:
        yield replace(example, landing=None)
    if shape.boundaries:
        yield replace(example, shape=replace(shape, boundaries=()))
    for phase in range(len(history)):
        yield _with_phase(example, phase, ())
    for number in range(len(shape.boundaries)):
        yield _without_boundary(example, number)
    for phase, actions in enumerate(history):
        half = len(actions) // 2
        if half > 1:
            yield _with_phase(example, phase, actions[:half])
            yield _with_phase(example, phase, actions[half:])
    for phase, actions in enumerate(history):
        for place in range(len(actions)):
            yield _with_phase(example, phase, [*actions[:place], *actions[place + 1 :]])
    for plainer in _plainer_shapes(shape):
        yield replace(example, shape=plainer)
    for phase, actions in enumerate(history):
        for place, action in enumerate(actions):
            for plain in _plainer_actions(action):
                kept = [*actions[:place], plain, *actions[place + 1 :]]
                yield _with_phase(example, phase, kept)
    if example.landing is not None:
        # A shorter history lands otherwise: another seed may show the same fault in fewer files.
        for landing in range(5):
            candidate = replace(example, landing=landing)
            if len(candidate.files) < len(example.files):
                yield candidate


def _with_phase(example: Example, number: int, actions: Phase) -> Example:
    phases: list[Phase] = [tuple(phase) for phase in example.history]
    phases[number] = tuple(actions)
    first, second, third, fourth = phases
    return replace(example, history=(first, second, third, fourth))


def _without_boundary(example: Example, number: int) -> Example:
    """What was done on either side of it is done in one phase."""
    boundaries = example.shape.boundaries
    before, after = example.history[number], example.history[number + 1]
    joined = _with_phase(example, number, [*before, *after])
    for phase in range(number + 1, 3):
        joined = _with_phase(joined, phase, example.history[phase + 1])
    joined = _with_phase(joined, 3, ())
    kept = (*boundaries[:number], *boundaries[number + 1 :])
    return replace(joined, shape=replace(example.shape, boundaries=kept))


def _plainer_shapes(shape: Shape) -> Iterator[Shape]:
    if shape.source == "debezium" and all(isinstance(item, Load) for item in shape.boundaries):
        yield replace(shape, source="dms")
    if shape.key != "number":
        yield replace(shape, key="number")
    if not shape.sequence:
        yield replace(shape, sequence=True)
    for number, boundary in enumerate(shape.boundaries):
        if isinstance(boundary, Load) and boundary != Load(boundary.arrives):
            kept: list[Boundary] = list(shape.boundaries)
            kept[number] = Load(boundary.arrives)
            yield replace(shape, boundaries=tuple(kept))


def _plainer_actions(action: Action) -> Iterator[Action]:
    for plain in (
        replace(action, is_lost=False),
        replace(action, name="a"),
        replace(action, gap="minute"),
        replace(action, slot=0),
        replace(action, target=0),
    ):
        if plain != action:
            yield plain

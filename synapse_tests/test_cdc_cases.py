"""Whatever happens to a source table, and however that lands, silver is the source at every step.

Each example is one history with its landing, run through the real ingest and the project's own SQL
on a DuckDB in memory. A failure shrinks to the fewest actions, files and hazards that still fail,
and is told as a story.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from synapse.ingest.service import ingest
from synapse_tests.cdc_landing import SCHEMA, LandedFile, land, landed_at, plan_landing, prefixes
from synapse_tests.cdc_model import STEPS, Item, Shape, World, as_of, histories, shape_of, world_of
from synapse_tests.cdc_oracle import Expected, Landed
from synapse_tests.cdc_project import CdcTable, declare
from synapse_tests.cdc_story import differences, story
from synapse_tests.lakes import is_full_proof, lake_settings
from synapse_tests.silver_engine import SilverEngine

EXAMPLES = 500 if is_full_proof() else 100
TABLE = "t"
VALUES = {"name": "varchar", "score": "bigint", "updated_at": "timestamp"}


@dataclass(frozen=True)
class Example:
    """One history of one table, and the files in which it lands."""

    world: World
    files: Sequence[LandedFile] = field(repr=False)


@dataclass(frozen=True)
class Drawn:
    """Chance drawn by hypothesis, so that every choice shrinks to the harmless one."""

    draw: st.DrawFn

    def random(self) -> float:
        """A percentage."""
        return self.draw(st.sampled_from(range(100))) / 100

    def randint(self, a: int, b: int, /) -> int:
        """A whole number."""
        return self.draw(st.integers(a, b))

    def choice(self, seq: Sequence[Item], /) -> Item:
        """One of them."""
        return self.draw(st.sampled_from(seq))

    def sample(self, population: Sequence[Item], /, k: int) -> list[Item]:
        """The first of them in another order."""
        return self.draw(st.permutations(population))[:k]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draw what happens, to which table, and how it lands; every hazard shrinks away."""
    chance = Drawn(draw)
    world = world_of([draw(histories())], shape_of(chance))
    return Example(world, plan_landing(world, chance))


def table_of(name: str, shape: Shape) -> CdcTable:
    """How the table is declared."""
    cdc = {"sequence": shape.sequence, "prefixes": prefixes(name)[1:]}
    return CdcTable(name, list(shape.key_types), {**shape.key_types, **VALUES}, cdc)


def problems_of(example: Example, mutate: Mapping[str, str] | None = None) -> list[str]:
    """Land, ingest and build step by step; say where silver is not the source, and when."""
    world, files = example.world, example.files
    with tempfile.TemporaryDirectory() as folder:
        project, lake = Path(folder) / "project", lake_settings(Path(folder) / "lake")
        for part in ("bronze", "silver"):
            (project / "models" / part).mkdir(parents=True)
        table = table_of(TABLE, world.shape)
        declare(project, SCHEMA, [table])
        engine = SilverEngine(lake.lake, SCHEMA, [table], mutate or {})

        def compare(step: int, how: str) -> list[str]:
            expected = Expected(world, landed_at(world, files, step))
            found = differences(
                lambda sql: engine.connection.execute(sql).fetchall(), TABLE, world, expected
            )
            return [f"{how} step {step}: {line}" for line in found]

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
                engine.run()
                has_run = True
                found = compare(step, "after")
                if found:
                    return found
            if has_run:
                engine.run(full_refresh=True)
                return compare(STEPS - 1, "rebuilt after")
            return []
        finally:
            engine.close()


def report(example: Example, problems: list[str]) -> str:
    """The story of a failure."""
    lines = "\n".join(f"  {line}" for line in problems)
    return f"silver is not the source\n{story(example.world, example.files)}\n{lines}"


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
@given(examples())
def test_silver_is_the_source_after_every_step(example: Example) -> None:
    problems = problems_of(example)
    assert not problems, report(example, problems)


@settings(
    max_examples=500, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(examples())
def test_the_model_ends_where_the_source_ends(example: Example) -> None:
    """The model's folding, given all that the source did, is the plain dict that it acted on."""
    world = example.world
    everything = Landed({change.sequence for change in world.changes})
    for number, snapshot in enumerate(world.snapshots):
        everything.loads[number] = set(snapshot)
    assert Expected(world, everything).living() == world.source


MUTANTS = {
    "ties reversed": (
        "then case when ordered._tie_op = 'D' then 0 else 2 end",
        "then case when ordered._tie_op = 'D' then 2 else 0 end",
    ),
    "the oldest change wins": ("order by ranked._rank desc", "order by ranked._rank"),
    "absence after load": ("0 as _stage", "3 as _stage"),
    "a delete closes nothing": ("where bounded._op <> 'D'", "where true"),
}


@pytest.mark.parametrize("rule", list(MUTANTS) if is_full_proof() else ["ties reversed"])
def test_a_broken_rule_is_found_and_shrinks_to_a_short_story(rule: str) -> None:
    old, new = MUTANTS[rule]
    try:
        example = find(
            examples(),
            lambda drawn: bool(problems_of(drawn, {old: new})),
            settings=settings(
                max_examples=400,
                database=None,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        pytest.fail(f"no example tells that the rule is broken ({rule}): does {old!r} still exist?")
    told = report(example, problems_of(example, {old: new}))
    assert sum(len(phase) for history in example.world.cases for phase in history) <= 3, told
    assert len(told.splitlines()) <= 16, told
    assert not problems_of(example)

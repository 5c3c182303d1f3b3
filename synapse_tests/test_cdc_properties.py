"""The worlds of `test_cdc_cases.py` by the real thing: many tables in one lake, built by dbt.

Hypothesis draws tables full of small histories; they are collected, then landed, ingested and
built together, because a dbt run costs seconds and a history costs nothing. Silver is compared
with the model after every step.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from synapse.settings import Settings
from synapse_tests.cdc_example import Example, problems_of, shrink, table_of, tell
from synapse_tests.cdc_landing import SCHEMA, LandedFile, land, landed_at, plan_landing
from synapse_tests.cdc_model import (
    CASES,
    STEPS,
    History,
    World,
    as_of,
    histories,
    shape_of,
    world_of,
)
from synapse_tests.cdc_oracle import Expected
from synapse_tests.cdc_project import CdcTable, bare_project, build, declare
from synapse_tests.cdc_story import differences, story
from synapse_tests.lakes import is_full_proof, lake_settings

TABLES_PER_RUN = 16
RUNS = 4 if is_full_proof() else 1
Table = tuple[World, list[LandedFile]]


def draw_tables(count: int) -> list[Table]:
    """Let hypothesis draw histories, the same ones every time, and make landed tables of them."""
    drawn: list[History] = []

    @settings(
        max_examples=2 * count * CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(min_actions=1))
    def collect(history: History) -> None:
        # Hypothesis likes to vary one draw a little; a repetition would prove nothing.
        if history not in drawn:
            drawn.append(history)

    collect()
    assert len(drawn) >= count * CASES
    chosen = random.Random(count).sample(drawn, count * CASES)
    tables = []
    for number in range(count):
        chance = random.Random(number)
        world = world_of(chosen[number * CASES : (number + 1) * CASES], shape_of(chance))
        tables.append((world, plan_landing(world, chance)))
    return tables


def name_of(number: int) -> str:
    """A table's name."""
    return f"t{number:02d}"


def declared(tables: Sequence[Table]) -> list[CdcTable]:
    """How the tables are declared."""
    return [table_of(name_of(number), world.shape) for number, (world, _) in enumerate(tables)]


def explain(lake: Settings, tables: Sequence[Table], step: int, how: str) -> list[str]:
    """Return a story for each table that came out wrong."""
    stories = []
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        for number, (world, files) in enumerate(tables):
            expected = Expected(world, landed_at(world, files, step))
            lines = differences(query, name_of(number), world, expected)
            if not lines:
                continue
            cases = _cases_of(world, lines)
            alone = _alone(world, min(cases, default=0), number)
            told = alone or story(world, files, min(cases, default=None))
            stories.append(f"{how} step {step}, {name_of(number)}\n{told}\n" + "\n".join(lines[:8]))
    return stories


def _cases_of(world: World, lines: Sequence[str]) -> set[int]:
    """Cases whose keys the differences name."""
    cases: dict[str, int] = {repr(world.shape.physical(key)): key[0] for key in world.keys}
    spelled = defaultdict(set)
    for line in lines:
        for key, case in cases.items():
            if line.startswith(f"stg {key}:"):
                spelled[case].add(line)
    return set(spelled)


def _alone(world: World, case: int, seed: int) -> str:
    """The case by itself and as small as it gets, where it fails without its neighbours too."""
    example = Example(world.cases[case], world.shape, seed)
    if not problems_of(example):
        return ""
    least = shrink(example, lambda candidate: bool(problems_of(candidate)))
    return tell(least, problems_of(least))


@pytest.mark.parametrize("batch", range(RUNS))
def test_any_landing_of_any_history_gives_the_source(batch: int, tmp_path: Path) -> None:
    drawn = draw_tables(TABLES_PER_RUN * RUNS)
    tables = drawn[batch * TABLES_PER_RUN : (batch + 1) * TABLES_PER_RUN]
    assert sum(len(world.cases) for world, _ in tables) >= 100
    project = bare_project(tmp_path / "project")
    declare(project, SCHEMA, declared(tables))
    lake = lake_settings(tmp_path / "lake")
    for step in range(STEPS):
        for number, (_, files) in enumerate(tables):
            land(files, step, lake.lake, name_of(number))
        assert build(lake, project, as_of(step)).quarantined == 0
        problems = explain(lake, tables, step, "after")
        assert not problems, f"{len(problems)} tables differ\n" + "\n".join(problems[:3])
    build(lake, project, as_of(STEPS - 1), "--full-refresh")
    problems = explain(lake, tables, STEPS - 1, "rebuilt after")
    assert not problems, f"{len(problems)} tables differ\n" + "\n".join(problems[:3])

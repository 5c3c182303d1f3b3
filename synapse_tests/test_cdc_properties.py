"""Whatever happens to a source table, and however that lands, silver equals the source.

Hypothesis draws tables full of small histories; they are collected first and then landed, ingested
and built together, because one dbt run costs seconds and a history costs nothing. A failing history
is printed with its table's seed, which repeats it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from synapse.ingest.service import ingest
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings
from synapse_tests.cdc_landing import SCHEMA, land, plan_landing
from synapse_tests.cdc_model import (
    CASES,
    STEPS,
    History,
    Key,
    Values,
    World,
    as_of,
    histories,
    world_of,
)
from synapse_tests.lakes import copy_project, is_full_proof, lake_settings

TABLES_PER_RUN = 16
RUNS = 4 if is_full_proof() else 1


def draw_worlds(count: int) -> list[World]:
    """Let hypothesis draw histories, the same ones every time, and make tables of them."""
    drawn: list[History] = []

    @settings(
        max_examples=2 * count * CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def collect(history: History) -> None:
        # Hypothesis likes to vary one draw a little; a repetition would prove nothing.
        if history not in drawn:
            drawn.append(history)

    collect()
    assert len(drawn) >= count * CASES
    chosen = random.Random(count).sample(drawn, count * CASES)
    return [world_of(chosen[n * CASES : (n + 1) * CASES], seed=n) for n in range(count)]


def declare(project: Path, tables: Sequence[World]) -> None:
    """Write the declarations and the three-line models of the tables into a project."""
    types = {"name": "varchar", "score": "bigint", "updated_at": "timestamp"}
    listed = []
    for number, world in enumerate(tables):
        columns = {**dict.fromkeys(world.key, "bigint"), **types}
        listed.append(
            {
                "name": f"t{number:02d}",
                "config": {"meta": {"cdc": {"key": list(world.key), "sequence": world.sequence}}},
                "columns": [{"name": n, "data_type": kind} for n, kind in columns.items()],
            }
        )
        for prefix, macro in (("base", "base"), ("stg", "current"), ("hist", "history")):
            model = project / "models" / "silver" / f"{prefix}_dms__t{number:02d}.sql"
            model.write_text(f"{{{{ cdc_{macro}('t{number:02d}') }}}}\n")
    source = {
        "name": "dms_synapse",
        "schema": "bronze",
        "config": {"meta": {"source_schema": SCHEMA}},
        "tables": listed,
    }
    declaration = project / "models" / "bronze" / "_dms__sources.yml"
    declaration.write_text(yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False))


def bare_project(folder: Path) -> Path:
    """Copy the project without its own tables and models: macros and the lake's sources stay."""
    project = copy_project(folder)
    own = ("models/silver", "models/gold", "models/ops")
    for part in (*own, "snapshots", "tests", "seeds", "analyses"):
        for path in sorted((project / part).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    (project / "models" / "silver").mkdir(exist_ok=True)
    (project / "models" / "exposures.yml").unlink()
    return project


def build(lake: Settings, project: Path, now: datetime, *arguments: str) -> None:
    """Ingest as of `now` and build silver."""
    instant = now.replace(tzinfo=UTC)
    report = ingest(lake, project, as_of=instant)
    assert report.quarantined == 0, report
    run_id = f"proof-{now:%d}"
    write_run_context(lake, run_id=run_id, as_of=instant, is_backfill=False)
    result = DbtProject(lake, project).invoke(["run", *arguments], run_id=run_id)
    assert result.succeeded, "\n".join(result.failures)


def table_name(prefix: str, number: int) -> str:
    """Return the silver model of the prefix for a table."""
    return f"silver.{prefix}_dms__t{number:02d}"


def _rows(lake: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def state_problems(lake: Settings, number: int, world: World) -> dict[int, list[str]]:
    """Return, by case, where stg_dms__ and the model disagree."""
    keys = ", ".join(world.key)
    found: dict[Key, tuple[Values | None, bool]] = {}
    query = f"select {keys}, name, score, updated_at, _is_deleted from {table_name('stg', number)}"
    problems: dict[int, list[str]] = {}
    for row in _rows(lake, query):
        *key_parts, name, score, updated_at, is_deleted = row
        key = tuple(key_parts)
        values = Values(name, score, updated_at) if updated_at else None
        if key in found:
            problems.setdefault(world.case_of(key), []).append(f"stg has key {key} twice")
        found[key] = (values, bool(is_deleted))
    expected = world.current()
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            problems.setdefault(world.case_of(key), []).append(
                f"stg {key}: has {found.get(key)}, the source {expected.get(key)}"
            )
    return problems


def history_problems(lake: Settings, number: int, world: World) -> dict[int, list[str]]:
    """Return, by case, where hist_dms__ and the model disagree."""
    keys = ", ".join(world.key)
    query = (
        f"select {keys}, _version, name, score, updated_at, _valid_from, _valid_to, _is_current "
        f"from {table_name('hist', number)}"
    )
    width = len(world.key)
    found = sorted(_rows(lake, query), key=lambda row: row[: width + 1])
    expected: list[tuple[Any, ...]] = sorted(
        (
            (
                *(*v.key, v.number, v.values.name, v.values.score, v.values.updated_at),
                *(v.valid_from, v.valid_to, v.valid_to is None),
            )
            for v in world.history()
        ),
        key=lambda row: row[: width + 1],
    )
    problems: dict[int, list[str]] = {}
    for label, rows, others in (("has", found, expected), ("lacks", expected, found)):
        for row in rows:
            if row not in others:
                key: Key = tuple(row[:width])
                shown = " ".join(map(str, row))
                problems.setdefault(world.case_of(key), []).append(f"hist {label} {shown}")
    return problems


def explain(lake: Settings, tables: Sequence[World], when: str) -> list[str]:
    """Return a paragraph for each case that came out wrong."""
    paragraphs = []
    for number, world in enumerate(tables):
        by_case = state_problems(lake, number, world)
        for case, lines in history_problems(lake, number, world).items():
            by_case.setdefault(case, []).extend(lines)
        for case, lines in sorted(by_case.items()):
            story = [f"{when}: table t{number:02d} (seed {world.seed}) case {case}"]
            story.append(f"  sequence={world.sequence} key={world.key} loads={world.loads}")
            if case < CASES:
                story += [f"  did {action}" for phase in world.cases[case] for action in phase]
            story += [f"  delivered {c}" for c in world.changes if world.case_of(c.key) == case]
            paragraphs.append("\n".join(story + [f"  {line}" for line in lines]))
    return paragraphs


@pytest.mark.parametrize("batch", range(RUNS))
def test_any_landing_of_any_history_gives_the_source(batch: int, tmp_path: Path) -> None:
    drawn = draw_worlds(TABLES_PER_RUN * RUNS)
    tables = drawn[batch * TABLES_PER_RUN : (batch + 1) * TABLES_PER_RUN]
    assert sum(len(world.cases) for world in tables) >= 100
    project = bare_project(tmp_path / "project")
    declare(project, tables)
    lake = lake_settings(tmp_path / "lake")
    plans = [plan_landing(world) for world in tables]
    for step in range(STEPS):
        for number, files in enumerate(plans):
            land(files, step, lake.lake / "bronze" / "dms" / SCHEMA / f"t{number:02d}")
        build(lake, project, as_of(step))
    problems = explain(lake, tables, "built step by step")
    assert not problems, f"{len(problems)} histories differ\n" + "\n".join(problems[:3])
    build(lake, project, as_of(STEPS - 1), "--full-refresh")
    problems = explain(lake, tables, "rebuilt at once")
    assert not problems, f"{len(problems)} histories differ\n" + "\n".join(problems[:3])

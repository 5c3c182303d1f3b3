"""Whether silver is the source, and when it is not, what was done, landed and found, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from synapse_tests.cdc_landing import LandedFile
from synapse_tests.cdc_model import Change, Key, Load, Values, World
from synapse_tests.cdc_oracle import Expected, Row

Query = Callable[[str], list[tuple[Any, ...]]]


def differences(query: Query, table: str, world: World, expected: Expected) -> list[str]:
    """Where stg_dms__ and hist_dms__ say something else than the model."""
    return [*_state(query, table, world, expected), *_history(query, table, world, expected)]


def _state(query: Query, table: str, world: World, expected: Expected) -> list[str]:
    keys = ", ".join(world.shape.key_types)
    found: dict[Row, tuple[Values | None, bool]] = {}
    problems = []
    for row in query(
        f"select {keys}, name, score, updated_at, _is_deleted from silver.stg_dms__{table}"
    ):
        *key_parts, name, score, updated_at, is_deleted = row
        key = tuple(key_parts)
        if key in found:
            problems.append(f"stg has key {key} twice")
        found[key] = (Values(name, score, updated_at) if updated_at else None, bool(is_deleted))
    wanted = expected.current()
    problems += [
        f"stg {key}: has {_said(found.get(key))}, the source {_said(wanted.get(key))}"
        for key in sorted(found.keys() | wanted.keys(), key=repr)
        if found.get(key) != wanted.get(key)
    ]
    return problems


def _history(query: Query, table: str, world: World, expected: Expected) -> list[str]:
    keys = ", ".join(world.shape.key_types)
    found = query(
        f"select {keys}, _version, name, score, updated_at, _valid_from, _valid_to, _is_current "
        f"from silver.hist_dms__{table} order by {keys}, _version"
    )
    wanted = expected.history()
    return [
        f"hist {label} {' '.join(map(str, row))}"
        for label, rows, others in (("has", found, wanted), ("lacks", wanted, found))
        for row in rows
        if row not in others
    ]


def _said(state: tuple[Values | None, bool] | None) -> str:
    if state is None:
        return "nothing"
    values, is_deleted = state
    return f"{_values(values)}{' (deleted)' if is_deleted else ''}"


def _values(values: Values | None) -> str:
    return "no values" if values is None else f"name={values.name!r} score={values.score}"


def story(world: World, files: Sequence[LandedFile], case: int | None = None) -> str:
    """What was done to the source, and what landed when. case: only this one's keys."""
    shape = world.shape
    lines = [
        f"A table from {shape.source}, "
        f"{'with' if shape.sequence else 'without'} change sequence, key {shape.key}"
    ]
    for number, load in enumerate(world.loads, start=1):
        rows = ", ".join(
            f"{_key(world, key)} {_values(values)}"
            for key, values in world.snapshots[number - 1].items()
            if _is_of(key, case)
        )
        lines.append(f"  load {number} of {_when(load)}: {rows or 'none of these keys'}")
    lines += [
        f"  change {change.sequence}: {_change(world, change)}"
        for change in world.changes
        if change.key is None or _is_of(change.key, case)
    ]
    mine = {
        change.sequence
        for change in world.changes
        if change.key is None or _is_of(change.key, case)
    }
    for file in files:
        changes = [number for number in file.changes if number in mine]
        if file.load is None and not changes:
            continue
        holds = f"changes {changes}" if file.load is None else _load_rows(world, file, case)
        where = "topic" if file.folder is None else ("table", "again1", "again2")[file.folder]
        lines.append(f"  step {file.step}: {where}/{file.path} with {holds}")
    return "\n".join(lines)


def _load_rows(world: World, file: LandedFile, case: int | None) -> str:
    keys = [_key(world, key) for key in file.keys if _is_of(key, case)]
    return f"{', '.join(keys) or 'none of these keys'} of load {(file.load or 0) + 1}"


def _is_of(key: Key, case: int | None) -> bool:
    return case is None or key[0] == case


def _when(load: Load) -> str:
    when = f"{load.instant}" if load.is_dated else "no time"
    return f"{when}{', taken a step later' if load.is_pending else ''}"


def _key(world: World, key: Key) -> str:
    return "/".join(repr(part) for part in map(str, world.shape.physical(key)))


def _change(world: World, change: Change) -> str:
    if change.key is None:
        return f"T at {change.committed_at}"
    moved = f" (was {_key(world, change.before)})" if change.before else ""
    values = "" if change.values is None else f" {_values(change.values)}"
    return f"{change.op} {_key(world, change.key)}{moved}{values} at {change.committed_at}"

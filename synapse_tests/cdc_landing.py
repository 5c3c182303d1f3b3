"""How a world of `cdc_model` lands: DMS files with every hazard that DMS is known for.

Rows in no order, files split, repeated under another name, overlapping, early and late; loads
with and without Op and transfer time, overwritten in place, half of a reload today and the rest
tomorrow.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synapse_tests.cdc_model import BASE, STEPS, Change, Key, Values, World

SCHEMA = "prop"
Row = TypeVar("Row")


@dataclass(frozen=True)
class LandedFile:
    """One file: where it lies below the table's folder, and at which step it appears there."""

    step: int
    path: str
    table: pa.Table


def plan_landing(world: World) -> list[LandedFile]:
    """Return every file of a world; the seed decides, so that a failure repeats."""
    chance = random.Random(world.seed)
    return _load_files(world, chance) + _change_files(world, chance)


def land(files: Sequence[LandedFile], step: int, folder: Path) -> None:
    """Write the files of one step below the table's folder."""
    loads = {file.path for file in files if file.step <= step and file.path.startswith("LOAD")}
    arriving = [file for file in files if file.step == step]
    if any(file.path == "LOAD00000001.parquet" for file in arriving):
        # DMS empties the folder's loads before it writes a new set.
        keep = {file.path for file in arriving}
        for name in sorted(loads - keep):
            (folder / name).unlink(missing_ok=True)
    for file in arriving:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(file.table, path)


def _load_files(world: World, chance: random.Random) -> list[LandedFile]:
    files = []
    for number, load in enumerate(world.loads):
        rows = list(world.snapshots[number].items())
        chance.shuffle(rows)
        pieces = _split(rows, chance.randint(1, 3), chance)
        following = world.loads[number + 1].arrives if number + 1 < len(world.loads) else STEPS
        has_op = chance.random() < 0.5
        for place, piece in enumerate(pieces):
            step = load.arrives
            if place > 0 and load.is_pending:
                step += chance.randint(0, 1)
            elif place > 0 and number == 0:
                # A first load may be joined by a file under a new name while it is the newest.
                step = chance.randint(load.arrives, following - 1)
            times = None
            if load.is_dated:
                late = [chance.randint(0, 120) for _ in piece]
                if place == 0:
                    late[0] = 0
                times = [load.instant + timedelta(seconds=seconds) for seconds in late]
            table = _load_table(world, piece, times, has_op)
            files.append(LandedFile(step, f"LOAD{place + 1:08X}.parquet", table))
    return files


def _change_files(world: World, chance: random.Random) -> list[LandedFile]:
    files = []
    changes = list(world.changes)
    if chance.random() < 0.5:
        chance.shuffle(changes)
    number = 0

    def name_file(step: int, table: pa.Table) -> None:
        nonlocal number
        number += 1
        stamp = BASE + timedelta(minutes=number)
        name = f"{stamp:%Y%m%d-%H%M%S}{number:03d}.parquet"
        path = f"{stamp:%Y/%m/%d}/{name}" if chance.random() < 0.8 else name
        files.append(LandedFile(step, path, table))

    for piece in _split(changes, chance.randint(1, 6), chance):
        table = _change_table(world, piece, chance)
        name_file(chance.randrange(STEPS), table)
        if chance.random() < 0.3:
            name_file(chance.randrange(STEPS), table)
    for _ in range(chance.randint(0, 2) if changes else 0):
        overlap = chance.sample(changes, chance.randint(1, len(changes)))
        name_file(chance.randrange(STEPS), _change_table(world, overlap, chance))
    return files


def _split(rows: list[Row], pieces: int, chance: random.Random) -> list[list[Row]]:
    cuts = sorted(chance.randint(0, len(rows)) for _ in range(pieces - 1))
    bounds = [0, *cuts, len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(bounds) if a < b]


def _values_columns(rows: Sequence[Values | None]) -> dict[str, pa.Array]:
    return {
        "name": pa.array([row and row.name for row in rows], pa.string()),
        "score": pa.array([row and row.score for row in rows], pa.int64()),
        "updated_at": pa.array([row and row.updated_at for row in rows], pa.timestamp("us")),
    }


def _key_columns(world: World, keys: Sequence[Key | None], prefix: str = "") -> dict[str, pa.Array]:
    return {
        prefix + name: pa.array([None if key is None else key[place] for key in keys], pa.int64())
        for place, name in enumerate(world.key)
    }


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S.%f}"


def _load_table(
    world: World, rows: list[tuple[Key, Values]], times: list[datetime] | None, has_op: bool
) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    if has_op:
        columns["Op"] = pa.array(["I"] * len(rows))
    if times is not None:
        columns["dms_committed_at"] = pa.array([_text(instant) for instant in times])
    if has_op and world.sequence:
        columns["dms_change_seq"] = pa.array([""] * len(rows))
    columns |= _key_columns(world, [key for key, _ in rows])
    columns |= _values_columns([values for _, values in rows])
    return pa.table(columns)


def _change_table(world: World, rows: list[Change], chance: random.Random) -> pa.Table:
    rows = chance.sample(rows, len(rows))
    instants = [row.committed_at for row in rows]
    as_text = chance.random() < 0.7
    # One file carries its deletes whole or as keys only: DMS decides that for the task.
    whole_deletes = chance.random() < 0.5 and world.sequence
    columns = {
        "Op": pa.array([row.op for row in rows]),
        "dms_committed_at": pa.array([_text(instant) for instant in instants])
        if as_text
        else pa.array(instants, pa.timestamp("us")),
    }
    if world.sequence:
        columns["dms_change_seq"] = pa.array([f"{20260105:021d}{r.sequence:014d}" for r in rows])
    columns |= _key_columns(world, [row.key for row in rows])
    deleted = (row.last_values if whole_deletes else None for row in rows)
    values = [row.values or gone for row, gone in zip(rows, deleted, strict=True)]
    columns |= _values_columns(values)
    if any(row.before is not None for row in rows) or chance.random() < 0.3:
        columns |= _key_columns(world, [row.before for row in rows], "BI_")
    if chance.random() < 0.2:
        columns["undeclared"] = pa.array(["drift"] * len(rows))
    return pa.table(columns)

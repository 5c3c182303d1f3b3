"""How a world of `cdc_model` lands: files with every hazard that DMS and Debezium are known for.

Rows in no order, files split, repeated under another name, overlapping, early and late, of one task
or two; loads with and without Op and transfer time, overwritten in place or under another prefix,
half of a reload today and the rest tomorrow; columns that appear, disappear and change their type.
A chance of 0 is always the harmless way, which shrinking goes for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synapse_tests.cdc_model import BASE, STEPS, Chance, Change, Key, Load, Values, World
from synapse_tests.cdc_oracle import Landed

SCHEMA = "prop"
FOLDERS = ("", "again1", "again2")  # prefixes of a table: its own folder, and two more
Row = TypeVar("Row")


@dataclass(frozen=True)
class LandedFile:
    """One file: where it lies, when it appears there, and what is in it.

    folder: index of the declared prefix, None for the table's Debezium topic. load: number of the
    load whose rows it holds; changes: numbers of the changes. has_whole_deletes: its deletes carry
    the values that they delete.
    """

    step: int
    folder: int | None
    path: str
    content: pa.Table | bytes
    load: int | None = None
    keys: tuple[Key, ...] = ()
    changes: tuple[int, ...] = ()
    has_whole_deletes: bool = False


def prefixes(table: str) -> list[str]:
    """Declared folders below bronze/dms in which a table's files land."""
    return [f"{SCHEMA}/{table}", *(f"{folder}/{table}" for folder in FOLDERS[1:])]


def plan_landing(world: World, chance: Chance) -> list[LandedFile]:
    """Return every file of a world, in the order of the steps."""
    writer = _Debezium(world, chance) if world.shape.source == "debezium" else _Dms(world, chance)
    return sorted(writer.files(), key=lambda file: file.step)


def land(files: Sequence[LandedFile], step: int, lake: Path, table: str) -> int:
    """Write the files of one step; return how many there are."""
    arriving = [file for file in files if file.step == step]
    for file in arriving:
        folder = _folder(file, lake, table)
        if file.path == "LOAD00000001.parquet":
            # DMS empties the folder's loads before it writes a new set.
            for old in folder.glob("LOAD*.parquet"):
                old.unlink()
    for file in arriving:
        path = _folder(file, lake, table) / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file.content, bytes):
            path.write_bytes(file.content)
        else:
            pq.write_table(file.content, path)
    return len(arriving)


def _folder(file: LandedFile, lake: Path, table: str) -> Path:
    if file.folder is None:
        return lake / "bronze" / "kconnect" / "topics" / f"cdc.{SCHEMA}.{table}"
    return lake / "bronze" / "dms" / prefixes(table)[file.folder]


def landed_at(world: World, files: Sequence[LandedFile], step: int) -> Landed:
    """Say what ingest has accepted after a step: all that landed, but a pending reload."""
    landed = Landed()
    for file in files:
        if file.step > step:
            continue
        landed.changes.update(file.changes)
        if file.has_whole_deletes:
            landed.whole.update(file.changes)
        if file.load is not None and world.loads[file.load].taken <= step:
            landed.loads[file.load].update(file.keys)
    return landed


@dataclass
class _Writer:
    world: World
    chance: Chance
    number: int = 0
    made: list[LandedFile] = field(default_factory=list)

    def files(self) -> list[LandedFile]:
        for number, load in enumerate(self.world.loads):
            self.write_load(number, load)
        for piece in self.pieces_of_changes():
            self.write_changes(self.chance.randint(0, STEPS - 1), piece)
        return self.made

    def pieces_of_changes(self) -> list[list[Change]]:
        """Split the log; some pieces come again, some changes in two of them."""
        chance = self.chance
        changes = list(self.world.changes)
        if chance.random() > 0.5:
            changes = chance.sample(changes, len(changes))
        pieces = _split(changes, chance.randint(1, 6), chance)
        pieces += [piece for piece in pieces if chance.random() > 0.7]
        for _ in range(chance.randint(0, 2) if changes else 0):
            pieces.append(chance.sample(changes, chance.randint(1, len(changes))))
        return pieces

    def pieces_of_load(
        self, number: int, load: Load
    ) -> list[tuple[int, list[Key], list[datetime]]]:
        """Step, keys and transfer times of each file; the first holds the load's instant."""
        chance = self.chance
        keys = list(self.world.snapshots[number])
        if chance.random() > 0.3:
            keys = chance.sample(keys, len(keys))
        loads = self.world.loads
        following = loads[number + 1].arrives if number + 1 < len(loads) else STEPS
        pieces = []
        for place, piece in enumerate(_split(keys, chance.randint(1, 3), chance)):
            step = load.arrives
            if place > 0 and load.is_pending:
                step += chance.randint(0, 1)
            elif place > 0 and number == 0:
                # A first load may be joined by a file under a new name while it is the newest.
                step = chance.randint(load.arrives, following - 1)
            late = [chance.randint(0, 120) for _ in piece]
            if place == 0:
                late[0] = 0
            pieces.append((step, piece, [load.instant + timedelta(seconds=s) for s in late]))
        return pieces

    def write_load(self, number: int, load: Load) -> None:
        raise NotImplementedError

    def write_changes(self, step: int, rows: list[Change]) -> None:
        raise NotImplementedError


def _split(rows: list[Row], pieces: int, chance: Chance) -> list[list[Row]]:
    cuts = sorted(chance.randint(0, len(rows)) for _ in range(pieces - 1))
    bounds = [0, *cuts, len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(bounds) if a < b]


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S.%f}"


class _Dms(_Writer):
    """Parquet as DMS writes it."""

    def write_load(self, number: int, load: Load) -> None:
        has_op = self.chance.random() < 0.5
        first = self.chance.randint(1, 9)  # counters are hexadecimal: 9 is followed by 0A
        for place, (step, keys, times) in enumerate(self.pieces_of_load(number, load)):
            snapshot = self.world.snapshots[number]
            columns: dict[str, pa.Array] = {}
            if has_op:
                columns["Op"] = pa.array(["I"] * len(keys))
            if load.is_dated:
                columns["dms_committed_at"] = self.moments(times)
            if has_op and self.world.shape.sequence:
                columns["dms_change_seq"] = pa.array([""] * len(keys))
            columns |= self.keys_of(keys) | self.values_of([snapshot[key] for key in keys])
            counter = 1 if place == 0 else first + place
            path = f"LOAD{counter:08X}.parquet"
            table = pa.table(columns)
            self.made.append(LandedFile(step, load.folder, path, table, number, tuple(keys)))

    def write_changes(self, step: int, rows: list[Change]) -> None:
        chance, shape = self.chance, self.world.shape
        if chance.random() > 0.3:
            rows = chance.sample(rows, len(rows))
        # One file carries its deletes whole or as keys only: DMS decides that for the task.
        whole_deletes = chance.random() > 0.5 and shape.sequence
        columns = {
            "Op": pa.array([row.op for row in rows]),
            "dms_committed_at": self.moments([row.committed_at for row in rows]),
        }
        if shape.sequence:
            columns["dms_change_seq"] = pa.array(
                [f"{20260105:021d}{row.sequence:014d}" for row in rows]
            )
        deleted = (row.last_values if whole_deletes else None for row in rows)
        columns |= self.keys_of([row.key for row in rows])
        columns |= self.values_of(
            [row.values or gone for row, gone in zip(rows, deleted, strict=True)]
        )
        if any(row.before is not None for row in rows) or chance.random() > 0.7:
            columns |= self.keys_of([row.before for row in rows], "BI_")
        if chance.random() > 0.8:
            columns["undeclared"] = pa.array(["drift"] * len(rows))
        self.number += 1
        stamp = BASE + timedelta(minutes=self.number)
        name = f"{stamp:%Y%m%d-%H%M%S}{self.number:0{chance.choice([3, 4])}d}.parquet"
        path = name if chance.random() > 0.8 else f"{stamp:%Y/%m/%d}/{name}"
        task = 2 if chance.random() > 0.8 else 0
        numbers = tuple(row.sequence for row in rows)
        self.made.append(
            LandedFile(
                step,
                task,
                path,
                pa.table(columns),
                changes=numbers,
                has_whole_deletes=whole_deletes,
            )
        )

    def moments(self, instants: list[datetime]) -> pa.Array:
        """Text, or a timestamp of any unit that loses nothing."""
        if self.chance.random() < 0.6:
            return pa.array([_text(instant) for instant in instants])
        kinds = [pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns")]
        if all(instant.microsecond % 1000 == 0 for instant in instants):
            kinds += [pa.timestamp("ms"), pa.timestamp("ms", tz="UTC")]
        return pa.array(instants, self.chance.choice(kinds))

    def keys_of(self, keys: Sequence[Key | None], prefix: str = "") -> dict[str, pa.Array]:
        shape = self.world.shape
        rows = [None if key is None else shape.physical(key) for key in keys]
        kinds: dict[str, list[pa.DataType]] = {
            "bigint": [pa.int64(), pa.int32(), pa.decimal128(19, 0)],
            "varchar": [pa.string()],
            "decimal(12,2)": [pa.decimal128(12, 2), pa.decimal128(9, 2), pa.decimal128(18, 4)],
        }
        return {
            prefix + name: pa.array(
                [row and row[place] for row in rows], self.chance.choice(kinds[declared])
            )
            for place, (name, declared) in enumerate(shape.key_types.items())
        }

    def values_of(self, rows: Sequence[Values | None]) -> dict[str, pa.Array]:
        """A column without any value may be missing; types change as they do in sources."""
        chance = self.chance
        scores: list[Any] = [row and row.score for row in rows]
        kind = chance.choice(
            [pa.int64(), pa.int32(), pa.int16(), pa.decimal128(20, 0), pa.float64(), pa.string()]
        )
        if kind == pa.string():
            scores = [None if score is None else str(score) for score in scores]
        elif kind == pa.decimal128(20, 0):
            scores = [None if score is None else Decimal(score) for score in scores]
        columns = {
            "name": pa.array([row and row.name for row in rows], pa.string()),
            "score": pa.array(scores, kind),
            "updated_at": pa.array(
                [row and row.updated_at for row in rows],
                chance.choice([pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ms", "UTC")]),
            ),
        }
        return {
            name: column
            for name, column in columns.items()
            if column.null_count < len(column) or chance.random() < 0.5
        }


class _Debezium(_Writer):
    """Envelopes as Debezium writes them and Kafka Connect lands them."""

    def write_load(self, number: int, load: Load) -> None:
        snapshot = self.world.snapshots[number]
        for step, keys, times in self.pieces_of_load(number, load):
            records = [
                self.envelope("r", 0, at, after=self.image(key, snapshot[key]))
                for key, at in zip(keys, times, strict=True)
            ]
            self.write(step, records, load=number, keys=tuple(keys))

    def write_changes(self, step: int, rows: list[Change]) -> None:
        records: list[Any] = []
        ops = {"I": "c", "U": "u", "D": "d", "T": "t"}
        has_before = self.chance.random() > 0.5
        for row in rows:
            images: dict[str, Any] = {}
            if row.key is not None and row.values is not None:
                images = {"before": None, "after": self.image(row.key, row.values)}
                if row.op == "U" and has_before:
                    images["before"] = self.image(row.key, None)
            elif row.key is not None:
                last = row.last_values if has_before else None
                images = {"before": self.image(row.key, last), "after": None}
            records.append(self.envelope(ops[row.op], row.sequence, row.committed_at, **images))
            if row.op == "D" and self.chance.random() < 0.5:
                records.append(None)
        numbers = tuple(row.sequence for row in rows)
        self.write(step, records, changes=numbers, has_whole_deletes=has_before)

    def write(self, step: int, records: list[Any], **content: Any) -> None:
        table, offset = f"t+{self.chance.randint(0, 2)}", self.number * 1000
        self.number += 1
        day = BASE + timedelta(days=self.chance.randint(0, 3))
        path = f"year={day:%Y}/month={day:%m}/day={day:%d}/{table}+{offset:010d}.json"
        if self.chance.random() > 0.5:
            records = [{"schema": None, "payload": record} for record in records]
        data = b"\n".join(orjson.dumps(record) for record in records)
        self.made.append(LandedFile(step, None, path, data, **content))

    def envelope(self, op: str, number: int, at: datetime, **images: Any) -> dict[str, Any]:
        milliseconds = (at - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
        source = {"ts_ms": milliseconds, "file": "bin.000001", "pos": number, "row": 0}
        return {"op": op, "source": source, "ts_ms": milliseconds + 5, **images}

    def image(self, key: Key, values: Values | None) -> dict[str, Any]:
        shape = self.world.shape
        image: dict[str, Any] = {
            name: str(part) if isinstance(part, Decimal) else part
            for name, part in zip(shape.key_types, shape.physical(key), strict=True)
        }
        if values is not None:
            image |= {"name": values.name, "score": values.score}
            image["updated_at"] = f"{values.updated_at.isoformat(timespec='milliseconds')}Z"
        return image

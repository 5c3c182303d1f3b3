"""The same bronze, landed otherwise: shuffled, split, repeated, overlapping, in other steps.

Load files keep their names and their epochs' order (DMS gives them no choice): each epoch's set
comes from what ingest retained. Everything else may arrive whenever and however it likes.
"""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

_EXTRA_STEPS = 1


@dataclass
class Relanding:
    """Copies `source`'s bronze to `target` in `steps` steps; the seed decides how."""

    source: Path
    target: Path
    seed: int
    split: int = 0
    repeated: int = 0
    _work: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    _number: int = 0
    _epochs: int = 1

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._plan_loads()
        bronze = self.source / "bronze"
        for path in sorted(bronze.glob("dms/**/*.parquet")):
            if not path.name.startswith("LOAD"):
                self._plan_changes(path)
        for path in sorted(bronze.glob("kconnect/**/*")):
            if path.is_file():
                self._plan_records(path)

    @property
    def steps(self) -> int:
        """How many times something lands."""
        return self._epochs + _EXTRA_STEPS

    def land(self, step: int) -> None:
        """Write what arrives at a step, in no particular order."""
        work = self._work.pop(step, [])
        self._chance.shuffle(work)
        for write in work:
            write()

    def _at(self, step: int | None, write: Callable[[], None]) -> None:
        when = self._chance.randrange(self.steps) if step is None else step
        self._work.setdefault(when, []).append(write)

    def _plan_loads(self) -> None:
        with duckdb.connect() as connection:
            accepted = connection.execute(
                "select distinct landed_path, path, epoch from read_parquet(?) "
                "where kind = 'load' and landed_path like '%.parquet' order by all",
                [str(self.source / "manifest" / "*.parquet")],
            ).fetchall()
        self._epochs = max((epoch for *_, epoch in accepted), default=1)
        for landed_path, path, epoch in accepted:
            # What was kept of it: without the rows that broke a rule, which silver never had.
            target = self.target / landed_path
            self._at(epoch - 1, partial(_copy, self.source / path, target))

    def _next_name(self, folder: Path) -> Path:
        self._number += 1
        day = f"{1 + self._number % 28:02d}"
        return folder / "2026" / "01" / day / f"202601{day}-{self._number:09d}.parquet"

    def _plan_changes(self, path: Path) -> None:
        folder = self.target / "bronze" / "dms" / Path(*path.relative_to(self.source).parts[2:4])
        if self._chance.random() < 0.25 or not _is_parquet(path):
            for _ in range(self._repetitions()):
                target = self._next_name(folder)
                self._at(None, partial(_copy, path, target))
            return
        table = pq.read_table(path)
        rows = self._chance.sample(range(len(table)), len(table))
        cut = self._chance.randint(0, len(rows))
        pieces = [rows[:cut], rows[cut:]]
        self.split += bool(cut % max(len(rows), 1))
        if self._chance.random() < 0.3:
            pieces.append(self._chance.sample(rows, len(rows) // 2))
            self.repeated += 1
        for piece in filter(None, pieces):
            target = self._next_name(folder)
            taken = table.take(pa.array(piece))
            self._at(None, partial(_write, taken, target))

    def _plan_records(self, path: Path) -> None:
        relative = path.relative_to(self.source)
        topic, partition, offset = path.name.partition(".json")[0].rsplit("+", 2)
        lines = _lines(path)
        cut = self._chance.randint(0, len(lines))
        if not all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
            cut = 0  # one object over several lines, or something broken: as a whole
        self.split += bool(cut)
        for begins, piece in ((0, lines[:cut]), (cut, lines[cut:])):
            if not piece:
                continue
            for _ in range(self._repetitions()):
                self._number += 1
                name = f"{topic}+{partition}+{int(offset) + begins:010d}.json"
                hour = Path("year=2026", "month=01", "day=01", f"hour={self._number:02d}")
                target = self.target / Path(*relative.parts[:4]) / hour / name
                data = b"".join(piece)
                if self._chance.random() < 0.3:
                    target = target.with_name(f"{name}.gz")
                    data = gzip.compress(data, mtime=0)
                self._at(None, partial(_write_bytes, data, target))

    def _repetitions(self) -> int:
        again = self._chance.random() < 0.2
        self.repeated += again
        return 1 + again


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines(keepends=True)


def _is_parquet(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except pa.ArrowInvalid:
        return False
    return True


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _write(table: pa.Table, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target)


def _write_bytes(data: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)

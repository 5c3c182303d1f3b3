"""Processes that read small files: when they start; what comes out never tells."""

from __future__ import annotations

from pathlib import Path

import orjson
import psutil
import pyarrow.parquet as pq
import pytest

from synapse.ingest.readers import Readers
from synapse.ingest.service import ingest
from synapse_tests.ingest_lake import AS_OF, EVENTS, Lake, event, new_lake

MANY = 256
ELSEWHERE = "bronze/kconnect/topics/never-declared/day=01"


def landed(lake: Lake, files: int) -> Lake:
    """Land so many files of an event in one folder, and a file in another topic."""
    for number in range(files):
        lake.land(f"{EVENTS}/app-events+0+{number:010d}.json", orjson.dumps(event(number + 1)))
    lake.land(f"{ELSEWHERE}/x+0+0000000000.json", b"{}")
    return lake


def rows_of(lake: Lake, readers: Readers | None) -> list[object]:
    """Rows of all parts of one ingest."""
    report = ingest(lake.settings, lake.project, as_of=AS_OF, readers=readers)
    assert report.landed == report.accepted
    parts = sorted((lake.root / "consolidated").rglob("*.parquet"))
    return [pq.read_table(part).to_pylist() for part in parts]


@pytest.mark.parametrize("files", [MANY - 1, MANY])
def test_processes_start_early_where_the_newest_folder_promises_much(
    tmp_path: Path, files: int
) -> None:
    lake = landed(new_lake(tmp_path), files)
    before = set(psutil.Process().children())
    with Readers(2) as readers:
        readers.start_early(lake.root)
        started = set(psutil.Process().children()) - before
        assert len(started) == (files >= MANY)
    assert not any(process.is_running() for process in started)


def test_one_process_starts_no_other(tmp_path: Path) -> None:
    lake = landed(new_lake(tmp_path), MANY)
    before = set(psutil.Process().children())
    readers = Readers(1)
    readers.start_early(lake.root)
    assert set(psutil.Process().children()) == before


def test_an_empty_lake_starts_no_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    Readers(2).start_early(tmp_path)
    assert set(psutil.Process().children()) == before


def test_processes_that_start_early_give_what_one_process_gives(tmp_path: Path) -> None:
    early = landed(new_lake(tmp_path / "early"), MANY)
    readers = Readers(2)
    readers.start_early(early.root)
    rows = rows_of(early, readers)
    assert sum(map(len, rows)) == MANY  # type: ignore[arg-type]
    assert rows == rows_of(landed(new_lake(tmp_path / "alone"), MANY), None)

"""kill -9 at any point of a run: run again, and everything is as if nothing had happened.

A life is one lake whose run is killed five times, each time further on (in ingest, between ingest
and dbt, twice in dbt, and while it publishes or writes its end), and then let be. Points are seeded
by the commit: every commit tries others; `make proof` tries a hundred.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from synapse.generate.service import generate
from synapse.ingest.files import sha256_of
from synapse.publish.reading import open_published
from synapse.settings import Settings
from synapse.warehouse_compare import assert_same_warehouse
from synapse_tests.commit import commit
from synapse_tests.conftest import built_once
from synapse_tests.ingest_lake import EVENTS, event, lines, new_lake
from synapse_tests.killed_run import (
    NOWHERE,
    Point,
    accounts,
    killed_run,
    members,
    seeded_point,
    survivors,
)
from synapse_tests.lakes import PROJECT_DIR, is_full_proof, lake_settings

LIVES = range(20) if is_full_proof() else range(2)
PLAN = ("ingest", "between", "dbt", "dbt", "publish")
USERS, DAYS = 40, 8


@dataclass(frozen=True)
class Undisturbed:
    """Bronze, and the lake that was run on it without disturbance; steps of its run by stage."""

    bronze: Path
    settings: Settings
    as_of: str
    steps: dict[str, int]


def synapse(
    lake: Path, schedule: str, as_of: str, *, at: Point = NOWHERE, trace: Path | None = None
) -> int:
    """One run of a lake in a folder."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("SYNAPSE_")}
    # Every lake makes a key of its own, and pseudonyms would differ.
    environment["SYNAPSE_PSEUDONYM_KEY"] = "the-same-for-every-lake"  # pragma: allowlist secret
    return killed_run(
        [
            "run", schedule, "--lake", str(lake), "--as-of", as_of,
            "--project-dir", str(PROJECT_DIR),
        ],
        environment, lake / "log.txt", at=at, trace=trace,
    )  # fmt: skip


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Undisturbed:
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if hasattr(request.config, "workerinput") else base) / "kill"
    settings = lake_settings(root / "lake")
    with built_once(root) as is_missing:
        if is_missing:
            source = root / "generated"
            generate(source, users=USERS, days=DAYS, seed=3, append=False, hazards="hostile")
            shutil.copytree(source / "bronze", settings.lake / "bronze")
            as_of = as_of_of(root)
            synapse(settings.lake, "daily", as_of, trace=root / "steps.json")
            synapse(settings.lake, "hourly", as_of)
    steps = json.loads((root / "steps.json").read_text())
    return Undisturbed(root / "generated" / "bronze", settings, as_of_of(root), steps)


def as_of_of(root: Path) -> str:
    told = json.loads((root / "generated" / "truth" / "generator.json").read_text())
    return str(told["as_of"])


def points(life: int, steps: dict[str, int]) -> list[Point]:
    seeded = random.Random(f"{commit()} {life}")
    return [
        seeded_point(seeded, stage, steps, is_again=stage in PLAN[:place], longest=0.2)
        for place, stage in enumerate(PLAN)
    ]


def published_rows(settings: Settings) -> dict[str, int]:
    """The tables that readers see, all of which can be read, with their number of rows."""
    with open_published(settings) as connection:
        tables = connection.execute("select table_name from information_schema.tables").fetchall()
        found = {}
        for (name,) in tables:
            counted = connection.execute(f'select count(*) from published."{name}"').fetchone()
            found[name] = int(counted[0]) if counted else -1
    assert len(found) > 20
    return found


def assert_readers_see_whole_files(lake: Path) -> None:
    for folder in ("manifest", "consolidated", "quarantine", "retained"):
        for path in (lake / folder).rglob("*"):
            is_hidden = any(part.startswith(".") for part in path.relative_to(lake).parts)
            if path.is_file() and not is_hidden and path.parent.name != "files":
                pq.read_metadata(path)
    for part in (lake / "manifest").glob("part-*.parquet"):
        for row in pq.read_table(part).to_pylist():
            path = lake / row["path"]
            assert path.stat().st_size == row["bytes"]
            if row["path"].startswith("consolidated/"):
                assert sha256_of(path) == row["sha256"]


@pytest.mark.parametrize("life", LIVES)
def test_a_run_that_was_killed_is_run_again(
    undisturbed: Undisturbed, tmp_path: Path, life: int
) -> None:
    planned = points(life, undisturbed.steps)
    settings = landed(undisturbed, tmp_path / "0")
    for number, point in enumerate(planned, start=1):
        code = synapse(settings.lake, "daily", undisturbed.as_of, at=point)
        assert_readers_see_whole_files(settings.lake)
        if code == 0:
            # What earlier runs had done left fewer steps to this one, which came to its end: that
            # is held against the undisturbed run too, and the point is tried where all is to do.
            assert_same(undisturbed, settings, planned)
            settings = landed(undisturbed, tmp_path / str(number))
            code = synapse(settings.lake, "daily", undisturbed.as_of, at=(*point[:2], 0.0))
            assert_readers_see_whole_files(settings.lake)
        log = (settings.lake / "log.txt").read_text()[-3_000:]
        assert code == -9, f"{point} of {undisturbed.steps} did not strike: {log}"
    synapse(settings.lake, "daily", undisturbed.as_of)
    if is_full_proof() or life == 0:
        synapse(settings.lake, "hourly", undisturbed.as_of)
    assert_same(undisturbed, settings, planned)


def landed(undisturbed: Undisturbed, folder: Path) -> Settings:
    """The same bronze on a lake of its own, on which nothing has run."""
    settings = lake_settings(folder / "lake")
    shutil.copytree(undisturbed.bronze, settings.lake / "bronze")
    return settings


def assert_same(undisturbed: Undisturbed, settings: Settings, planned: object) -> None:
    assert accounts(settings) == accounts(undisturbed.settings), planned
    assert_same_warehouse(undisturbed.settings.warehouse, settings.warehouse)
    assert published_rows(settings) == published_rows(undisturbed.settings)
    assert not [path for path in settings.lake.rglob("*.tmp") if path.is_file()]


def test_readers_in_other_processes_die_with_an_ingest_that_is_killed(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    (lake.project / "dbt_project.yml").write_text("name: faults\n")
    text = "x" * 2_000
    for number in range(60):
        first = number * 400
        records = [event(first + each, properties={"t": text}) for each in range(400)]
        lake.land(f"{EVENTS}/app-events+0+{first:010d}.json", lines(records))
    environment = os.environ | {"SYNAPSE_PROCESSES": "3"}
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("synapse")), "ingest", "--lake", str(lake.root),
            "--project-dir", str(lake.project),
        ],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    readers = 0
    while process.poll() is None and readers < 2:
        readers = len(members(process.pid)) - 1
    process.kill()  # this one only, not its group
    process.wait()
    assert readers == 2, "no readers were at work"
    assert not survivors(process.pid)
    report = lake.ingest()
    assert report.accepted == 60 * 400

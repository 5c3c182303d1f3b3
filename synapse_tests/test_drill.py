"""A drill finds what a rebuild does not bring back, and leaves what is running alone."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import text

from synapse.drill.service import drill
from synapse.errors import LeaseHeldError, SynapseError, UsageError
from synapse.lake import WRITTEN
from synapse.runner.lease import lease
from synapse.settings import Settings
from synapse.state_store import open_store
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import PROJECT_DIR, copy_lake, lake_settings
from synapse_tests.s3_server import s3_bucket

CHANGED = "gold.rpt_mrr_monthly"


@pytest.fixture
def lake(steps: DailySteps, tmp_path: Path) -> Settings:
    """A copy of the hostile lake after its last daily run."""
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    shutil.copy2(steps.copies[-1], settings.warehouse)
    return settings


def contents(folder: Path) -> dict[str, str]:
    """Hashes of the lake's files, but for the state store, which records the drill."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("state.db")
    }


def drills(settings: Settings) -> list[tuple[bool, int, int]]:
    engine = open_store(settings.state)
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("select passed, compared, differing from drills"))
            return [(bool(row.passed), int(row.compared), int(row.differing)) for row in rows]
    finally:
        engine.dispose()


def test_one_changed_figure_of_the_running_warehouse_is_found_and_nothing_else(
    lake: Settings,
) -> None:
    with duckdb.connect(str(lake.warehouse)) as connection:
        connection.execute(
            f"update {CHANGED} set new_mrr_cents = new_mrr_cents + 1 "
            f"where rowid = (select max(rowid) from {CHANGED})"
        )
    # Landed after the run, and so not in the warehouse that the rebuilt one is held against.
    (lake.lake / "bronze/dms/synapse/users/20991231-000000000.parquet").write_bytes(b"PAR1")
    before = contents(lake.lake)
    done = drill(lake, PROJECT_DIR, rpo=timedelta(days=2))
    assert [difference.relation for difference in done.differing] == [CHANGED]
    assert (done.differing[0].only_left, done.differing[0].only_right) == (1, 1)
    assert done.compared > 60
    assert not done.passed
    assert not done.was_levelled
    assert 0 < done.rto_seconds < done.rto_target_seconds
    assert done.rpo_seconds is not None
    assert contents(lake.lake) == before
    assert drills(lake) == [(False, done.compared, 1)]


def test_a_lake_on_s3_comes_back_whole_and_stays_as_it_is(
    lake: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in (lake.warehouse.name, "state.db", "pseudonym.key"):
        shutil.copy2(lake.lake / name, home)
    with s3_bucket(monkeypatch) as bucket:
        for folder in ("bronze", *WRITTEN):
            bucket.upload(lake.lake / folder, f"some/lake/{folder}")
        on_s3 = replace(
            lake_settings(home),
            remote=f"s3://{bucket.name}/some/lake",
            warehouse=home / lake.warehouse.name,
        )
        before = bucket.versions()
        done = drill(on_s3, PROJECT_DIR, rpo=timedelta(days=2))
        assert done.differing == []
        assert done.passed
        assert done.compared > 60
        assert done.survivors.files > 100
        assert bucket.versions() == before
        assert drills(on_s3) == [(True, done.compared, 0)]
        # What was fetched is let go of again: a machine need not hold a lake.
        assert not [path for path in home.rglob("*") if path.is_file() and "bronze" in path.parts]


def test_a_file_that_silver_was_read_from_and_that_is_gone_is_named(lake: Settings) -> None:
    kept = next(path for path in (lake.lake / "retained").iterdir() if path.is_file())
    kept.unlink()
    with pytest.raises(SynapseError, match=rf"1 files .* are gone.*retained/{kept.name}"):
        drill(lake, PROJECT_DIR)
    assert not list(lake.lake.glob("drill-*")), "what was begun is cleared away"


def test_a_lost_part_of_the_manifest_is_named(lake: Settings) -> None:
    part = min((lake.lake / "manifest").glob("part-*.parquet"))
    part.unlink()
    with pytest.raises(SynapseError, match=rf"gone.*manifest/{part.name}"):
        drill(lake, PROJECT_DIR)


def test_a_drill_waits_for_nobody(lake: Settings) -> None:
    with lease(lake.state, "a-run"), pytest.raises(LeaseHeldError):
        drill(lake, PROJECT_DIR)
    with lease(lake.state, "another", "drill"), pytest.raises(LeaseHeldError):
        drill(lake, PROJECT_DIR)


def test_without_a_warehouse_there_is_nothing_to_compare_with(lake: Settings) -> None:
    lake.warehouse.unlink()
    with pytest.raises(SynapseError, match="synapse run daily"):
        drill(lake, PROJECT_DIR)


def test_other_engines_are_told_how(lake: Settings) -> None:
    with pytest.raises(UsageError, match="--target duckdb"):
        drill(replace(lake, target="athena"), PROJECT_DIR)

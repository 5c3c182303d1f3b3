"""What maintain and rollback mean for the embedded warehouse."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from synapse.cli import app
from synapse.embedded_upkeep import maintain_embedded
from synapse.errors import LeaseHeldError, SynapseError, UsageError
from synapse.runner.lease import lease
from synapse.settings import Settings
from synapse_tests.lakes import lake_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A warehouse of which nine rows in ten were deleted."""
    settings = lake_settings(tmp_path / "lake")
    settings.lake.mkdir()
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create table kept as select range as id from range(1000000)")
        connection.execute("delete from kept where id % 10 <> 0")
    return settings


def rows(settings: Settings) -> list[tuple[int, ...]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute("select count(*), sum(id) from kept").fetchall()


def test_a_checkpoint_keeps_the_rows_and_tells_what_is_free(settings: Settings) -> None:
    before = rows(settings)
    report = maintain_embedded(settings)
    assert rows(settings) == before
    assert report.bytes_after == settings.warehouse.stat().st_size > 0
    assert 0 <= report.free_bytes <= report.bytes_after
    called = CliRunner().invoke(app, ["maintain", "--lake", str(settings.lake), "--json"])
    assert json.loads(called.stdout)["warehouse"] == str(settings.warehouse)


def test_it_waits_for_no_run_and_needs_a_warehouse(settings: Settings) -> None:
    with lease(settings.state, "a-run"), pytest.raises(LeaseHeldError):
        maintain_embedded(settings)
    settings.warehouse.unlink()
    with pytest.raises(SynapseError, match="no warehouse"):
        maintain_embedded(settings)


def test_duckdb_refuses_a_rollback_and_says_what_to_do_instead(settings: Settings) -> None:
    called = CliRunner().invoke(app, ["rollback", "4f1c", "--lake", str(settings.lake)])
    assert isinstance(called.exception, UsageError)
    assert called.exception.exit_code == 2
    assert "--full-refresh" in str(called.exception)

"""What the proofs do to a lake: set one up, copy it, run a scheduled day on it."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from synapse.runner.clock import end_of_date
from synapse.runner.service import RunReport, run
from synapse.settings import Settings

PROJECT_DIR = Path(__file__).resolve().parent.parent
TIMEZONE = "America/Sao_Paulo"
_PROJECT_PARTS = (
    "dbt_project.yml",
    "packages.yml",
    "package-lock.yml",
    "selectors.yml",
    "schedules.yml",
    "models",
    "macros",
    "seeds",
    "snapshots",
    "tests",
    "analyses",
    "dbt_packages",
    "dbt_standins",
    "docs",
    # So that a copy is parsed as fast as the original.
    "target/first_parse",
)


def is_full_proof() -> bool:
    """True under `make proof`: every seed and size, not just what CI has time for."""
    return os.environ.get("SYNAPSE_PROOF") == "full"


def lake_settings(lake: Path) -> Settings:
    """Return settings for a lake with its warehouse and state inside, whatever the environment."""
    return Settings(
        lake=lake,
        warehouse=lake / "warehouse.duckdb",
        state=f"sqlite:///{lake / 'state.db'}",
        business_timezone=TIMEZONE,
    )


def copy_project(destination: Path, source: Path = PROJECT_DIR) -> Path:
    """Copy the dbt project, so that a proof may change its seeds or models."""
    destination.mkdir(parents=True)
    for part in _PROJECT_PARTS:
        path = source / part
        if path.is_dir():
            shutil.copytree(path, destination / part)
        elif path.is_file():
            shutil.copy2(path, destination / part)
    return destination


def copy_lake(lake: Path, destination: Path) -> Settings:
    """Copy a whole lake with warehouse and state, to be worked on without harm to the original."""
    shutil.copytree(lake, destination)
    return lake_settings(destination)


def ask(warehouse: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one query on a warehouse, or a copy of one, whose views still name its own catalog."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
        connection.execute("use warehouse")
        return connection.execute(query, list(values)).fetchall()


def run_daily(
    settings: Settings, project: Path, day: date, *, full_refresh: bool = False
) -> RunReport:
    """Run the daily schedule as of the end of a business date; every model must succeed."""
    report = run(
        settings,
        project,
        schedule="daily",
        as_of=end_of_date(day, settings.business_timezone),
        full_refresh=full_refresh,
    )
    assert report.status in ("succeeded", "unchanged"), "\n".join(report.dbt.failures)
    return report

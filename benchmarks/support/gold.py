"""What benchmarks of gold share: a warehouse of synthetic facts, and the models' own SQL on it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from synapse.deps import ensure_packages
from synapse.project import find_project
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

DAYS = 365
LAST = f"date '2025-01-01' + {DAYS - 1}"


def fill_days(connection: duckdb.DuckDBPyConnection, user_days: int) -> None:
    """Make the calendar of a year, user-days in it, their users, and the context of a run.

    A user is active on about a fifth of the days, scattered by a hash: no clustering to help.
    """
    users = user_days * 5 // DAYS
    for statement in (
        "create schema gold",
        "create schema ops",
        "create schema silver",
        "create table gold.dim_dates as select date '2025-01-01' + i::integer as date_day, "
        f"true as is_complete from range({DAYS}) as days(i)",
        "create table gold.fct_user_days as select u as user_id, "
        f"date '2025-01-01' + d::integer as activity_date from range({users}) as users(u), "
        f"range({DAYS}) as days(d) where hash(u, d) % 5 = 0",
        "create table gold.dim_users as select user_id, min(activity_date) as signup_date, "
        "false as is_internal from gold.fct_user_days group by user_id",
        # As-of: noon of the day after the last one, so that the last one is complete.
        f"create table ops.run_context as select 'bench' as run_id, ({LAST} + 1) "
        "+ interval 15 hour as as_of, false as is_backfill, '' as lake, "
        "'America/Sao_Paulo' as business_timezone",
    ):
        connection.execute(statement)


def compiled(settings: Settings, models: Sequence[str]) -> dict[str, str]:
    """The SQL that dbt makes of models, by their names."""
    project = find_project()
    ensure_packages(project)
    with contextlib.redirect_stdout(None):  # dbt prints what it compiles
        DbtProject(settings, project).invoke(["compile", "--select", *models])
    folder = settings.lake / "dbt" / "duckdb" / "compiled"
    return {model: next(folder.rglob(f"{model}.sql")).read_text() for model in models}


def build(connection: duckdb.DuckDBPyConnection, models: dict[str, str]) -> None:
    """Build the models as tables of gold, in their order."""
    for name, query in models.items():
        connection.execute(f"create or replace table gold.{name} as {query}")


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[object, ...]]:
    """Run the query to its end."""
    return connection.execute(query).fetchall()


def seconds(action: Callable[[], object]) -> float:
    """Return how long the action took."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many rows a table has."""
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def settings_in(folder: str) -> Settings:
    """A lake in a folder of its own, whatever the environment."""
    lake = Path(folder)
    return Settings(lake=lake, warehouse=lake / "warehouse.duckdb", state=f"sqlite:///{lake}/s.db")

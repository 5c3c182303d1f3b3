"""What benchmarks of gold share: a warehouse of synthetic facts, and the models' own SQL on it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from synapse.deps import ensure_packages
from synapse.project import find_project
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

DAYS = 365
LAST = f"date '2025-01-01' + {DAYS - 1}"
# Sign-ups are spread over the year. The share of days on which a person comes is 0.6 x^2 of a
# uniform x: few come daily, many hardly ever, a fifth of all days on average. Everybody is active
# within six days of their sign-up and four of five on its date, as in the simulated product
# (synapse generate) four of five are, the others within six days before.
DAYS_A_USER = 0.2 * DAYS / 2 + 0.8


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of the processors: busy neighbours disturb the latter less."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def per(self, other: Cost) -> str:
        """How many times the other this is, by processor and by clock."""
        return f"{self.cpu / other.cpu:.2f} x by processor, {self.wall / other.wall:.2f} x by clock"

    def __str__(self) -> str:
        return f"{self.wall:8.2f} s, {self.cpu:8.2f} s of processor"


def cost(action: Callable[[], object]) -> Cost:
    """What one run of the action takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def costs(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, Cost]:
    """The least of several runs of each action, which take turns."""
    found: dict[str, list[Cost]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            found[name].append(cost(action))
    return {
        name: Cost(min(each.wall for each in runs), min(each.cpu for each in runs))
        for name, runs in found.items()
    }


def make_context(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the schemas, the calendar of a year, and the context of a run at its end."""
    for statement in (
        "create schema gold",
        "create schema ops",
        "create schema silver",
        "create table gold.dim_dates as select date_day, true as is_complete, "
        "date_trunc('week', date_day)::date as week_start_date, "
        "date_trunc('month', date_day)::date as month_start_date "
        "from (select date '2025-01-01' + i::integer as date_day "
        f"from range({DAYS}) as days(i))",
        # As-of: noon of the day after the last one, so that the last one is complete.
        f"create table ops.run_context as select 'bench' as run_id, ({LAST} + 1) "
        "+ interval 15 hour as as_of, false as is_backfill, '' as lake, "
        "'America/Sao_Paulo' as business_timezone",
    ):
        connection.execute(statement)


def fill_days(connection: duckdb.DuckDBPyConnection, user_days: int) -> None:
    """Make users, and user-days of a year in an order that helps nobody.

    The column that tells the date before is left to order_days.
    """
    for statement in (
        "create table gold.dim_users as select u as user_id, false as is_internal, "
        f"date '2025-01-01' + (hash(u, -1) % {DAYS})::integer as signup_date, "
        "0.6 * power((hash(u, -2) % 1000000) / 1e6, 2) as share "
        f"from range({round(user_days / DAYS_A_USER)}) as users(u)",
        "create table gold.days as select user_id, "
        "date '2025-01-01' + d::integer as activity_date "
        f"from gold.dim_users, range({DAYS}) as days(d) "
        "where d >= signup_date - date '2025-01-01' "
        "and (hash(user_id, d) % 1000000 < share * 1000000 "
        "or d = signup_date - date '2025-01-01' + greatest(hash(user_id, -3) % 30 - 23.0, 0)) "
        "order by hash(d, user_id)",
    ):
        connection.execute(statement)


def order_days(connection: duckdb.DuckDBPyConnection, fct_user_days: str) -> Cost:
    """Make the fact of the user-days by the window of its model's SQL.

    Returns what that window costs beyond a plain copy of the rows.
    """
    window = re.search(
        r"coalesce\(\s*lag\(.*?\) as previous_activity_date", fct_user_days, re.DOTALL
    )
    assert window, "fct_user_days has no previous_activity_date"
    select = "create or replace table gold.fct_user_days as select user_id, activity_date"
    days = "(select *, cast(null as date) as last_kept_date from gold.days) as days"
    plain = cost(lambda: connection.execute(f"{select} from {days}"))
    ordered = cost(lambda: connection.execute(f"{select}, {window[0]} from {days}"))
    return ordered - plain


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


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many rows a table has."""
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def settings_in(folder: str) -> Settings:
    """A lake in a folder of its own, whatever the environment."""
    lake = Path(folder)
    return Settings(lake=lake, warehouse=lake / "warehouse.duckdb", state=f"sqlite:///{lake}/s.db")

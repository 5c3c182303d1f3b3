"""Rolling 1/7/28/30-day actives: the model's sweep against a range self-join and a plain scan.

The model's own compiled SQL runs over synthetic user-days; nothing is rewritten for the benchmark.
Physical limit: each user-day must be read and grouped by date once, which is what the plain
count-distinct scan does. Printed ratios are medians of runs made in turn in this one process.

    python benchmarks/rolling_actives.py [USER_DAYS]
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from synapse.deps import ensure_packages
from synapse.project import find_project
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

DAYS = 365
REPEATS = 5
SELF_JOIN = """
    select days.date_day, count(distinct user_days.user_id)
    from gold.dim_dates as days
    inner join gold.fct_user_days as user_days
        on user_days.activity_date between days.date_day - {back} and days.date_day
    group by days.date_day
"""
SCAN = "select activity_date, count(distinct user_id) from gold.fct_user_days group by 1"


def fill(path: Path, user_days: int) -> None:
    """Make a warehouse of `user_days` distinct user-days over a year."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema gold")
        connection.execute(
            f"create table gold.dim_dates as select date '2025-01-01' + i::integer as date_day, "
            f"true as is_complete from range({DAYS}) as days(i)"
        )
        # A user is active on about a fifth of the days, scattered by a hash: no clustering to help.
        users = user_days * 5 // DAYS
        connection.execute(
            f"create table gold.fct_user_days as select u as user_id, "
            f"date '2025-01-01' + d::integer as activity_date from range({users}) as users(u), "
            f"range({DAYS}) as days(d) where hash(u, d) % 5 = 0"
        )


def compiled_model(settings: Settings, project: Path) -> str:
    """Return the SQL that dbt makes of rpt_active_users_daily."""
    ensure_packages(project)
    with contextlib.redirect_stdout(None):  # dbt prints what it compiles
        DbtProject(settings, project).invoke(["compile", "--select", "rpt_active_users_daily"])
    compiled = settings.lake / "dbt" / "duckdb" / "compiled"
    return next(compiled.rglob("rpt_active_users_daily.sql")).read_text()


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[object, ...]]:
    """Run the query to its end."""
    return connection.execute(query).fetchall()


def seconds(action: Callable[[], object]) -> float:
    """Return how long the action took."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Print the ratios."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(lake=folder)
        fill(settings.warehouse, wanted)
        model = compiled_model(settings, find_project())
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2")
            row = connection.execute("select count(*) from gold.fct_user_days").fetchone()
            times: dict[str, list[float]] = {"sweep": [], "scan": []}
            for _ in range(REPEATS):
                times["sweep"].append(seconds(partial(rows, connection, model)))
                times["scan"].append(seconds(partial(rows, connection, SCAN)))
            # Once: it is the slow one. Three windows, as the model has (the first needs no join).
            join = 0.0
            for back in (6, 27, 29):
                query = SELF_JOIN.format(back=back)
                join += seconds(partial(rows, connection, query))
    sweep, scan = (statistics.median(times[name]) for name in ("sweep", "scan"))
    print(f"{row[0] if row else 0:,} user-days, {DAYS} days")
    print(f"sweep (the model)      {sweep:8.3f} s")
    print(f"range self-joins       {join:8.3f} s   {join / sweep:6.1f} x the sweep")
    print(f"count-distinct scan    {scan:8.3f} s   the sweep takes {sweep / scan:.2f} x of it")


if __name__ == "__main__":
    main()

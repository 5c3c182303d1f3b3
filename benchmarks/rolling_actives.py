"""Rolling 1/7/28/30-day actives: the model's sweep against a range self-join and a plain scan.

The model's own compiled SQL runs over synthetic user-days of a year (benchmarks/support/gold.py
tells who they are); nothing is rewritten for the benchmark. The sweep reads the date before from
fct_user_days, which finds it once for all reports; what that costs is timed too, by the window of
that model's own SQL, and the ratios are given without it and with it.
Physical limit: each user-day must be read and grouped by date once, which is what the plain
count-distinct scan does. Bars: 40 times faster than the self-joins, within 3 times the scan.
Figures are the least of runs made in turn in this one process; the self-joins run once.

    python benchmarks/rolling_actives.py [USER_DAYS]
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial

import duckdb

from benchmarks.support.gold import (
    DAYS,
    Cost,
    compiled,
    cost,
    costs,
    count,
    fill_days,
    make_context,
    order_days,
    rows,
    settings_in,
)

MODELS = ("fct_user_days", "rpt_active_users_daily")
REPEATS = 5
SELF_JOIN = """
    select days.date_day, count(distinct user_days.user_id)
    from gold.dim_dates as days
    inner join gold.fct_user_days as user_days
        on user_days.activity_date between days.date_day - {back} and days.date_day
    group by days.date_day
"""
SCAN = "select activity_date, count(distinct user_id) from gold.fct_user_days group by 1"


def self_joins(connection: duckdb.DuckDBPyConnection) -> Cost:
    """Three windows, as the model has (its first needs no join), once: they are the slow ones."""
    joins = [SELF_JOIN.format(back=back) for back in (6, 27, 29)]
    return sum((cost(partial(rows, connection, join)) for join in joins), Cost(0, 0))


def main() -> None:
    """Print the ratios."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(folder)
        with duckdb.connect(str(settings.warehouse)) as connection:
            make_context(connection)
            fill_days(connection, wanted)
        models = compiled(settings, MODELS)
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2; set enable_progress_bar = false")
            order = order_days(connection, models["fct_user_days"])
            found = count(connection, "gold.fct_user_days")
            least = costs(
                {
                    "sweep": partial(rows, connection, models["rpt_active_users_daily"]),
                    "scan": partial(rows, connection, SCAN),
                },
                REPEATS,
            )
            join = self_joins(connection)
    sweep, scan = least["sweep"], least["scan"]
    both = sweep + order
    print(f"{found:,} user-days, {DAYS} days")
    print(f"sweep (the model)    {sweep}")
    print(f"the order of dates   {order}   in fct_user_days, once for all reports")
    print(f"count-distinct scan  {scan}   the sweep takes {sweep.per(scan)};")
    print(f"{'':50} with the order {both.per(scan)}")
    print(f"range self-joins     {join}   {join.per(sweep)} the sweep;")
    print(f"{'':50} {join.per(both)} it with the order")


if __name__ == "__main__":
    main()

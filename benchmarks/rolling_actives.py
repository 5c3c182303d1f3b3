"""Rolling 1/7/28/30-day actives: the model's sweep against a range self-join and a plain scan.

The model's own compiled SQL runs over synthetic user-days; nothing is rewritten for the benchmark.
Physical limit: each user-day must be read and grouped by date once, which is what the plain
count-distinct scan does. Printed ratios are medians of runs made in turn in this one process.

    python benchmarks/rolling_actives.py [USER_DAYS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial

import duckdb

from benchmarks.support.gold import (
    DAYS,
    compiled,
    count,
    fill_days,
    rows,
    seconds,
    settings_in,
)

REPEATS = 5
SELF_JOIN = """
    select days.date_day, count(distinct user_days.user_id)
    from gold.dim_dates as days
    inner join gold.fct_user_days as user_days
        on user_days.activity_date between days.date_day - {back} and days.date_day
    group by days.date_day
"""
SCAN = "select activity_date, count(distinct user_id) from gold.fct_user_days group by 1"


def main() -> None:
    """Print the ratios."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(folder)
        with duckdb.connect(str(settings.warehouse)) as connection:
            fill_days(connection, wanted)
        model = compiled(settings, ["rpt_active_users_daily"])["rpt_active_users_daily"]
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2")
            found = count(connection, "gold.fct_user_days")
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
    print(f"{found:,} user-days, {DAYS} days")
    print(f"sweep (the model)      {sweep:8.3f} s")
    print(f"range self-joins       {join:8.3f} s   {join / sweep:6.1f} x the sweep")
    print(f"count-distinct scan    {scan:8.3f} s   the sweep takes {sweep / scan:.2f} x of it")


if __name__ == "__main__":
    main()

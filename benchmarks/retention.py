"""Retention in all modes, bases and grains against one group-by scan of the same user-days.

The models' own compiled SQL (int_user_cohorts, int_cohort_activity, rpt_retention) runs over
synthetic user-days; nothing is rewritten for the benchmark. The scan counts active users by sign-up
date and day, which is one mode, base and grain of the thousand that the report has.
Physical limit: each user-day must be read and grouped by cohort and day once, which the scan does.
The bar is 8 times the scan. Ratios are medians of runs made in turn in this one process.

    python benchmarks/retention.py [USER_DAYS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial

import duckdb

from benchmarks.support.gold import (
    DAYS,
    build,
    compiled,
    count,
    fill_days,
    rows,
    seconds,
    settings_in,
)

MODELS = ("int_user_cohorts", "int_cohort_activity", "rpt_retention")
REPEATS = 3
SCAN = """
    select users.signup_date, user_days.activity_date - users.signup_date, count(*)
    from gold.fct_user_days as user_days
    inner join gold.dim_users as users on user_days.user_id = users.user_id
    group by 1, 2
"""


def main() -> None:
    """Print the ratio."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(folder)
        with duckdb.connect(str(settings.warehouse)) as connection:
            fill_days(connection, wanted)
        models = compiled(settings, MODELS)
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2")
            ours, scan = [], []
            for _ in range(REPEATS):
                ours.append(seconds(partial(build, connection, models)))
                scan.append(seconds(partial(rows, connection, SCAN)))
            found = count(connection, "gold.fct_user_days")
            cells = count(connection, "gold.rpt_retention")
    whole, once = statistics.median(ours), statistics.median(scan)
    print(f"{found:,} user-days, {DAYS} days, {cells:,} cells of retention")
    print(f"retention (the models) {whole:8.3f} s")
    print(f"one group-by scan      {once:8.3f} s   retention takes {whole / once:.2f} x of it")


if __name__ == "__main__":
    main()

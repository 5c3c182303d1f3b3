"""Retention in all modes, bases and grains against one group-by scan of the same user-days.

The models' own compiled SQL (int_user_cohorts, int_cohort_activity, rpt_retention) runs over
synthetic user-days of a year (benchmarks/support/gold.py tells who they are); nothing is rewritten
for the benchmark. The scan counts active users by sign-up date and day, which is one mode, base and
grain of those that the report has. The models read the date before from fct_user_days, which finds
it once for all reports; what that costs is timed too, and the ratio given without and with it.
Physical limit: each user-day must be read and grouped by cohort and day once, which the scan does.
The bar is 8 times the scan. Figures are the least of runs made in turn in this one process.

    python benchmarks/retention.py [USER_DAYS]
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial

import duckdb

from benchmarks.support.gold import (
    DAYS,
    build,
    compiled,
    costs,
    count,
    fill_days,
    make_context,
    order_days,
    rows,
    settings_in,
)

MODELS = ("int_user_cohorts", "int_cohort_activity", "rpt_retention")
REPEATS = 5
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
            make_context(connection)
            fill_days(connection, wanted)
        models = compiled(settings, ("fct_user_days", *MODELS))
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2; set enable_progress_bar = false")
            order = order_days(connection, models.pop("fct_user_days"))
            least = costs(
                {name: partial(build, connection, {name: models[name]}) for name in MODELS}
                | {"scan": partial(rows, connection, SCAN)},
                REPEATS,
            )
            found = count(connection, "gold.fct_user_days")
            cells = count(connection, "gold.rpt_retention")
    scan = least.pop("scan")
    cohorts, activity, report = least.values()
    whole = cohorts + activity + report
    print(f"{found:,} user-days, {DAYS} days, {cells:,} cells of retention")
    for name, part in least.items():
        print(f"{name:20} {part}")
    print(f"the order of dates   {order}   in fct_user_days, once for all reports")
    print(f"one group-by scan    {scan}   retention takes {whole.per(scan)};")
    print(f"{'':50} with the order {(whole + order).per(scan)}")


if __name__ == "__main__":
    main()

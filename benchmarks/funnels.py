"""Funnels by one ordered pass against the self-join of each step, and against one sort.

The models' own compiled SQL (int_funnel_steps, fct_funnel_attempts) runs over synthetic events; the
self-join finds, for each first event, the earliest next step after the step before it within the
window, join by join, as most funnel queries do (and counts overlapping attempts, which the rule
does not). Physical limit: the events of a funnel must be put in order of user and time once, which
is what the sort does. Bars: 5 times faster than the self-join, within 5 times the sort.

    python benchmarks/funnels.py [EVENTS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial

import duckdb

from benchmarks.support.gold import build, compiled, count, fill_days, rows, seconds, settings_in
from synapse.project import find_project

MODELS = ("int_funnel_steps", "fct_funnel_attempts")
REPEATS = 3
STEPS = ("app_opened", "signup_completed", "message_sent", "checkout_started", "payment_paid")
WINDOW = "interval 168 hour"
SORT = """
    create or replace temp table sorted as
    select user_key, occurred_at, event_name from gold.fct_events
    where event_name in (select event_name from silver.funnels)
    order by user_key, occurred_at
"""


def self_join() -> str:
    """Reached attempts by step, each step joined to the one before."""
    parts = [
        "with step_1 as (select user_key, occurred_at as started_at, occurred_at as at "
        f"from gold.fct_events where event_name = '{STEPS[0]}')"
    ]
    for number, name in enumerate(STEPS[1:], start=2):
        parts.append(
            f"step_{number} as (select before.user_key, before.started_at, "
            f"min(events.occurred_at) as at from step_{number - 1} as before "
            "inner join gold.fct_events as events on events.user_key = before.user_key "
            f"and events.event_name = '{name}' and events.occurred_at > before.at "
            f"and events.occurred_at <= before.started_at + {WINDOW} group by 1, 2)"
        )
    counts = ", ".join(f"(select count(*) from step_{number})" for number in range(1, 6))
    return f"{', '.join(parts)} select {counts}"


def fill_events(connection: duckdb.DuckDBPyConnection, events: int) -> None:
    """Events of a month, some 200 a user; four of five are of the funnels."""
    users = max(events // 200, 1)
    connection.execute(
        "create table gold.fct_events as select case e % 20 "
        "when 0 then 'signup_completed' when 1 then 'checkout_started' when 2 then 'payment_paid' "
        "when 3 then 'trial_started' when 4 then 'feature_used' when 5 then 'screen_viewed' "
        "when 6 then 'push_received' when 7 then 'app_opened' when 8 then 'app_opened' "
        "else 'message_sent' end as event_name, (hash(e) % "
        f"{users})::varchar as user_key, null::bigint as user_id, "
        "timestamp '2025-01-01' + to_microseconds((hash(e, 1) % 2592000000000)::bigint) "
        "as occurred_at, false as is_internal, e::varchar as event_id "
        f"from range({events}) as events(e)"
    )
    seed = find_project() / "seeds" / "funnels.csv"
    connection.execute(f"create table silver.funnels as from read_csv('{seed}')")


def main() -> None:
    """Print the ratios."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(folder)
        with duckdb.connect(str(settings.warehouse)) as connection:
            fill_days(connection, 1_000)
            fill_events(connection, wanted)
        models = compiled(settings, MODELS)
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2")
            ours, sort = [], []
            for _ in range(REPEATS):
                ours.append(seconds(partial(build, connection, models)))
                sort.append(seconds(partial(connection.execute, SORT)))
            # Once: it is the slow one, and finds one of the two funnels only.
            join = seconds(partial(rows, connection, self_join()))
            attempts = count(connection, "gold.fct_funnel_attempts")
    whole, once = statistics.median(ours), statistics.median(sort)
    print(f"{wanted:,} events, {attempts:,} attempts at two funnels")
    print(f"one pass (the models)  {whole:8.3f} s")
    print(f"self-join of one       {join:8.3f} s   {join / whole:6.1f} x the pass")
    print(f"one sort               {once:8.3f} s   the pass takes {whole / once:.2f} x of it")


if __name__ == "__main__":
    main()

"""Funnels by one ordered pass against the self-join of each step, and against one sort.

The models' own compiled SQL (int_funnel_steps, fct_funnel_attempts) runs over synthetic events; the
self-join finds, for each first event, the earliest next step after the step before it within the
window, join by join, as most funnel queries do (and counts overlapping attempts, which the rule
does not), for each of the funnels that the models find. Physical limit: the events of a
funnel must be put in order of user and time once, which is what the sort does. Bars: 5 times faster
than the self-join, within 5 times the sort.

What a self-join costs grows with the square of a user's events, so the benchmark runs on each of
POPULATIONS, and prints how many events a user has:
- `even`: a month, 200 events a user, all users alike, and every user passes each step many times.
  No product looks like this; it is the easiest case for a self-join.
- `month`: the same events of a month and 200 a user on average, but as uneven as people are: events
  of a user are lognormal with sigma 1.5, where a tenth of the users has 59 % of all events (80 to
  20 would be sigma 1.68; the simulated product of synapse generate has 2.2).
- `year`: the same users over a year, with 1,000 events each on average: what the models read, who
  read all history.

    python benchmarks/funnels.py [EVENTS] [POPULATION ...]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from functools import partial

import duckdb

from benchmarks.support.gold import (
    build,
    compiled,
    cost,
    costs,
    count,
    fill_days,
    make_context,
    rows,
    settings_in,
)
from synapse.project import find_project

MODELS = ("int_funnel_steps", "fct_funnel_attempts")
REPEATS = 3
FUNNELS = """
    select list(event_name order by step_number), max(window_hours)
    from silver.funnels group by funnel_name order by funnel_name
"""
SORT = """
    create or replace temp table sorted as
    select user_key, occurred_at, event_name from gold.fct_events
    where event_name in (select event_name from silver.funnels)
    order by user_key, occurred_at
"""


@dataclass(frozen=True)
class Population:
    """How events spread over users and days: `sigma` is that of ln(events of a user)."""

    days: int
    events_a_user: int
    sigma: float


POPULATIONS = {
    "even": Population(30, 200, 0.0),
    "month": Population(30, 200, 1.5),
    "year": Population(365, 1000, 1.5),
}


def self_join(names: list[str], window_hours: int) -> str:
    """SQL of a funnel's reached attempts by step, each step joined to the one before."""
    parts = [
        "with step_1 as (select user_key, occurred_at as started_at, occurred_at as at "
        f"from gold.fct_events where event_name = '{names[0]}')"
    ]
    for number, name in enumerate(names[1:], start=2):
        parts.append(
            f"step_{number} as (select before.user_key, before.started_at, "
            f"min(events.occurred_at) as at from step_{number - 1} as before "
            "inner join gold.fct_events as events on events.user_key = before.user_key "
            f"and events.event_name = '{name}' and events.occurred_at > before.at "
            f"and events.occurred_at <= before.started_at + interval {window_hours} hour "
            "group by 1, 2)"
        )
    counts = ", ".join(f"(select count(*) from step_{n})" for n in range(1, len(names) + 1))
    return f"{', '.join(parts)} select {counts}"


def self_joins(connection: duckdb.DuckDBPyConnection) -> None:
    """Find every funnel by self-joins."""
    for names, window_hours in connection.execute(FUNNELS).fetchall():
        rows(connection, self_join(names, window_hours))


def fill_events(connection: duckdb.DuckDBPyConnection, events: int, population: Population) -> None:
    """Events in no order; four of five are of the funnels."""
    users = max(events // population.events_a_user, 1)
    # A normal deviate of two uniform ones (Box and Muller), of which a user's weight is made.
    connection.execute(
        "create or replace temp table weights as select u, exp("
        f"{population.sigma} * sqrt(-2 * ln((hash(u, 1) % 1000000 + 1) / 1000001)) "
        "* cos(2 * pi() * (hash(u, 2) % 1000000) / 1e6)) as weight "
        f"from range({users}) as users(u)"
    )
    # Each user has the whole part of their share, and one more by the chance of the fraction.
    connection.execute(
        "create or replace temp table raised as "
        "select u, unnest(range(floor(share + (hash(u, 3) % 1000000) / 1e6)::bigint)) as n from ("
        f"select u, weight / sum(weight) over () * {events} as share from weights)"
    )
    connection.execute(
        "create or replace table gold.fct_events as select case hash(u, n, 4) % 20 "
        "when 0 then 'signup_completed' when 1 then 'checkout_started' when 2 then 'payment_paid' "
        "when 3 then 'trial_started' when 4 then 'feature_used' when 5 then 'screen_viewed' "
        "when 6 then 'push_received' when 7 then 'app_opened' when 8 then 'app_opened' "
        "else 'message_sent' end as event_name, u::varchar as user_key, null::bigint as user_id, "
        "timestamp '2025-01-01' + to_microseconds((hash(u, n, 5) "
        f"% {population.days * 86_400_000_000})::bigint) as occurred_at, false as is_internal "
        "from raised order by hash(n, u)"
    )


def run(connection: duckdb.DuckDBPyConnection, models: dict[str, str]) -> None:
    """Print the ratios on the events that are there."""
    users = "(select count(*) as events from gold.fct_events group by user_key)"
    spread = connection.execute(
        f"select sum(events), median(events), max(events) from {users}"
    ).fetchone()
    assert spread
    least = costs(
        {"pass": partial(build, connection, models), "sort": partial(connection.execute, SORT)},
        REPEATS,
    )
    attempts = count(connection, "gold.fct_funnel_attempts")
    events, middle, most = (int(number) for number in spread)
    ordered, sort = least["pass"], least["sort"]
    print(f"{events:,} events, a user has {middle:,} in the median and {most:,} at most;")
    print(f"{attempts:,} attempts at two funnels")
    print(f"one pass (the models) {ordered}")
    print(f"one sort              {sort}   the pass takes {ordered.per(sort)}", flush=True)
    join = cost(partial(self_joins, connection))  # once: they are the slow ones
    print(f"self-joins            {join}   {join.per(ordered)} the pass", flush=True)


def main() -> None:
    """Print the ratios of each population."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    seed = find_project() / "seeds" / "funnels.csv"
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(folder)
        with duckdb.connect(str(settings.warehouse)) as connection:
            make_context(connection)
            fill_days(connection, 1_000)
            connection.execute(f"create table silver.funnels as from read_csv('{seed}')")
        models = compiled(settings, MODELS)
        with duckdb.connect(str(settings.warehouse)) as connection:
            connection.execute("set threads = 2; set enable_progress_bar = false")
            for name in sys.argv[2:] or POPULATIONS:
                population = POPULATIONS[name]
                fill_events(connection, wanted, population)
                print(f"\n{name}: {population}")
                run(connection, models)


if __name__ == "__main__":
    main()

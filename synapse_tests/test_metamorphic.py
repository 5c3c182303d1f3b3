"""Metamorphic properties of the models: what must hold of reports whatever the numbers are.

The compiled models run on DuckDB over populations that hypothesis makes up: their sign-ups, active
dates and funnel events. That the same events delivered twice count once is silver's promise, and is
proved there (test_ingest_topics, test_cdc_properties).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.deps import ensure_packages
from synapse.runner.dbt import DbtProject
from synapse_tests.lakes import PROJECT_DIR, is_full_proof, lake_settings

START = date(2025, 2, 20)  # a week before a month's end
DAYS = 24
EXAMPLES = 300 if is_full_proof() else 25
MODELS = (
    "rpt_active_users_daily", "rpt_lifecycle", "int_user_cohorts", "int_cohort_activity",
    "rpt_retention", "rpt_retention_headline", "int_funnel_steps", "fct_funnel_attempts",
    "rpt_conversion_funnel",
)  # fmt: skip
NAMES = ("app_opened", "signup_completed", "message_sent", "checkout_started", "payment_paid")

# What identifies a row of a report, which of its columns are counts, and its dates.
REPORTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rpt_active_users_daily": (
        ("activity_date",),
        ("active_users_1d", "active_users_7d", "active_users_28d", "active_users_30d", "new_users"),
    ),
    "rpt_lifecycle": (
        ("period_grain", "period_start"),
        ("new_users", "returning_users", "resurrected_users", "dormant_users", "active_users"),
    ),
    "rpt_retention": (
        ("cohort_basis", "cohort_grain", "retention_mode", "cohort_start", "period_number",
         "bracket_start"),
        ("cohort_size", "retained_users"),
    ),
    "rpt_conversion_funnel": (
        ("funnel_name", "step_number", "entry_date"),
        ("entered_count", "reached_count"),
    ),
}  # fmt: skip

Report = dict[tuple[Any, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Person:
    """Days are offsets in the calendar; events are (name, seconds since its start)."""

    signup: int | None
    active: frozenset[int]
    events: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Population:
    """People, whose ids are their places plus `first_id`, in a calendar that begins at `start`."""

    people: tuple[Person, ...]
    start: date = START
    first_id: int = 1
    is_reversed: bool = False


days = st.integers(0, DAYS - 1)
people = st.builds(
    Person,
    signup=st.none() | days,
    active=st.frozensets(days, max_size=8),
    events=st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(0, DAYS * 24).map(lambda hour: hour * 3600)),
        max_size=10,
        unique=True,
    ).map(tuple),
)
populations = st.lists(people, max_size=7).map(lambda many: Population(tuple(many)))


@dataclass(frozen=True)
class Chain:
    """The chain's compiled SQL by model, left out of what hypothesis prints."""

    models: dict[str, str] = field(repr=False)


@contextlib.contextmanager
def filled(population: Population, chain: Chain) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of the population's facts, with the models of the chain built on them."""
    start = population.start
    midnight = datetime(start.year, start.month, start.day, 3)  # of São Paulo, in UTC
    users, active, events = [], [], []
    for number, person in enumerate(population.people, start=population.first_id):
        if person.signup is not None:
            users.append((number, start + timedelta(days=person.signup)))
        dates = [start + timedelta(days=day) for day in sorted(person.active)]
        active += [
            (number, day, before) for day, before in zip(dates, [None, *dates], strict=False)
        ]
        events += [
            (name, str(number), number, midnight + timedelta(seconds=at))
            for name, at in person.events
        ]
    with duckdb.connect() as connection:
        # The compiled models name the warehouse, as dbt does.
        connection.execute("attach ':memory:' as warehouse")
        connection.execute("use warehouse")
        for statement in (
            "create schema gold", "create schema ops", "create schema silver",
            "create table gold.dim_users (user_id bigint, signup_date date, "
            "is_internal boolean default false)",
            "create table gold.fct_user_days (user_id bigint, activity_date date, "
            "previous_activity_date date)",
            "create table gold.fct_events (event_name varchar, user_key varchar, user_id bigint, "
            "occurred_at timestamp, is_internal boolean default false)",
            "create table gold.dim_dates as select *, "
            "date_trunc('week', date_day)::date as week_start_date, "
            "date_trunc('month', date_day)::date as month_start_date "
            f"from (select date '{start}' + i::integer as date_day, "
            f"i < {DAYS - 1} as is_complete from range({DAYS}) as days(i))",
            f"create table ops.run_context as select timestamp '{midnight}' + interval "
            f"{DAYS * 24 - 1} hour as as_of, 'America/Sao_Paulo' as business_timezone, '' as lake",
            f"create table silver.funnels as from read_csv('{PROJECT_DIR}/seeds/funnels.csv')",
        ):  # fmt: skip
            connection.execute(statement)
        direction = -1 if population.is_reversed else 1
        for table, columns, rows in (
            ("dim_users", "user_id, signup_date", users),
            ("fct_user_days", "user_id, activity_date, previous_activity_date", active),
            ("fct_events", "event_name, user_key, user_id, occurred_at", events),
        ):
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(
                    f"insert into gold.{table} ({columns}) values ({marks})", rows[::direction]
                )
        for name, query in chain.models.items():
            connection.execute(f"create table gold.{name} as {query}")
        yield connection


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain's SQL as dbt compiles it."""
    lake = lake_settings(tmp_path_factory.mktemp("metamorphic") / "lake")
    ensure_packages(PROJECT_DIR)
    dbt = DbtProject(lake, PROJECT_DIR)
    lake.lake.mkdir(exist_ok=True)
    assert dbt.invoke(["compile", "--select", *MODELS]).succeeded
    compiled = dbt.target_path / "compiled"
    return Chain({name: next(compiled.rglob(f"{name}.sql")).read_text() for name in MODELS})


def reports(population: Population, chain: Chain) -> dict[str, Report]:
    """Counts of all reports by key."""
    found: dict[str, Report] = {}
    with filled(population, chain) as connection:
        for name, (keys, counts) in REPORTS.items():
            rows = connection.execute(
                f"select {', '.join((*keys, *counts))} from gold.{name}"
            ).fetchall()
            found[name] = {row[: len(keys)]: row[len(keys) :] for row in rows}
            assert len(found[name]) == len(rows), f"{name} is keyed by {keys}"
    return found


def everything(population: Population, chain: Chain) -> dict[str, Counter[Any]]:
    """All columns of all reports, as sets of rows."""
    with filled(population, chain) as connection:
        return {
            name: Counter(connection.execute(f"from gold.{name}").fetchall()) for name in MODELS
        }


@given(population=populations)
@settings(max_examples=EXAMPLES)
def test_the_order_of_facts_changes_nothing(chain: Chain, population: Population) -> None:
    mirrored = replace(population, is_reversed=True)
    assert everything(mirrored, chain) == everything(population, chain)


@given(population=populations, weeks=st.sampled_from([-3, 1, 52]))
@settings(max_examples=EXAMPLES)
def test_a_week_later_is_the_same_a_week_later(
    chain: Chain, population: Population, weeks: int
) -> None:
    by = timedelta(weeks=weeks)
    moved = reports(replace(population, start=population.start + by), chain)
    for name, report in reports(population, chain).items():
        # Months do not move with weeks.
        expected = {
            tuple(part + by if isinstance(part, date) else part for part in key): counts
            for key, counts in report.items()
            if "month" not in key
        }
        assert {key: row for key, row in moved[name].items() if "month" not in key} == expected


@given(population=populations, signup=days)
@settings(max_examples=EXAMPLES)
def test_somebody_who_does_nothing_only_makes_a_cohort_larger(
    chain: Chain, population: Population, signup: int
) -> None:
    idle = Person(signup, frozenset(), ())
    larger = reports(replace(population, people=(*population.people, idle)), chain)
    before = reports(population, chain)
    for name in before.keys() - {"rpt_retention"}:
        assert larger[name] == before[name]
    day = population.start + timedelta(days=signup)
    cohorts = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }
    seen = 0
    for key, (size, retained) in larger["rpt_retention"].items():
        basis, grain, _, start, *_ = key
        is_theirs = basis == "signup" and start == cohorts[grain] and signup < DAYS - 1
        size_before, retained_before = before["rpt_retention"].get(key, (0, 0))
        assert (size, retained) == (size_before + is_theirs, retained_before), key
        seen += is_theirs
    assert bool(seen) == (signup < DAYS - 1)  # R5: who signed up today is in no cohort yet
    assert before["rpt_retention"].keys() <= larger["rpt_retention"].keys()


@given(one=populations, other=populations)
@settings(max_examples=EXAMPLES)
def test_two_populations_together_count_as_both(
    chain: Chain, one: Population, other: Population
) -> None:
    together = reports(replace(one, people=(*one.people, *other.people)), chain)
    apart = (
        reports(one, chain),
        reports(replace(other, first_id=len(one.people) + 1), chain),
    )
    for name, report in together.items():
        nothing = (0,) * len(REPORTS[name][1])
        expected = {
            key: tuple(
                map(sum, zip(*(part[name].get(key, nothing) for part in apart), strict=True))
            )
            for key in report
        }
        assert report == expected
        assert all(part[name].keys() <= report.keys() for part in apart)

"""R8 as a plain fold over events, beside the compiled pass: random funnels and histories.

Instants are few and lie where the rule turns: equal, a microsecond apart, at a window's end and
around it. One build of the model judges all histories that hypothesis makes up for an example, each
under a user key of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.deps import ensure_packages
from synapse.runner.dbt import DbtProject
from synapse_tests.lakes import PROJECT_DIR, is_full_proof, lake_settings

HOUR = 3_600_000_000  # microseconds
START = datetime(2025, 3, 1, 12)
EXAMPLES = 400 if is_full_proof() else 15
NAMES = ("a", "b", "c", "other")

Event = tuple[str, int]  # its name, and microseconds since START
Reached = tuple[str, str, int, int, int]  # funnel, user, attempt, step, microseconds since START


@dataclass(frozen=True)
class Funnel:
    """The event of each step in order, and the window."""

    name: str
    steps: tuple[str, ...]
    window_hours: int


def attempts(funnel: Funnel, user: str, events: list[Event]) -> Iterator[Reached]:
    """Read R8 aloud: look for a start after the last close, then for step after step."""
    instants = {name: sorted({at for event, at in events if event == name}) for name in NAMES}
    closed, attempt = None, 0
    while True:
        starts = [at for at in instants[funnel.steps[0]] if closed is None or at > closed]
        if not starts:
            return
        attempt, started = attempt + 1, starts[0]
        end = started + funnel.window_hours * HOUR
        reached = [started]
        for name in funnel.steps[1:]:
            after = [at for at in instants[name] if reached[-1] < at <= end]
            if not after:
                break
            reached.append(after[0])
        closed = reached[-1] if len(reached) == len(funnel.steps) else end
        for step, at in enumerate(reached, start=1):
            yield funnel.name, user, attempt, step, at


# An hour's grid with a window of one to three hours makes ends meet; a microsecond parts them.
instants = st.builds(
    lambda hour, by: hour * HOUR + by, st.integers(0, 8), st.sampled_from([-1, 0, 0, 0, 1])
)
histories = st.lists(st.tuples(st.sampled_from(NAMES), instants), max_size=24)
funnels = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES[:3]), min_size=1, max_size=4), st.integers(1, 3)),
    min_size=1,
    max_size=3,
).map(
    lambda many: [
        Funnel(f"funnel {number}", tuple(steps), hours)
        for number, (steps, hours) in enumerate(many)
    ]
)


@pytest.fixture(scope="module")
def int_funnel_steps(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model's SQL as dbt compiles it."""
    lake = lake_settings(tmp_path_factory.mktemp("funnel_pass") / "lake")
    ensure_packages(PROJECT_DIR)
    dbt = DbtProject(lake, PROJECT_DIR)
    lake.lake.mkdir(exist_ok=True)
    assert dbt.invoke(["compile", "--select", "int_funnel_steps"]).succeeded
    return next((dbt.target_path / "compiled").rglob("int_funnel_steps.sql")).read_text()


@contextlib.contextmanager
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """What the model reads, empty; the compiled SQL names the database, as dbt does."""
    with duckdb.connect() as connection:
        for statement in (
            "attach ':memory:' as warehouse",
            "use warehouse",
            "create schema gold",
            "create schema silver",
            "create table gold.fct_events (event_name varchar, user_key varchar, "
            "occurred_at timestamp, is_internal boolean default false)",
            "create table silver.funnels (funnel_name varchar, step_number bigint, "
            "event_name varchar, window_hours bigint)",
        ):
            connection.execute(statement)
        yield connection


def as_rows(rows: list[tuple[object, ...]]) -> str:
    """Rows of numbers and plain texts as SQL, in one statement: a statement a row takes longer."""
    return ", ".join(f"({', '.join(map(repr, row))})" for row in rows)


@given(drawn=funnels, people=st.lists(histories, min_size=1, max_size=25))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_pass_reaches_what_a_plain_reading_of_the_rule_reaches(
    int_funnel_steps: str, drawn: list[Funnel], people: list[list[Event]]
) -> None:
    steps: list[tuple[object, ...]] = [
        (funnel.name, number, name, funnel.window_hours)
        for funnel in drawn
        for number, name in enumerate(funnel.steps, start=1)
    ]
    events: list[tuple[object, ...]] = [
        (name, f"user {user}", str(START + timedelta(microseconds=at)))
        for user, history in enumerate(people)
        for name, at in history
    ]
    with warehouse() as connection:
        connection.execute(f"insert into silver.funnels values {as_rows(steps)}")
        if events:
            connection.execute(
                "insert into gold.fct_events (event_name, user_key, occurred_at) "
                f"values {as_rows(events)}"
            )
        rows = connection.execute(
            "select funnel_name, user_key, attempt_number, step_number, reached_at "
            f"from ({int_funnel_steps})"
        ).fetchall()
    found = sorted((*row[:4], (row[4] - START) // timedelta(microseconds=1)) for row in rows)
    assert found == sorted(
        reached
        for funnel in drawn
        for user, history in enumerate(people)
        for reached in attempts(funnel, f"user {user}", history)
    )

"""The oracle itself, against cases small enough to be worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from synapse_tests.oracle import (
    CohortCell,
    FunnelDefinition,
    Person,
    Product,
    Retained,
    Sighting,
    daily_actives,
    headline,
    retention,
    shift,
    start_of,
)
from synapse_tests.oracle_journeys import attempts, funnel_report, nearest_rank, sessions

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
FUNNEL = FunnelDefinition("f", ("a", "b", "c"), timedelta(hours=24))
START = datetime(2026, 3, 2, 12)


def product(
    sightings: list[Sighting],
    people: list[Person] | None = None,
    last_complete: date = date(2026, 3, 31),
) -> Product:
    """Build a product whose active signals are `login` and whose funnel is a → b → c."""
    listed = people or []
    return Product(
        people={person.user_id: person for person in listed},
        sightings=sightings,
        active_signals=frozenset({"login"}),
        funnels=[FUNNEL],
        timezone=SAO_PAULO,
        last_complete=last_complete,
    )


def seen(
    name: str,
    at: datetime,
    user: int | None = 1,
    *,
    anonymous: str | None = None,
    is_app_event: bool = True,
) -> Sighting:
    """Build one sighting with an id made of what is in it."""
    event_id = f"{name}-{user}-{anonymous}-{at.isoformat()}"
    return Sighting(event_id, name, at, user, anonymous, is_app_event)


def test_r1_a_day_ends_at_midnight_of_the_business_time_zone() -> None:
    some = product([])
    assert some.business_date(datetime(2026, 3, 3, 2, 59, 59)) == date(2026, 3, 2)
    assert some.business_date(datetime(2026, 3, 3, 3)) == date(2026, 3, 3)
    assert some.end_of(date(2026, 3, 2)) == datetime(2026, 3, 3, 3)


def test_r2_who_counts_as_active() -> None:
    people = [Person(1, START, False), Person(2, START, True)]
    some = product(
        [
            seen("login", START),
            seen("push_received", START + timedelta(days=1)),
            seen("message_sent", START + timedelta(days=2), is_app_event=False),
            seen("message_sent", START + timedelta(days=3)),
            seen("login", START, 2),
            seen("login", START, 3),
            seen("login", START, None, anonymous="linked"),
            seen("login", START + timedelta(days=9), 4, anonymous="linked"),
            seen("login", START, None, anonymous="nobody"),
        ],
        people,
    )
    first = START.date()
    assert some.active_days == {
        "1": {first, first + timedelta(days=2)},
        "3": {first},
        "4": {first, first + timedelta(days=9)},
    }


def test_r3_rolling_windows_include_their_first_day_and_are_dense() -> None:
    some = product([seen("login", START), seen("login", START + timedelta(days=7), 2)])
    rows = daily_actives(some)
    assert len(rows) == 30
    counted = {day.day: (row.active_1d, row.active_7d, row.active_28d) for day, row in rows.items()}
    assert counted[2] == (1, 1, 1)
    assert counted[8] == (0, 1, 1)
    assert counted[9] == (1, 1, 2)
    assert counted[29] == (0, 0, 2)
    assert counted[30] == (0, 0, 1)
    assert rows[date(2026, 3, 9)].new_users == 1
    assert rows[date(2026, 3, 31)].active_30d == 2


def test_r5_periods_are_calendar_periods() -> None:
    assert start_of(date(2026, 3, 1), "week") == date(2026, 2, 23)
    assert start_of(date(2026, 3, 31), "month") == date(2026, 3, 1)
    assert shift(date(2026, 11, 1), "month", 3) == date(2027, 2, 1)


def test_r6_retention_modes_and_maturity() -> None:
    last = START.date() + timedelta(days=8)
    some = product(
        [seen("login", START + timedelta(days=days)) for days in (0, 2, 8)],
        [Person(1, START, False), Person(2, START, False)],
        last_complete=last,
    )
    cells = retention(some)

    def cell(mode: str, period: int | None, bracket: tuple[int, int] | None = None) -> Retained:
        return cells[CohortCell("signup", "day", START.date(), mode, period, bracket)]

    assert cell("on", 1) == Retained(2, 0, True)
    assert cell("on", 2) == Retained(2, 1, True)
    assert cell("on_or_after", 3) == Retained(2, 1, True)
    assert cell("bracket", None, (1, 7)) == Retained(2, 1, True)
    assert cell("bracket", None, (8, 14)) == Retained(2, 1, False)
    week = CohortCell("signup", "week", START.date(), "on", 1, None)
    assert cells[week] == Retained(2, 1, False)
    assert max(c.period_number or 0 for c in cells if c.grain == "day") == 8
    assert headline(some, last, 1) == (0, 2)
    assert headline(some, last, 6) == (0, 2)
    assert headline(some, START.date() + timedelta(days=2), 2) == (1, 2)


@pytest.mark.parametrize(
    ("name", "events", "expected"),
    [
        ("a step at the same instant does not count", [("a", 0), ("b", 0), ("b", 60)], [[0, 60]]),
        ("order is strict", [("a", 0), ("c", 10), ("b", 20)], [[0, 20]]),
        ("the window's end is inside", [("a", 0), ("b", 86400)], [[0, 86400]]),
        ("one second later is outside", [("a", 0), ("b", 86401)], [[0]]),
        ("an open attempt takes no second start", [("a", 0), ("a", 60), ("b", 90)], [[0, 90]]),
        ("completion closes", [("a", 0), ("b", 1), ("c", 2), ("a", 3)], [[0, 1, 2], [3]]),
        ("a start at the close starts nothing", [("a", 0), ("b", 1), ("c", 2), ("a", 2)],
         [[0, 1, 2]]),
        ("a start at the window's end starts nothing", [("a", 0), ("a", 86400)], [[0]]),
        ("after the window's end it does", [("a", 0), ("a", 86401)], [[0], [86401]]),
    ],
)  # fmt: skip
def test_r8_attempts(name: str, events: list[tuple[str, int]], expected: list[list[int]]) -> None:
    some = product([seen(step, START + timedelta(seconds=after)) for step, after in events])
    found = [
        [int((instant - START).total_seconds()) for instant in attempt.reached]
        for attempt in attempts(some)
    ]
    assert found == expected, name


def test_r8_the_report_and_its_maturity() -> None:
    day = timedelta(days=1)
    some = product(
        [seen("a", START), seen("b", START + timedelta(seconds=30)), seen("a", START, 2)],
        last_complete=(START + day).date(),
    )
    rows = funnel_report(some, attempts(some))
    step = rows[("f", START.date(), 2)]
    assert (step.entered, step.reached, step.reached_before) == (2, 1, 2)
    assert (step.median_seconds, step.is_mature) == (30, True)
    early = product([seen("a", START)], last_complete=START.date())
    assert not funnel_report(early, attempts(early))[("f", START.date(), 1)].is_mature


def test_nearest_rank_takes_a_value_that_is_there() -> None:
    assert nearest_rank([], 50) is None
    assert nearest_rank([4, 1, 3, 2], 50) == 2
    assert nearest_rank([1, 2, 3, 4, 5], 50) == 3
    assert nearest_rank(list(range(1, 11)), 90) == 9


def test_r9_a_gap_of_exactly_thirty_minutes_does_not_end_a_session() -> None:
    gap = timedelta(minutes=30)
    second = timedelta(seconds=1)
    some = product(
        [
            seen("login", START),
            seen("message_sent", START + gap, is_app_event=False),
            seen("payment_paid", START + gap + second, is_app_event=False),
            seen("login", START + 2 * gap + second),
        ]
    )
    found = [(s.started_at, s.ended_at, s.event_count) for s in sessions(some)]
    assert found == [(START, START + gap, 2), (START + 2 * gap + second,) * 2 + (1,)]

"""Silver equals the generator's truth: now, and as at several commit points of the past."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest

from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import ask
from synapse_tests.oracle_truth import TABLES, read_truth

Row = tuple[Any, ...]
COMMIT_POINTS = 12


def assert_same_rows(found: Iterable[Row], expected: Iterable[Row], what: str) -> None:
    """Fail with a few rows of each side that the other lacks."""
    left, right = sorted(found, key=repr), sorted(expected, key=repr)
    if left == right:
        return
    known, wanted = set(left), set(right)
    extra = [row for row in left if row not in wanted][:3]
    missing = [row for row in right if row not in known][:3]
    raise AssertionError(
        f"{what}: {len(left)} rows, the truth has {len(right)}\n"
        f"  not true: {extra}\n  not found: {missing}"
    )


@pytest.mark.parametrize("table", TABLES)
def test_current_rows_equal_the_source(built: DailySteps, table: str) -> None:
    truth = read_truth(built.settings.lake, table)
    columns = list(truth[0])
    found = ask(
        built.settings.warehouse,
        f"select {', '.join(columns)} from silver.stg_dms__{table} where not _is_deleted",
    )
    assert_same_rows(found, (tuple(row.values()) for row in truth), f"stg_dms__{table}")


def state_at(history: list[dict[str, Any]], key: str, instant: datetime) -> set[Row]:
    """Replay a table's history (in the order in which it counts) up to and including an instant."""
    living: dict[int, Row] = {}
    for change in history:
        if change["committed_at"] > instant:
            continue
        values = tuple(list(change.values())[list(change).index(key) :])
        old = change[f"bi_{key}"]
        if change["op"] in ("D", "A"):
            living.pop(change[key], None)
            continue
        if old is not None and old != change[key]:
            living.pop(old, None)
        living[change[key]] = values
    return set(living.values())


@pytest.mark.parametrize("table", TABLES)
def test_rows_as_at_a_commit_point_equal_the_source_of_that_moment(
    built: DailySteps, table: str
) -> None:
    key = f"{table[:-1]}_id"
    history = read_truth(built.settings.lake, f"history_{table}")
    columns = list(read_truth(built.settings.lake, table)[0])
    instants = sorted({change["committed_at"] for change in history})
    stride = max(len(instants) // COMMIT_POINTS, 1)
    points = {*instants[::stride], instants[0], instants[-1]}
    for instant in sorted(points):
        found = ask(
            built.settings.warehouse,
            f"select {', '.join(columns)} from silver.hist_dms__{table} "
            "where _valid_from <= ? and (_valid_to > ? or _valid_to is null)",
            instant,
            instant,
        )
        expected = state_at(history, key, instant)
        assert_same_rows(found, expected, f"hist_dms__{table} as at {instant}")


def test_history_is_gapless_where_it_must_be(built: DailySteps) -> None:
    for table in TABLES:
        key = f"{table[:-1]}_id"
        overlaps = ask(
            built.settings.warehouse,
            f"""
            select count(*) from silver.hist_dms__{table} as one
            inner join silver.hist_dms__{table} as other
                on one.{key} = other.{key} and one._version < other._version
                and (one._valid_to is null or one._valid_to > other._valid_from)
            """,
        )
        assert overlaps == [(0,)], table
        open_rows = ask(
            built.settings.warehouse,
            f"select {key} from silver.hist_dms__{table} where _is_current order by all",
        )
        living = ask(
            built.settings.warehouse,
            f"select {key} from silver.stg_dms__{table} where not _is_deleted order by all",
        )
        assert open_rows == living, table


def test_events_equal_the_accepted_ones(built: DailySteps) -> None:
    truth = read_truth(built.settings.lake, "events")
    columns = list(truth[0])
    found = ask(
        built.settings.warehouse,
        f"select {', '.join(columns)} from silver.stg_kconnect__app_events",
    )
    assert_same_rows(found, (tuple(row.values()) for row in truth), "stg_kconnect__app_events")


def test_document_messages_equal_the_latest_deliveries(built: DailySteps) -> None:
    columns = [
        *("conversation_id", "user_id", "position", "role", "content", "sent_at"),
        *("model", "token_count", "sentiment", "channel", "language"),
    ]
    found = ask(
        built.settings.warehouse,
        f"select {', '.join(columns)} from silver.stg_kconnect__conversation_messages",
    )
    truth = read_truth(built.settings.lake, "document_messages")
    expected = (tuple(row[name] for name in columns) for row in truth)
    assert_same_rows(found, expected, "stg_kconnect__conversation_messages")


def test_every_record_is_accounted_for(built: DailySteps) -> None:
    """The records that the generator broke on purpose are refused: no more and no fewer."""
    arrivals = read_truth(built.settings.lake, "arrivals")
    broken = sum(row["bad_records"] for row in arrivals)
    assert (broken > 0) == (built.build.hazards == "hostile")

"""A published figure that changes is told, with what was said before and why (rule R17)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from synapse.settings import Settings
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import copy_lake, copy_project, run_daily

FIGURES = (
    "select figure_id, figure_value from ops.ops_headline_figures "
    "where is_final and period_start <= ?"
)
RESTATED = "select figure_id, old_value, new_value from ops.ops_restatements where run_id = ?"


def ask(warehouse: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(query, list(values)).fetchall()


def run_id_of(warehouse: Path) -> str:
    [(run_id,)] = ask(warehouse, "select run_id from ops.run_context")
    return str(run_id)


def test_r17_each_figure_that_changed_between_runs_is_restated_and_no_other(
    steps: DailySteps,
) -> None:
    """The reports of each step, compared with those of the step before, say what has to be told."""
    told = 0
    for step in range(1, len(steps.copies)):
        before, after = steps.copies[step - 1], steps.copies[step]
        said = dict(ask(before, FIGURES, steps.days[step - 1]))
        now = dict(ask(after, FIGURES, steps.days[step]))
        expected = {
            (figure, value, now.get(figure))
            for figure, value in said.items()
            if now.get(figure) != value
        }
        assert set(ask(after, RESTATED, run_id_of(after))) == expected
        told += len(expected)
    assert told > 0, "no figure changed: late data is not tested"
    causes = dict(
        ask(steps.copies[-1], "select cause, count(*) from ops.ops_restatements group by cause")
    )
    assert causes.get("late data", 0) > 0
    assert not causes.keys() & {"unexplained", "definition change"}, causes


def test_r17_the_log_says_what_the_reports_say(steps: DailySteps) -> None:
    newest = ask(
        steps.copies[-1],
        "select figure_id, figure_value from ops.ops_published_figures "
        "qualify row_number() over (partition by figure_id order by publication_number desc) = 1",
    )
    assert sorted(newest) == sorted(ask(steps.copies[-1], FIGURES, steps.last))


def test_r17_a_rebuild_keeps_the_log_and_restates_nothing(
    steps: DailySteps, tmp_path: Path
) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    run_daily(settings, steps.project, steps.last, full_refresh=True)
    log = "select * from ops.ops_published_figures order by publication_id"
    assert ask(settings.warehouse, log) == ask(steps.copies[-1], log)


def test_r17_a_changed_definition_is_told_from_late_data(steps: DailySteps, tmp_path: Path) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    project = copy_project(tmp_path / "project")
    plan = project / "seeds" / "tracking_plan.csv"
    plan.write_text(plan.read_text().replace("push_received,false", "push_received,true"))
    run_daily(settings, project, steps.last)
    run_id = run_id_of(settings.warehouse)
    found = ask(
        settings.warehouse,
        "select cause, count(*) from ops.ops_restatements where run_id = ? group by cause",
        run_id,
    )
    assert [cause for cause, _ in found] == ["definition change"]


def only_message_of_a_day(settings: Settings, until: date) -> tuple[int, date]:
    """Return a message of the database without which its writer was not active on its date."""
    [(message_id, day)] = ask(
        settings.warehouse,
        "select max(source_order), event_date from gold.fct_events "
        "join gold.fct_messages on event_id = 'message_sent:' || message_id "
        "join gold.fct_user_days on fct_user_days.user_id = fct_events.user_id "
        "and activity_date = event_date and fct_user_days.event_count = 1 "
        "where fct_events.source_system = 'dms' and event_date between ? and ? "
        "group by event_date, fct_events.user_id order by 2 desc, 1 limit 1",
        until - timedelta(days=20),
        until - timedelta(days=2),
    )
    return message_id, day


def test_r17_a_deleted_message_is_a_source_correction(steps: DailySteps, tmp_path: Path) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    message_id, day = only_message_of_a_day(settings, steps.last)
    table = settings.lake / "bronze" / "dms" / "synapse" / "messages"
    newest = max(path for path in table.rglob("*.parquet") if not path.name.startswith("LOAD"))
    row = {name: None for name in pq.read_schema(newest).names} | {
        "Op": "D",
        "message_id": message_id,
        "dms_committed_at": f"{steps.last + timedelta(days=1)} 02:00:00.000000",
        "dms_change_seq": "9" * 35,
    }
    deleted = pa.Table.from_pylist([row], schema=pq.read_schema(newest))
    pq.write_table(deleted, newest.with_name(newest.name.replace(".parquet", "9.parquet")))
    run_daily(settings, steps.project, steps.last)
    found = ask(
        settings.warehouse,
        "select old_value, new_value, cause from ops.ops_restatements where run_id = ? "
        "and report = 'rpt_active_users_daily' and column_name = 'active_users_1d' "
        "and period_start = ?",
        run_id_of(settings.warehouse),
        day,
    )
    assert len(found) == 1
    old, new, cause = found[0]
    assert (old - new, cause) == (Decimal(1), "source correction")

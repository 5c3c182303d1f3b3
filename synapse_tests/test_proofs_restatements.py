"""A published figure that changes is told, with what was said before and why (rule R17)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.settings import Settings
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import ask, copy_lake, copy_project, run_daily

FIGURES = (
    "select figure_id, figure_value from ops.ops_headline_figures "
    "where is_final and period_start <= ?"
)
RESTATED = "select figure_id, old_value, new_value from ops.ops_restatements where run_id = ?"


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


def message_with_tokens(settings: Settings, day: date) -> tuple[int, str, int]:
    """Return id, language model and tokens of a message of the database on a date."""
    [(message_id, model, tokens)] = ask(
        settings.warehouse,
        "select source_order, model, token_count from gold.fct_messages "
        "where source_system = 'dms' "
        "and sent_date = ? and token_count > 0 and not is_internal order by source_order limit 1",
        day,
    )
    return message_id, model, tokens


def test_r17_a_deleted_message_is_a_source_correction(steps: DailySteps, tmp_path: Path) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    day = steps.last - timedelta(days=5)
    message_id, model, tokens = message_with_tokens(settings, day)
    table = settings.lake / "bronze" / "dms" / "synapse" / "messages"
    newest = max(path for path in table.rglob("*.parquet") if not path.name.startswith("LOAD"))
    row = dict.fromkeys(pq.read_schema(newest).names) | {
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
        "and report = 'rpt_llm_usage_daily' and column_name = 'token_count' "
        "and dimension = ? and period_start = ?",
        run_id_of(settings.warehouse),
        model,
        day,
    )
    assert len(found) == 1
    old, new, cause = found[0]
    assert (old - new, cause) == (Decimal(tokens), "source correction")

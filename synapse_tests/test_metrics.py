"""Every metric of the catalogue, asked of MetricFlow, equals the report that shows it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from synapse.cli import app
from synapse.errors import UsageError
from synapse.metrics.parsed import semantic_manifest
from synapse.metrics.query import Answer, MetricQueries, Request
from synapse.runner.dbt import DbtProject
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import (
    PROJECT_DIR,
    copy_lake,
    copy_project,
    is_full_proof,
    lake_settings,
)
from synapse_tests.test_proofs_numbers import ask

# What the issue names; more is welcome.
NAMED = {
    "dau", "wau", "mau", "stickiness", "new_users", "retention_1d", "retention_7d", "retention_30d",
    "activity_churn", "subscription_churn", "conversion_rate", "sessions", "session_duration",
    "messages_per_user", "feature_adoption", "response_time_p50", "response_time_p95",
    "error_rate", "registered_users", "quick_ratio", "regional_share", "mrr", "mrr_new",
    "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated", "ltv", "llm_tokens",
    "llm_cost", "mean_sentiment",
}  # fmt: skip

# Nobody of a small lake need change plans; the larger one of `make proof` has them all.
RARE = set() if is_full_proof() else {"mrr_contraction", "mrr_expansion", "mrr_reactivated"}


@dataclass(frozen=True)
class Shown:
    """How a report shows a metric: its keys, and the value, in SQL. by: how to ask for the same."""

    by: tuple[str, ...]
    keys: str
    value: str
    model: str
    rest: str = ""

    @property
    def sql(self) -> str:
        """A row for each combination of keys."""
        return f"select {self.keys}, {self.value} from gold.{self.model} {self.rest}"


def daily(model: str, column: str, day: str = "activity_date", dimension: str = "") -> Shown:
    """A report with a row a date, or a date and dimension."""
    by = ("day", dimension) if dimension else ("day",)
    return Shown(by, f"{day}, {dimension}" if dimension else day, column, model)


def lifecycle(column: str, grain: str) -> Shown:
    """One period of the report of lifecycles."""
    return Shown(
        (grain,), "period_start", column, "rpt_lifecycle", f"where period_grain = '{grain}'"
    )


def revenue(column: str) -> Shown:
    """All plans of a month and currency."""
    keys = "month_start, currency"
    return Shown(("month",), keys, column, "rpt_mrr_monthly", "where plan_code = 'all'")


def funnel(value: str) -> Shown:
    """The last step of a funnel."""
    last = "qualify step_number = max(step_number) over (partition by funnel_name)"
    return Shown(("day",), "entry_date, funnel_name", value, "rpt_conversion_funnel", last)


def customer(value: str) -> Shown:
    """Customers of a currency."""
    return Shown((), "currency", value, "rpt_customer_360", "group by currency")


def llm(value: str) -> Shown:
    """A model's day."""
    return daily("rpt_llm_usage_daily", value, "usage_date", "model")


ACTIVE, GROWTH, CHURN = "rpt_active_users_daily", "rpt_user_growth", "rpt_churn_monthly"
HEADLINE, SESSIONS = "rpt_retention_headline", "rpt_sessions_daily"
FEATURES, REGIONS = "rpt_feature_usage_daily", "rpt_regional_adoption"
RESPONSES, ERRORS = "rpt_response_time_daily", "rpt_error_rate_hourly"
CHURNED = {
    "activity_base": "activity_base_users",
    "activity_churned": "activity_churned_users",
    "activity_churn": "activity_churn_rate",
    "subscription_base": "subscription_base_users",
    "subscription_churned": "subscription_churned_users",
    "subscription_churn": "subscription_churn_rate",
}
PER_HOUR = "group by hour_date"
EXPECTED: dict[str, list[Shown]] = {
    "dau": [daily(ACTIVE, "active_users_1d")],
    "wau": [daily(ACTIVE, "active_users_7d")],
    "mau": [daily(ACTIVE, "active_users_28d")],
    "stickiness": [daily(ACTIVE, "stickiness_rate")],
    "new_users": [
        daily(ACTIVE, "new_users"),
        Shown(
            ("month",),
            "date_trunc('month', activity_date)::date",
            "sum(new_users)",
            ACTIVE,
            "group by 1",
        ),
    ],
    "active_users": [
        daily(ACTIVE, "active_users_1d"),
        Shown(
            ("month",),
            "period_start",
            "active_users",
            "rpt_lifecycle",
            "where period_grain = 'month'",
        ),
    ],
    "user_messages_sent": [
        Shown(("day",), "activity_date", "sum(message_count)", "fct_user_days", "group by 1")
    ],
    "messages_per_user": [
        Shown(
            ("day",),
            "activity_date",
            "sum(message_count) / count(distinct user_id)",
            "fct_user_days",
            "group by 1",
        )
    ],
    **{
        f"retention_{n}d{suffix}": [daily(HEADLINE, column)]
        for n in (1, 7, 30)
        for suffix, column in (
            ("", f"retention_{n}d_rate"),
            ("_cohort_users", f"cohort_{n}d_users"),
            ("_retained_users", f"retained_{n}d_users"),
        )
    },
    **{
        name: [lifecycle(column, grain) for grain in ("day", "week", "month")]
        for name, column in (
            ("lifecycle_new", "new_users"),
            ("returning_users", "returning_users"),
            ("resurrected_users", "resurrected_users"),
            ("dormant_users", "dormant_users"),
            ("quick_ratio", "quick_ratio"),
        )
    },
    "sessions": [daily(SESSIONS, "session_count", "session_date")],
    "session_seconds_total": [daily(SESSIONS, "total_duration_seconds", "session_date")],
    "session_duration": [
        daily(SESSIONS, "total_duration_seconds / nullif(session_count, 0)", "session_date")
    ],
    "feature_uses": [daily(FEATURES, "use_count", dimension="feature")],
    "feature_users": [daily(FEATURES, "users_28d", dimension="feature")],
    "feature_base_users": [daily(FEATURES, "active_users_28d", dimension="feature")],
    "feature_adoption": [daily(FEATURES, "adoption_rate", dimension="feature")],
    "registered_users": [daily(GROWTH, "registered_users")],
    "signed_up_users": [daily(GROWTH, "signed_up_users")],
    "left_users": [daily(GROWTH, "left_users")],
    "regional_share": [daily(REGIONS, "active_share_rate", dimension="region")],
    "regional_active": [daily(REGIONS, "active_users_28d", dimension="region")],
    "regional_registered": [daily(REGIONS, "registered_users", dimension="region")],
    "regional_adoption": [daily(REGIONS, "adoption_rate", dimension="region")],
    **{name: [Shown(("month",), "month_start", column, CHURN)] for name, column in CHURNED.items()},
    "mrr": [revenue("closing_mrr_cents")],
    **{
        f"mrr_{move}": [revenue(f"{move}_mrr_cents")]
        for move in ("opening", "new", "reactivated", "expansion", "contraction", "churned")
    },
    "plan_mrr": [
        Shown(
            ("month",),
            "month_start, currency, plan_code",
            "closing_mrr_cents",
            "rpt_mrr_monthly",
            "where plan_code <> 'all'",
        )
    ],
    "customers": [customer("count(*)")],
    "lifetime_value_total": [customer("sum(ltv_cents)")],
    "ltv": [customer("sum(ltv_cents) / count(*)")],
    "funnel_attempts": [funnel("entered_count")],
    "funnel_completions": [funnel("reached_count")],
    "conversion_rate": [funnel("overall_conversion_rate")],
    **{
        f"response_time_{each}": [daily(RESPONSES, f"{each}_seconds", "response_date")]
        for each in ("p50", "p90", "p95", "p99")
    },
    "responses": [daily(RESPONSES, "response_count", "response_date")],
    "api_requests": [Shown(("day",), "hour_date", "sum(request_count)", ERRORS, PER_HOUR)],
    "api_errors": [Shown(("day",), "hour_date", "sum(error_count)", ERRORS, PER_HOUR)],
    "error_rate": [
        Shown(
            ("day",),
            "hour_date",
            "sum(error_count) / nullif(sum(request_count), 0)",
            ERRORS,
            PER_HOUR,
        )
    ],
    "llm_tokens": [llm("token_count")],
    "llm_input_tokens": [llm("input_token_count")],
    "llm_output_tokens": [llm("output_token_count")],
    "llm_cost": [llm("cost_cents")],
    "messages_scored": [llm("scored_message_count")],
    "sentiment_points_total": [llm("mean_sentiment * scored_message_count")],
    "mean_sentiment": [llm("mean_sentiment")],
}


@pytest.fixture(scope="module")
def lake(steps: DailySteps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared lake: asking parses the project anew and leaves that on the lake."""
    return copy_lake(steps.settings.lake, tmp_path_factory.mktemp("metrics") / "lake").lake


@pytest.fixture(scope="module")
def queries(lake: Path) -> MetricQueries:
    """The catalogue on that lake."""
    return MetricQueries(lake_settings(lake), PROJECT_DIR)


def keyed(rows: Any) -> dict[tuple[Any, ...], float | None]:
    """Values by key, without those that say that nothing was there: MetricFlow leaves them out."""
    return {
        tuple(row[:-1]): float(row[-1])
        for row in rows
        if row[-1] is not None and Decimal(str(row[-1])) != 0
    }


def test_every_metric_is_proved_here_and_every_named_one_is_there(queries: MetricQueries) -> None:
    assert queries.catalogue.keys() == EXPECTED.keys()
    assert set(EXPECTED) >= NAMED
    declared = [
        metric["name"]
        for file in (PROJECT_DIR / "models" / "metrics").glob("*.yml")
        for metric in yaml.safe_load(file.read_text())["metrics"]
    ]
    # dbt ignores a specification that it does not know without a word.
    assert sorted(declared) == list(queries.catalogue)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_metric_equals_its_report(queries: MetricQueries, steps: DailySteps, name: str) -> None:
    for shown in EXPECTED[name]:
        answer = queries.query(Request([name], by=shown.by))
        found, expected = keyed(answer.rows), keyed(ask(steps, shown.sql))
        assert expected or name in RARE, f"{shown.sql} shows nothing: the test could not fail"
        # Reports round rates to six decimals and mean sentiment to four.
        tolerance = 5.1e-5 if "sentiment" in shown.value else 5.1e-7
        assert found == pytest.approx(expected, rel=1e-9, abs=tolerance), shown.sql


def test_a_report_is_named_where_the_number_can_be_seen(
    queries: MetricQueries, steps: DailySteps
) -> None:
    for metric in queries.catalogue.values():
        model, column = metric.report.split(".")
        ask(steps, f"select {column} from gold.{model} limit 1")


def one(answer: Answer) -> Any:
    """The only value."""
    ((value,),) = answer.rows
    return value


def test_dimensions_and_conditions_part_the_whole(queries: MetricQueries) -> None:
    whole = one(queries.query(Request(["user_messages_sent"])))
    parts = queries.query(Request(["user_messages_sent"], by=["platform"])).rows
    assert sum(count for _, count in parts) == whole
    platform, count = parts[0]
    only = Request(["user_messages_sent"], where=[f"platform = '{platform}'"])
    assert one(queries.query(only)) == count


def test_dates_are_included_and_order_and_limit_are_kept(
    queries: MetricQueries, steps: DailySteps
) -> None:
    day = steps.days[0]
    asked = Request(["dau"], by=["day"], start=day, end=day)
    assert [row[0] for row in queries.query(asked).rows] == [day]
    greatest = queries.query(Request(["dau"], by=["day"], order=["-dau"], limit=2)).rows
    everything = queries.query(Request(["dau"], by=["day"])).rows
    assert [row[1] for row in greatest] == sorted((row[1] for row in everything), reverse=True)[:2]
    assert everything == tuple(sorted(everything))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Request(["dua"]), "did you mean dau"),
        (Request(["active_users"], by=["regoin"]), "there are day, week"),
        (Request(["response_time_p50"], by=["month"]), "only exact by day"),
        (Request(["quick_ratio"], by=["quarter"]), "by day, week or month"),
        (Request(["dau"], by=["day"], order=["wau"]), "none of the columns"),
        (Request(["dau"], where=["platform"]), "no condition"),
        (Request([]), "at least one metric"),
    ],
)
def test_what_cannot_be_asked_is_said(queries: MetricQueries, asked: Request, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        queries.query(asked)


def test_currencies_are_never_added_together(queries: MetricQueries) -> None:
    assert "currency" in queries.query(Request(["mrr"], by=["month"])).columns


def test_the_command_line_lists_shows_and_answers(lake: Path) -> None:
    def said(*arguments: str) -> str:
        place = ("--lake", str(lake), "--project-dir", str(PROJECT_DIR))
        result = CliRunner().invoke(app, ["metrics", *arguments, *place])
        assert result.exit_code == 0, result.output
        return result.stdout

    listed = json.loads(said("list", "--json"))
    assert {metric["name"] for metric in listed} == EXPECTED.keys()
    assert "rpt_active_users_daily.stickiness_rate" in said("show", "stickiness")
    rows = list(csv.reader(io.StringIO(said("query", "dau", "mau", "--by", "day", "--csv"))))
    assert rows[0] == ["day", "dau", "mau"]
    assert all(date.fromisoformat(row[0]) for row in rows[1:])
    assert len(rows) > 2


def test_every_question_of_the_growth_meeting_is_answered(
    lake: Path,
) -> None:
    dbt = DbtProject(lake_settings(lake), PROJECT_DIR)
    assert dbt.invoke(["compile", "--select", "path:analyses"]).succeeded
    compiled = sorted((dbt.target_path / "compiled" / "synapse" / "analyses").glob("*.sql"))
    assert [file.name for file in compiled] == sorted(
        file.name for file in (PROJECT_DIR / "analyses").glob("*.sql")
    )
    assert len(compiled) >= 10
    with duckdb.connect(str(lake_settings(lake).warehouse), read_only=True) as connection:
        for file in compiled:
            # Nobody of a small lake need pay and stay away.
            rows = connection.execute(file.read_text()).fetchall()
            assert rows or file.stem == "who_pays_and_does_not_come", file.name


def test_a_project_is_parsed_again_only_when_it_changed(lake: Path, tmp_path: Path) -> None:
    settings, project = lake_settings(lake), copy_project(tmp_path / "project")
    dbt = DbtProject(settings, project, tmp_path / "target")
    parsed = semantic_manifest(settings, project, dbt)
    written = dbt.target_path / "semantic_manifest.json"
    written.unlink()
    assert semantic_manifest(settings, project, dbt) == parsed
    assert not written.exists(), "it was parsed although nothing had changed"
    declared = project / "models" / "metrics" / "engagement.yml"
    declared.write_text(declared.read_text().replace("Daily active users", "Daily people"))
    again = DbtProject(settings, project, tmp_path / "target")
    assert "Daily people" in semantic_manifest(settings, project, again)


def test_a_question_needs_no_dbt_once_the_project_is_parsed(
    lake: Path, queries: MetricQueries
) -> None:
    assert queries.catalogue
    asked = ["metrics", "query", "dau", "--by", "day", "--csv", "--lake", str(lake)]
    program = (
        "import sys\nfrom synapse.cli import app\n"
        f"app({[*asked, '--project-dir', str(PROJECT_DIR)]!r}, standalone_mode=False)\n"
        "assert 'dbt.cli.main' not in sys.modules and 'dbt.adapters' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("day,dau\n")

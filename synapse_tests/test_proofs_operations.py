"""How the service ran, by the reports and by plain Python from the truth (rules R9 to R12, R15)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import PROJECT_DIR
from synapse_tests.oracle import Product
from synapse_tests.oracle_operations import (
    Service,
    error_hours,
    feature_days,
    load_service,
    model_days,
    response_days,
    session_days,
)
from synapse_tests.test_proofs_numbers import ask, rate


@pytest.fixture(scope="module")
def service(built: DailySteps, product: Product) -> Service:
    """The oracle's view of the same lake."""
    return load_service(product, built.settings.lake, PROJECT_DIR / "seeds")


def test_r9_sessions_by_day_equal_the_oracle(built: DailySteps, service: Service) -> None:
    found = ask(
        built,
        "select session_date, session_count, user_count, known_user_count, event_count, "
        "total_duration_seconds, median_duration_seconds, p90_duration_seconds, "
        "events_per_session from gold.rpt_sessions_daily where is_complete order by session_date",
    )
    expected = [
        (
            day,
            row.sessions,
            row.users,
            row.known_users,
            row.events,
            row.seconds,
            row.median_seconds,
            row.p90_seconds,
            rate(row.events, row.sessions),
        )
        for day, row in session_days(service).items()
    ]
    assert found == expected
    assert sum(row[1] for row in found) > 0


def test_r10_feature_usage_equals_the_oracle(built: DailySteps, service: Service) -> None:
    found = {
        (row[0], row[1]): row[2:]
        for row in ask(
            built,
            "select feature, activity_date, use_count, user_count, users_28d, active_users_28d, "
            "adoption_rate from gold.rpt_feature_usage_daily where is_complete",
        )
    }
    expected = {key: (*row, rate(row[2], row[3])) for key, row in feature_days(service).items()}
    assert found == expected
    assert {"export_pdf", "login", "message_sent"} <= {feature for feature, _ in found}
    assert "debug_ping" not in {feature for feature, _ in found}, "it is documented nowhere"


def test_r11_response_times_equal_the_oracle(built: DailySteps, service: Service) -> None:
    found = {
        row[0]: (row[1], row[2:])
        for row in ask(
            built,
            "select response_date, response_count, p50_seconds, p90_seconds, p95_seconds, "
            "p99_seconds from gold.rpt_response_time_daily where is_complete",
        )
    }
    assert found == response_days(service)
    assert max(count for count, _ in found.values()) > 20, "p95 is the maximum everywhere"


def test_r12_error_rates_equal_the_oracle(built: DailySteps, service: Service) -> None:
    found = {
        row[0]: row[1:]
        for row in ask(
            built,
            "select hour_at, request_count, error_count, error_rate, is_alert "
            "from gold.rpt_error_rate_hourly where is_complete",
        )
    }
    expected = {
        hour: (
            made,
            failed,
            rate(failed, made),
            made > 0 and Decimal(failed) / made > Decimal("0.01"),
        )
        for hour, (made, failed) in error_hours(service).items()
    }
    assert found == expected
    assert any(row[3] for row in found.values()), "nothing ever failed"


def test_r15_language_models_equal_the_oracle(built: DailySteps, service: Service) -> None:
    found = {
        (row[0], row[1]): row[2:]
        for row in ask(
            built,
            "select model, usage_date, message_count, input_token_count, output_token_count, "
            "cost_cents, scored_message_count, mean_sentiment "
            "from gold.rpt_llm_usage_daily where is_complete",
        )
    }
    expected = {
        key: (
            row.messages,
            row.input_tokens,
            row.output_tokens,
            row.cost_cents,
            row.scored,
            row.mean_sentiment,
        )
        for key, row in model_days(service).items()
    }
    assert found == expected
    assert sum(row[3] or 0 for row in found.values()) > 0

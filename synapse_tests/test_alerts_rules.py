"""What each rule finds, from runs and ingests as the state store has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from synapse.alerts.service import Look
from synapse.alerts.standing import Kind
from synapse.cost.ledger import CostLedger, Query
from synapse.cost.prices import Prices
from synapse.runner.clock import naive_utc
from synapse_tests.alert_project import Store, declare, looker, rule, settings_in
from synapse_tests.lakes import PROJECT_DIR

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# Five past, when hourly runs (America/Sao_Paulo has whole hours).
T = datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
Look_ = Callable[..., Look]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(settings_in(tmp_path))
    yield store
    store.close()


def looks(store: Store, tmp_path: Path, *rules: str) -> Look_:
    return looker(store.settings, declare(tmp_path / "project", *rules))


def said(look: Look) -> list[tuple[Kind, str, str]]:
    assert not look.problems
    return [(notice.kind, notice.subject, notice.body) for notice in look.notices]


def kinds(look: Look) -> list[str]:
    return [kind.value for kind, _, _ in said(look)]


def test_late_data_is_told_half_an_hour_after_its_time_and_over_when_the_next_is_in_time(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("latency", over="30m", schedules="[hourly]"))
    assert kinds(look(T)) == [], "nobody schedules here yet"
    store.run("hourly", T - HOUR)
    assert kinds(look(T + 30 * MINUTE)) == [], "exactly the limit is within it"
    ((kind, subject, body),) = said(look(T + 31 * MINUTE))
    assert (kind, subject) == (Kind.begin, "hourly")
    assert "value 31 min, limit 30 min" in body
    # It is built, 40 minutes late: told once more would be wrong, over would be too.
    store.run("hourly", T, 5 * MINUTE, begins=T + 35 * MINUTE)
    assert kinds(look(T + 41 * MINUTE)) == []
    store.run("hourly", T + HOUR)
    assert kinds(look(T + HOUR + 6 * MINUTE)) == ["recovery"]


def test_a_slow_run_is_late_data_even_where_nobody_looked_meanwhile(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("latency", over="30m", schedules="[hourly]"))
    store.run("hourly", T, 40 * MINUTE)
    ((_, _, body),) = said(look(T + 41 * MINUTE))
    assert "value 40 min" in body


def test_a_run_by_hand_between_two_times_is_not_late(store: Store, tmp_path: Path) -> None:
    look = looks(store, tmp_path, rule("latency", over="30m", schedules="[hourly]"))
    store.run("hourly", T)
    store.run("hourly", T + 50 * MINUTE, scheduled=False)
    assert kinds(look(T + 56 * MINUTE)) == []


def test_a_missed_time_is_told_after_its_sla_and_made_good_by_a_later_run(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("missed_schedule", schedules="[daily]"))
    daily = datetime(2026, 3, 2, 4, tzinfo=UTC)  # 01:00 in São Paulo; its sla is 4 h
    assert kinds(look(daily)) == [], "nobody schedules here yet"
    store.run("daily", daily - 24 * HOUR)
    assert kinds(look(daily + 4 * HOUR - MINUTE)) == []
    store.run("daily", daily, status="failed")
    ((kind, subject, body),) = said(look(daily + 4 * HOUR))
    assert (kind, subject) == (Kind.begin, "daily")
    assert "next: synapse run daily --lake" in body
    store.run("daily", daily + 5 * HOUR, scheduled=False)
    assert kinds(look(daily + 6 * HOUR)) == ["recovery"]


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_a_failed_run_is_told_and_over_with_the_next_good_one(
    store: Store, tmp_path: Path, status: str
) -> None:
    look = looks(store, tmp_path, rule("failed_run"))
    store.run("hourly", T - HOUR)
    run_id = store.run("hourly", T, status=status, detail="dim_users: Binder Error: maria@x.com")
    ((kind, subject, body),) = said(look(T + 10 * MINUTE))
    assert (kind, subject) == (Kind.begin, "hourly")
    assert f"run {run_id}" in body
    store.run("hourly", T + HOUR, status="unchanged")
    assert kinds(look(T + HOUR + 10 * MINUTE)) == ["recovery"]


def test_a_run_that_nobody_ended_counts_as_killed_after_its_time_out(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("failed_run"))
    store.run("hourly", T, took=None)
    assert kinds(look(T + 54 * MINUTE)) == []
    assert kinds(look(T + 56 * MINUTE)) == ["begin"], "its time-out is 50 min"


CHECKS = {"unique_dim_users_user_id": 3, "accepted_values_messages_role": 1}


def test_failed_checks_are_told_by_name_and_count_and_are_no_failed_run(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("failed_checks"), rule("failed_run"))
    store.run("hourly", T, status="failed", broken=CHECKS)
    found = look(T + 10 * MINUTE)
    (notice,) = found.notices
    assert notice.rule == "failed_checks"
    assert "2 checks of hourly failed on 4 rows: accepted_values_messages_role, " in notice.title
    # A model broke as well: then both.
    store.run("hourly", T + HOUR, status="failed", broken={**CHECKS, "dim_users": None})
    assert [n.rule for n in look(T + HOUR + 10 * MINUTE).notices] == ["failed_run"]


def test_the_products_errors_are_told_of_a_complete_hour_with_enough_requests(
    store: Store, tmp_path: Path
) -> None:
    from synapse.alerts.service import Watch

    project = declare(tmp_path / "project", rule("error_rate", over="0.01", minimum_requests="100"))
    look = looker(store.settings, project)

    def gold(hour: datetime, requests: int, errors: int, is_complete: bool = True) -> None:
        with duckdb.connect(str(store.settings.warehouse)) as connection:
            connection.execute("create schema if not exists gold")
            connection.execute(
                "create table if not exists gold.rpt_error_rate_hourly (hour_at timestamp, "
                "request_count bigint, error_count bigint, is_complete boolean)"
            )
            connection.execute(
                "insert into gold.rpt_error_rate_hourly values (?, ?, ?, ?)",
                [naive_utc(hour), requests, errors, is_complete],
            )
        watch = Watch(store.settings, project)
        watch.note_figures()
        watch.close()

    hour = T.replace(minute=0) - HOUR
    gold(hour - HOUR, 99, 99)
    assert kinds(look(T)) == [], "too few requests to tell"
    gold(hour, 1_000, 10)
    gold(hour + HOUR, 1_000, 999, is_complete=False)
    assert kinds(look(T)) == [], "exactly 1 % is within it, and the hour at hand is not over"
    gold(hour + 2 * HOUR, 1_000, 11)
    assert kinds(look(T + 24 * HOUR)) == [], "an old figure tells nothing of now"
    ((_, _, body),) = said(look(T + 2 * HOUR))
    assert "value 1.10%, limit 1.00%" in body
    gold(hour + 3 * HOUR, 1_000, 0)
    assert kinds(look(T + 3 * HOUR)) == ["recovery"]


def test_athena_tells_the_error_rate_through_its_own_client(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import requests

    from athena_local import aws
    from athena_local.parts import start, stop, wait_ready
    from athena_local.ports import reserved_ports
    from athena_local.stack import moto_part
    from synapse.alerts.figures import last_error_rate
    from synapse.alerts.service import Watch

    project = declare(tmp_path / "project", rule("error_rate", over="0.01", minimum_requests="100"))
    columns = ("hour_at", "request_count", "error_count")
    answer = {
        "account_id": "123456789012",
        "region": aws.REGION,
        "results": [
            {
                "rows": [
                    {"Data": [{"VarCharValue": value} for value in row]}
                    for row in (columns, ("2026-03-02 11:00:00.000000", "200", "3"))
                ],
                "column_info": [],
            }
        ],
    }  # fmt: skip
    with reserved_ports(1, None, tmp_path / "ports") as (port,):
        running = start([moto_part(tmp_path, port)], {})
        try:
            wait_ready(running, 120)
            url = f"http://127.0.0.1:{port}"
            requests.post(f"{url}/moto-api/static/athena/query-results", json=answer, timeout=60)
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            monkeypatch.setenv("AWS_REGION", aws.REGION)
            monkeypatch.setenv("AWS_DEFAULT_REGION", aws.REGION)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.ACCESS_KEY)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.SECRET_KEY)
            monkeypatch.setenv("SYNAPSE_ATHENA_STAGING", "s3://synapse-data/athena-results/")
            watch = Watch(replace(store.settings, target="athena"), project)
            watch.note_figures()
            figure = last_error_rate(watch.engine)
            watch.close()
        finally:
            stop(running)
    assert figure is not None
    assert figure.hour_at == datetime(2026, 3, 2, 11, tzinfo=UTC)
    assert (figure.request_count, figure.error_count) == (200, 3)


def test_a_run_over_its_budget_is_told_with_both_amounts(store: Store, tmp_path: Path) -> None:
    look = looks(store, tmp_path, rule("budget"))
    ledger = CostLedger(store.settings.state, Prices.load())

    def cost(run_id: str, moment: datetime, gigabytes: int) -> None:
        at = naive_utc(moment)
        ledger.record([
            Query(f"q-{run_id}", run_id, "model.synapse.dim_users", "DML", "SELECT", "SUCCEEDED",
                  gigabytes * 10**9, at, at)
        ])  # fmt: skip

    cost(store.run("hourly", T), T, 10)  # $0.05: exactly its 5 cents
    assert kinds(look(T + 10 * MINUTE)) == []
    cost(store.run("hourly", T + HOUR), T + HOUR, 20)
    (notice,) = look(T + HOUR + 10 * MINUTE).notices
    assert "cost $0.1" in notice.title
    assert "over its budget of $0.05; most of it went to dim_users" in notice.title
    cost(store.run("hourly", T + 2 * HOUR), T + 2 * HOUR, 1)
    assert kinds(look(T + 2 * HOUR + 10 * MINUTE)) == ["recovery"]
    ledger.close()


def test_quarantine_growth_is_told_by_source_without_what_was_refused(
    store: Store, tmp_path: Path
) -> None:
    look = looks(store, tmp_path, rule("quarantine", over="3", within="1d"))
    store.refused("kconnect.app-events", 3, T - 23 * HOUR)
    store.refused("dms.synapse.users", 50, T - 25 * HOUR)
    assert kinds(look(T)) == []
    store.refused("kconnect.app-events", 1, T)
    ((kind, subject, body),) = said(look(T + MINUTE))
    assert (kind, subject) == (Kind.begin, "kconnect.app-events")
    assert "value 4, limit 3" in body
    assert "maria" not in body
    assert kinds(look(T + 2 * HOUR)) == ["recovery"], "three of them are older than a day now"


def test_a_source_that_fell_silent_is_told(store: Store, tmp_path: Path) -> None:
    look = looks(store, tmp_path, rule("stale_source", over="36h"))
    store.landed("dms.synapse.users", T)
    store.landed("dms.synapse.plans", T)
    store.landed("dms.synapse.users", T + 30 * HOUR)
    store.landed("dms.synapse.plans", T + 30 * HOUR, records=0)
    assert kinds(look(T + 36 * HOUR)) == []
    assert [subject for _, subject, _ in said(look(T + 37 * HOUR))] == ["dms.synapse.plans"]
    store.landed("dms.synapse.plans", T + 38 * HOUR)
    assert kinds(look(T + 38 * HOUR)) == ["recovery"]


def test_how_old_a_source_may_be_it_says_itself(store: Store, tmp_path: Path) -> None:
    shutil.copytree(PROJECT_DIR / "models" / "bronze", tmp_path / "project" / "models" / "bronze")
    look = looks(store, tmp_path, rule("stale_source"))
    for source in ("dms.synapse.users", "dms.synapse.plans", "kconnect.nobody-declares"):
        store.landed(source, T)
    assert kinds(look(T + 36 * HOUR)) == []
    ((_, subject, body),) = said(look(T + 37 * HOUR))
    assert subject == "dms.synapse.users", "plans change twice a year, and say so"
    assert "limit 36 h" in body


def test_one_rule_that_cannot_be_looked_at_leaves_the_others(store: Store, tmp_path: Path) -> None:
    look = looks(store, tmp_path, rule("budget"), rule("failed_run"))
    CostLedger(store.settings.state, Prices.load()).close()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("drop table query_costs")
        connection.exec_driver_sql("create table query_costs (another int)")
    store.run("hourly", T, status="failed", detail="dim_users: Binder Error")
    found = look(T + 10 * MINUTE)
    assert [notice.rule for notice in found.notices] == ["failed_run"]
    (problem,) = found.problems
    assert problem.startswith("rule `budget` was not looked at: ")


def test_what_was_told_of_a_rule_that_is_gone_is_over(store: Store, tmp_path: Path) -> None:
    store.run("hourly", T, status="failed", detail="dim_users: Binder Error")
    assert kinds(looks(store, tmp_path, rule("failed_run"))(T + MINUTE)) == ["begin"]
    assert kinds(looks(store, tmp_path, rule("budget"))(T + 2 * MINUTE)) == ["recovery"]

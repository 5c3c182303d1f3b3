"""Prices to the billionth of a dollar, the ledger, sums, budgets and forecasts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from synapse.cli import app
from synapse.cost.budget import Budget, exceeded
from synapse.cost.expected import expected
from synapse.cost.forecast import Measured, bytes_at, forecast
from synapse.cost.ledger import CostLedger, Query
from synapse.cost.measured import measurements
from synapse.cost.prices import Prices, charged_mb, dollars
from synapse.cost.report import add_up, read_costs, total
from synapse.errors import SynapseError
from synapse.runner.clock import utc_now
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.runner.record import record_runs
from synapse.schedules.occurrences import times_a_month
from synapse.settings import Settings
from synapse_tests.lakes import PROJECT_DIR, copy_project, lake_settings

LIST = Prices()
NOON = utc_now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


def charge(scanned: int, state: str = "SUCCEEDED", kind: str = "DML/SELECT") -> int:
    statement, substatement = kind.split("/")
    return charged_mb(
        LIST, statement=statement, substatement=substatement, state=state, scanned_bytes=scanned
    )


@pytest.mark.parametrize(
    ("scanned", "megabytes"),
    [
        (0, 10), (1, 10), (9_999_999, 10), (10_000_000, 10), (10_000_001, 11),
        (11_000_000, 11), (11_000_001, 12), (10**12, 10**6), (10**12 + 1, 10**6 + 1),
    ],
)  # fmt: skip
def test_a_query_is_rounded_up_to_megabytes_and_pays_for_ten_at_least(
    scanned: int, megabytes: int
) -> None:
    assert charge(scanned) == megabytes


def test_a_terabyte_costs_five_dollars_and_the_least_query_a_twentieth_of_a_tenth_of_a_cent() -> (
    None
):
    assert dollars(LIST.nanodollars(charge(10**12))) == Decimal(5)
    assert dollars(LIST.nanodollars(charge(0))) == Decimal("0.00005")


@pytest.mark.parametrize(
    ("kind", "state", "megabytes"),
    [
        ("DDL/CREATE_TABLE", "SUCCEEDED", 0),
        ("DDL/CREATE_TABLE_AS_SELECT", "SUCCEEDED", 25),
        ("UTILITY/SHOW", "SUCCEEDED", 0),
        ("DML/MERGE", "SUCCEEDED", 25),
        ("DML/OPTIMIZE", "SUCCEEDED", 25),
        ("DML/SELECT", "FAILED", 0),
        ("DML/SELECT", "CANCELLED", 25),
        ("DML/SELECT", "RUNNING", 25),
        ("DDL/CREATE_TABLE_AS_SELECT", "FAILED", 0),
    ],
)
def test_what_is_free(kind: str, state: str, megabytes: int) -> None:
    assert charge(24_000_001, state, kind) == megabytes


def test_who_scanned_nothing_and_did_not_succeed_pays_nothing() -> None:
    assert charge(0, "CANCELLED") == 0
    assert charge(0, "QUEUED") == 0
    assert charge(0, kind="DML/EXPLAIN") == 0


@given(scanned=st.integers(0, 10**16), price=st.integers(1, 100_000), least=st.integers(0, 1000))
def test_prices_are_exact_and_bounded(scanned: int, price: int, least: int) -> None:
    prices = Prices(price, least)
    megabytes = prices.charged_mb(scanned)
    # What is charged covers what was scanned, by less than a megabyte unless it is the minimum.
    assert megabytes * 1_000_000 >= scanned
    assert megabytes == least or (megabytes - 1) * 1_000_000 < scanned
    cost = dollars(prices.nanodollars(megabytes))
    assert cost * 1_000 * 1_000_000 == Decimal(price) * megabytes
    assert prices.charged_mb(scanned + 1) >= megabytes


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=50))
def test_sums_of_prices_lose_nothing(scanned: list[int]) -> None:
    one_by_one = sum((dollars(LIST.nanodollars(charge(item))) for item in scanned), Decimal())
    assert one_by_one == dollars(LIST.nanodollars(sum(charge(item) for item in scanned)))


@pytest.mark.parametrize("text", ["5 dollars", "-1", "5.0001", "1e3", "nan"])
def test_a_price_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_ATHENA_USD_PER_TB", text)
    with pytest.raises(SynapseError, match="SYNAPSE_ATHENA_USD_PER_TB"):
        Prices.load()
    monkeypatch.setenv("SYNAPSE_ATHENA_USD_PER_TB", "9.005")
    assert Prices.load() == Prices(9_005, 10)


def query(number: int, run_id: str, node: str, scanned: int, **changes: object) -> Query:
    values: dict[str, object] = {
        "query_id": f"q{number}",
        "run_id": run_id,
        "node_id": node,
        "statement": "DML",
        "substatement": "SELECT",
        "state": "SUCCEEDED",
        "scanned_bytes": scanned,
        "submitted_at": NOON + timedelta(minutes=number),
        "ended_at": NOON + timedelta(minutes=number, seconds=5),
    }
    return Query(**(values | changes))  # type: ignore[arg-type]


MODEL, TEST = "model.synapse.fct_messages", "test.synapse.unique_it.0abc"
QUERIES = [
    query(1, "run1", MODEL, 30_000_000),
    query(2, "run1", MODEL, 500),
    query(3, "run1", TEST, 12_000_001),
    query(4, "run1", MODEL, 9, state="FAILED"),
    query(5, "run2", MODEL, 100_000_000),
    query(6, "run2", TEST, 77, state="RUNNING", ended_at=None),
    query(7, "maintain-1", MODEL, 8, substatement="OPTIMIZE"),
    query(900, "run2", TEST, 1_000),  # after midnight
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake whose ledger holds the queries of two daily runs and a maintenance."""
    settings = lake_settings(tmp_path / "lake")
    settings.lake.mkdir()
    history = RunHistory(settings.state)
    for number in (1, 2):
        history.start(f"run{number}", "daily", datetime(2026, 6, number, tzinfo=UTC))
        history.finish(f"run{number}", "succeeded", accepted=1000)
    history.close()
    record(settings, QUERIES)
    return settings


def record(settings: Settings, queries: list[Query]) -> None:
    ledger = CostLedger(settings.state, LIST)
    ledger.record(queries)
    ledger.close()


def test_the_ledger_adds_up_by_run_model_day_and_schedule(settings: Settings) -> None:
    costs = read_costs(settings.state)
    everything = total(costs)
    assert everything.scanned_bytes == sum(item.scanned_bytes for item in QUERIES)
    assert everything.queries == len(QUERIES)
    assert everything.charged_mb == 30 + 10 + 13 + 0 + 100 + 10 + 10 + 10
    assert everything.cost_usd == Decimal("0.000005") * everything.charged_mb
    for by in ("model", "day", "schedule", "run"):
        lines = add_up(costs, by)
        assert sum(line.scanned_bytes for line in lines) == everything.scanned_bytes
        assert sum(line.cost_usd for line in lines) == everything.cost_usd
    assert [line.key for line in add_up(costs, "model")] == ["fct_messages", "unique_it"]
    assert [line.key for line in add_up(costs, "schedule")] == ["daily", "maintain"]
    assert [line.key for line in add_up(costs, "day")] == [
        NOON.date().isoformat(),
        (NOON.date() + timedelta(days=1)).isoformat(),
    ]


def test_a_query_that_ends_later_takes_the_place_of_what_was_known(settings: Settings) -> None:
    before = total(read_costs(settings.state))
    record(settings, [query(6, "run2", TEST, 20_000_000)])
    after = total(read_costs(settings.state))
    assert after.queries == before.queries
    assert after.scanned_bytes == before.scanned_bytes - 77 + 20_000_000
    record(settings, QUERIES)
    assert total(read_costs(settings.state)) == before


def test_single_queries_go_after_a_while_and_sums_stay(settings: Settings) -> None:
    old = query(50, "old", MODEL, 5_000_000, submitted_at=utc_now() - timedelta(days=100))
    record(settings, [old])
    record(settings, [query(51, "new", MODEL, 1)])
    assert {cost.run_id for cost in read_costs(settings.state)} >= {"old", "new"}
    ledger = CostLedger(settings.state, LIST)
    assert ledger.newest() == max(item.submitted_at for item in QUERIES)
    assert set(ledger.unfinished()) == {"q6"}
    ledger.close()


def test_the_mart_equals_the_ledger(settings: Settings) -> None:
    """On any engine: what is recorded is copied beside the warehouse's other ops tables."""
    record_runs(settings)
    built = DbtProject(settings, PROJECT_DIR)
    (settings.lake / "manifest").mkdir()
    sql = compiled_mart(built)
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        rows = connection.execute(
            f"select run_id, schedule, resource_type, node_name, billing_date, query_count, "
            f"scanned_bytes, cost_usd from ({sql})"
        ).fetchall()
    expected = [
        (
            cost.run_id, cost.schedule, cost.node_id.split(".")[0], cost.name, cost.billing_date,
            cost.queries, cost.scanned_bytes, dollars(cost.cost_nanodollars),
        )
        for cost in read_costs(settings.state)
    ]  # fmt: skip
    assert sorted(rows) == sorted(expected)


def compiled_mart(built: DbtProject) -> str:
    result = built.invoke(["compile", "--select", "ops_cost"])
    assert result.succeeded, result.failures
    compiled = built.target_path / "compiled" / "synapse" / "models" / "ops" / "ops_cost.sql"
    return compiled.read_text()


def test_a_budget_is_for_the_last_run_of_each_schedule(settings: Settings) -> None:
    costs = read_costs(settings.state)
    last = total([cost for cost in costs if cost.run_id == "run2"])
    assert last.cost_usd == Decimal("0.0006")
    assert exceeded(costs, [Budget("daily", usd=Decimal("0.0006"))]) == []
    (sentence,) = exceeded(costs, [Budget("daily", usd=Decimal("0.000599"))])
    assert "daily" in sentence
    assert "fct_messages" in sentence
    assert exceeded(costs, [Budget("hourly", usd=Decimal(0))]) == []
    assert len(exceeded(costs, [Budget(usd=Decimal(0))])) == 2
    assert exceeded(costs, [Budget("daily", scanned_bytes=last.scanned_bytes)]) == []
    assert len(exceeded(costs, [Budget("daily", scanned_bytes=last.scanned_bytes - 1)])) == 1


def test_the_command_shows_sums_and_fails_on_a_budget(settings: Settings, tmp_path: Path) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["cost", "--lake", str(settings.lake), *arguments])
        return result.exit_code, result.output

    code, text = call("--by", "model", "--json")
    assert code == 0
    assert json.loads(text)[0]["cost_usd"] == "0.000750000"
    code, text = call("--by", "day", "--csv")
    assert text.splitlines()[0].startswith("key,runs,queries")
    assert len(text.splitlines()) == 3
    assert call("--budget-usd", "0.0001", "--schedule", "daily")[0] == 1
    assert call("--budget-usd", "0.0006", "--schedule", "daily")[0] == 0
    assert call("--check-budgets", "--schedule", "daily")[0] == 0
    project = copy_project(tmp_path / "project")
    declared = (project / "schedules.yml").read_text()
    (project / "schedules.yml").write_text(
        declared.replace("{cents: 50}", "{scanned_megabytes: 99}")
    )
    code, text = call("--check-budgets", "--project-dir", str(project))
    assert code == 1
    assert "over its budget of 99,000,000" in text
    code, text = call("--forecast", "--json")
    assert [row["interactions_a_month"] for row in json.loads(text)] == [10**5, 10**6, 10**7]
    assert call("--since", (utc_now().date() + timedelta(days=9)).isoformat())[0] == 0


def test_a_forecast_follows_the_line_through_what_was_measured() -> None:
    sizes = [
        Measured("hourly", MODEL, 1_000_000, 250_000_000, 1),
        Measured("hourly", MODEL, 2_000_000, 350_000_000, 1),
        Measured("hourly", TEST, 1_000_000, 3_000, 2),
        Measured("hourly", TEST, 2_000_000, 3_000, 2),
    ]
    (month,) = forecast(
        sizes, LIST, history_months=10, runs_a_month={"hourly": Fraction(730)}, volumes=[1_000_000]
    )
    # 150 MB + 100 bytes a record at ten million records; the test stays at its two minima.
    assert month.scanned_bytes_a_run == 1_150_003_000
    assert month.cost_usd_a_run == Decimal("0.000005") * (1_150 + 20)
    assert month.cost_usd_a_month == month.cost_usd_a_run * 730
    assert month.sizes == 2


@pytest.mark.parametrize(
    ("cron", "runs"),
    [("5 * * * *", 730), ("*/10 * * * *", 4380), ("0 1 * * *", Fraction(365, 12))],
)
def test_runs_a_month_are_those_of_the_schedule(cron: str, runs: Fraction) -> None:
    assert times_a_month(cron) == runs


def test_one_size_means_proportion_and_a_fall_means_a_constant() -> None:
    one = [Measured("daily", MODEL, 1000, 5000, 1)]
    assert bytes_at(one, 100_000) == 500_000
    near = [*one, Measured("daily", MODEL, 1010, 9000, 1)]
    assert bytes_at(near, 2010) == 14_000
    falling = [*one, Measured("daily", MODEL, 2000, 3000, 1)]
    assert bytes_at(falling, 10**9) == 4000


@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.integers(0, 10**12)),
        min_size=1, max_size=5, unique_by=lambda pair: pair[0],
    ),
    st.integers(1, 10**9),
    st.integers(1, 10**9),
)  # fmt: skip
def test_more_records_never_cost_less(
    points: list[tuple[int, int]], first: int, second: int
) -> None:
    items = [Measured("daily", MODEL, *point, 1) for point in points]
    low, high = sorted((first, second))
    assert 0 <= bytes_at(items, low) <= bytes_at(items, high)


def test_measurements_know_how_much_the_lake_held(settings: Settings) -> None:
    history = RunHistory(settings.state)
    runs = history.latest(100)
    history.close()
    found = measurements(read_costs(settings.state), runs)
    assert {(item.node, item.records, item.scanned_bytes) for item in found} == {
        (MODEL, 1000, 30_000_509), (TEST, 1000, 12_000_001),
        (MODEL, 2000, 100_000_000), (TEST, 2000, 1_077),
    }  # fmt: skip


def test_a_dry_run_expects_of_each_node_what_its_newest_good_run_scanned(tmp_path: Path) -> None:
    settings = lake_settings(tmp_path / "lake")
    settings.lake.mkdir()
    history = RunHistory(settings.state)
    for run_id, status in (("old", "succeeded"), ("new", "succeeded"), ("bad", "failed")):
        history.start(run_id, "daily", datetime.now(UTC))
        history.finish(run_id, status)
    history.close()
    queries = [
        query(1, "old", "model.synapse.a", 90_000_000),
        query(2, "old", "model.synapse.b", 12_000_000),
        query(3, "new", "model.synapse.a", 20_000_000),
        query(4, "new", "model.synapse.a", 1),
        query(5, "bad", "model.synapse.b", 70_000_000),
        query(6, "new", "model.synapse.other", 30_000_000),
    ]
    record(settings, queries)
    names = [f"model.synapse.{name}" for name in "abc"]
    told = expected(settings.state, names)
    assert told.scanned_bytes == 20_000_000 + 1 + 12_000_000
    assert told.cost_usd == Decimal("0.000005") * (20 + 10 + 12)
    assert (told.measured, told.unmeasured) == (2, ("model.synapse.c",))

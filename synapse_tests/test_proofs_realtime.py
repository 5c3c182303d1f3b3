"""Real time says of each minute what the batch says over the same landed files (rule R16)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synapse.generate.calendar import DEFAULT_START
from synapse.generate.service import generate
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.runner.dbt import DbtProject
from synapse.runner.service import run
from synapse.settings import Settings
from synapse.warehouse_compare import compare_tables, read_relation
from synapse_tests.arrivals import Arrivals
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, ask, is_full_proof, lake_settings
from synapse_tests.oracle_operations import load_service, minutes
from synapse_tests.oracle_truth import load_product

USERS, DAYS, HOURS = (3_000, 12, 6) if is_full_proof() else (1_500, 6, 1)
MARTS = ("rt_active_users_minute", "rt_message_rate_minute", "rt_system_health_minute")
# What the batch says of the same minutes, from the facts that every other report is made of.
FROM_FACTS = """
with calendar as (
    select ?::timestamp - to_minutes(n::bigint) as minute_at from range(1, 61) as r(n)
),
active as (
    select date_trunc('minute', occurred_at) as minute_at, count(distinct user_id) as figure
    from gold.fct_events
    where is_active_signal and user_id is not null and not is_internal group by 1
),
written as (
    select date_trunc('minute', sent_at) as minute_at, count(*) as figure
    from gold.fct_messages where not is_internal group by 1
),
requested as (
    select date_trunc('minute', occurred_at) as minute_at, count(*) as figure,
        count(*) filter (where status_code >= 500) as errors
    from gold.fct_events where event_name = 'api_request' and not is_internal group by 1
),
answered as (
    select date_trunc('minute', responded_at) as minute_at, count(*) as figure
    from gold.int_responses group by 1
)
select calendar.minute_at, coalesce(active.figure, 0), coalesce(written.figure, 0),
    coalesce(requested.figure, 0), coalesce(requested.errors, 0), coalesce(answered.figure, 0)
from calendar
left join active using (minute_at)
left join written using (minute_at)
left join requested using (minute_at)
left join answered using (minute_at)
order by 1
"""
FROM_REAL_TIME = """
select minute_at, active_users, message_count, request_count, error_count, response_count
from gold.rt_active_users_minute
join gold.rt_message_rate_minute using (minute_at)
join gold.rt_system_health_minute using (minute_at)
order by 1
"""


@dataclass(frozen=True)
class Hour:
    """The warehouse as real time left it for an hour, and as the batch did afterwards."""

    end: datetime
    real_time: Path
    batch: Path


@dataclass(frozen=True)
class LateHours:
    """A lake of which every other file of the last day landed after gold was built.

    And the hours which that changed most.
    """

    settings: Settings
    before: Path
    hours: list[Hour]


def build(settings: Settings, dbt: DbtProject, schedule: str, as_of: datetime) -> None:
    as_of = as_of.replace(tzinfo=UTC)
    report = run(settings, PROJECT_DIR, schedule=schedule, as_of=as_of, dbt=dbt)
    assert report.status == "succeeded", "\n".join(report.dbt.failures)


def bronze(settings: Settings) -> set[Path]:
    return {path for path in (settings.lake / "bronze").rglob("*") if path.is_file()}


def hours_with_most_news(settings: Settings) -> list[datetime]:
    """Return the ends of the hours of which gold has most, and yet lacks most, of both kinds."""
    rows = ask(
        settings.warehouse,
        """
        with seen as (
            select silver.occurred_at as seen_at, 'event' as kind, gold.event_id is null as is_new
            from silver.stg_kconnect__app_events as silver
            left join gold.fct_events as gold using (event_id)
            union all
            select silver.sent_at, 'message', gold.message_id is null
            from silver.stg_dms__messages as silver
            left join gold.fct_messages as gold on gold.message_id = 'dms:' || silver.message_id
            where not silver._is_deleted
        ),
        tens as (
            select distinct time_bucket(interval 10 minute, seen_at) as ends_at
            from seen where is_new
        )
        select ends_at
        from tens join seen on seen_at < ends_at and seen_at >= ends_at - interval 1 hour
        group by ends_at
        order by least(
            count(*) filter (where kind = 'event' and is_new),
            count(*) filter (where kind = 'event' and not is_new),
            count(*) filter (where kind = 'message' and is_new),
            count(*) filter (where kind = 'message' and not is_new)
        ) desc, ends_at
        limit ?
        """,
        HOURS,
    )
    return [end for (end,) in rows]


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> LateHours:
    root = tmp_path_factory.mktemp("realtime")
    settings = lake_settings(root / "lake")
    generate(root / "generated", users=USERS, days=DAYS, seed=7, append=False, hazards="hostile")
    arrivals = Arrivals(root / "generated", settings.lake)
    dbt = DbtProject(settings, PROJECT_DIR)
    for number in range(DAYS - 1):
        arrivals.land(number)
        if arrivals.overwrites(number + 1):
            day = DEFAULT_START + timedelta(days=number)
            ingest(settings, PROJECT_DIR, as_of=end_of_date(day, TIMEZONE))
    landed = bronze(settings)
    arrivals.land(DAYS - 1)
    waiting = {
        path: root / f"waiting-{number}"
        for number, path in enumerate(sorted(bronze(settings) - landed)[::2])
    }
    for path, place in waiting.items():
        shutil.move(path, place)
    until = end_of_date(DEFAULT_START + timedelta(days=DAYS - 1), TIMEZONE)
    build(settings, dbt, "hourly", until)
    before = root / "before.duckdb"
    shutil.copy2(settings.warehouse, before)
    for path, place in waiting.items():
        shutil.move(place, path)
    build(settings, dbt, "realtime", until)
    hours = []
    for number, end in enumerate(hours_with_most_news(settings)):
        as_of = end + timedelta(seconds=30)
        build(settings, dbt, "realtime", as_of)
        hours.append(Hour(end, root / f"real-{number}.duckdb", root / f"batch-{number}.duckdb"))
        shutil.copy2(settings.warehouse, hours[-1].real_time)
    for hour in hours:
        build(settings, dbt, "hourly", hour.end + timedelta(seconds=30))
        shutil.copy2(settings.warehouse, hour.batch)
    return LateHours(settings, before, hours)


def test_the_hours_have_events_of_gold_and_events_that_landed_since(late: LateHours) -> None:
    """Otherwise neither side of the union is proved."""
    for hour in late.hours:
        for model in ("int_recent_events", "int_recent_messages"):
            found = dict(
                ask(hour.real_time, f"select is_from_gold, count(*) from gold.{model} group by 1")
            )
            assert found.keys() == {True, False}, f"{model} before {hour.end}: {found}"
        batch = ask(
            hour.batch, "select count(*) from gold.int_recent_events where not is_from_gold"
        )
        assert batch == [(0,)], "the batch had taken up everything"


def test_r16_real_time_equals_the_batch_over_the_same_files(late: LateHours) -> None:
    for hour in late.hours:
        for mart in MARTS:
            relation = f"gold.{mart}"
            difference = compare_tables(
                relation,
                read_relation(hour.real_time, relation),
                read_relation(hour.batch, relation),
            )
            assert difference is None, f"{hour.end}: {difference}"
        assert ask(hour.real_time, FROM_REAL_TIME) == ask(hour.batch, FROM_FACTS, hour.end)


def test_r16_real_time_differs_from_gold_as_it_was(late: LateHours) -> None:
    """What landed since matters: a real time that read gold alone would be found out."""
    for hour in late.hours:
        assert ask(hour.real_time, FROM_REAL_TIME) != ask(late.before, FROM_FACTS, hour.end)


def test_r16_real_time_equals_the_oracle(late: LateHours) -> None:
    last = DEFAULT_START + timedelta(days=DAYS - 1)
    lake, seeds = late.settings.lake, PROJECT_DIR / "seeds"
    service = load_service(load_product(lake, seeds, TIMEZONE, last), lake, seeds)
    for hour in late.hours:
        found = {row[0]: row[1:] for row in ask(hour.real_time, FROM_REAL_TIME)}
        assert found == minutes(service, hour.end)


def test_real_time_touches_neither_facts_nor_reports(late: LateHours) -> None:
    before = read_relation(late.before, "gold.fct_events")
    after = read_relation(late.hours[0].real_time, "gold.fct_events")
    assert compare_tables("gold.fct_events", before, after) is None

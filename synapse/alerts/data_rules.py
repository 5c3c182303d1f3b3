"""Rules about data: the product's errors, quarantine, sources that have fallen silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

from sqlalchemy import func, select

from synapse.alerts.condition import Condition, Facts, shown
from synapse.alerts.figures import last_error_rate
from synapse.alerts.model import ErrorRateRule, QuarantineRule, StaleSourceRule
from synapse.ingest.tables import METADATA, QUARANTINE, RUN_SOURCES, RUNS
from synapse.runner.clock import naive_utc
from synapse.state_store import make_tables

# A figure of an hour that ended longer ago says nothing of now: late data is told by its own rule.
_FRESH = timedelta(hours=4)


def product_errors(rule: ErrorRateRule, facts: Facts) -> Iterator[Condition]:
    """The share of failed requests in the last complete hour that gold had, by rule R12."""
    figure = last_error_rate(facts.engine)
    if figure is None or facts.now - figure.hour_at > _FRESH:
        yield Condition("api_request", None)
        return
    failed, all_of_them = figure.error_count, figure.request_count
    if all_of_them < rule.minimum_requests:
        yield Condition("api_request", None)
        return
    rate = failed / all_of_them
    yield Condition(
        "api_request",
        rate > rule.over,
        f"{failed:,} of {all_of_them:,} requests failed in the hour from "
        f"{figure.hour_at:%Y-%m-%d %H:%M} UTC",
        f"{rate:.2%}",
        f"{rule.over:.2%}",
        figure.run_id,
        "synapse metrics query error_rate api_requests --by day",
    )


def quarantine_growth(rule: QuarantineRule, facts: Facts) -> Iterator[Condition]:
    """What was refused lately and still waits, by source."""
    make_tables(facts.engine, METADATA)
    entry = QUARANTINE.c
    query = (
        select(entry.source, func.count().label("entries"), func.max(entry.run_id).label("run_id"))
        .where(
            entry.state == "open",
            entry.first_seen > naive_utc(facts.now - rule.within),
            entry.first_seen <= naive_utc(facts.now),
        )
        .group_by(entry.source)
    )
    with facts.engine.connect() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        yield Condition(
            row.source,
            row.entries > rule.over,
            f"{row.entries:,} records of {row.source} were refused within {shown(rule.within)}",
            f"{row.entries:,}",
            f"{rule.over:,}",
            row.run_id,
            f"synapse quarantine list --source {row.source}",
        )


def stale_sources(rule: StaleSourceRule, facts: Facts) -> Iterator[Condition]:
    """How long ago a source that has ever landed landed last (by the ingest that found it).

    Where the rule gives no limit, it is that of dbt's source freshness (warn_after); a source that
    declares none is never stale.
    """
    make_tables(facts.engine, METADATA)
    query = (
        select(RUN_SOURCES.c.source, func.max(RUNS.c.as_of).label("landed_at"))
        .join(RUNS, RUNS.c.run_id == RUN_SOURCES.c.run_id)
        .where(RUN_SOURCES.c.landed > 0)
        .group_by(RUN_SOURCES.c.source)
    )
    with facts.engine.connect() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        limit = rule.over or facts.late_after.get(row.source)
        if limit is None or (rule.sources and row.source not in rule.sources):
            continue
        landed_at = row.landed_at.replace(tzinfo=UTC)
        age = facts.now - landed_at
        yield Condition(
            row.source,
            age > limit,
            f"nothing of {row.source} has landed since {landed_at:%Y-%m-%d %H:%M} UTC",
            shown(age),
            shown(limit),
            None,
            "synapse run freshness",
        )

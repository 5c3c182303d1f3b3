"""What of a run is unlike the same hour, or day, of the weeks before: durations and volumes.

Compared are instants of the same weekday and time of day in the business time zone, so that neither
nights nor weekends nor summer time look unusual. The axis is as-of, not the clock: a run that comes
late is compared with those for its own hour. Backfills are left out of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from synapse.ingest.tables import RUN_SOURCES
from synapse.ingest.tables import RUNS as INGEST_RUNS
from synapse.observe.rule import judge
from synapse.observe.tables import ANOMALIES, NODE_RUNS, RUN_ENDS
from synapse.runner.clock import naive_utc, utc_now

WEEKS = 8
"""So far back; four of them must have something to compare with (rule.py)."""
LEAST_SCHEDULE, LEAST_MODEL = timedelta(minutes=1), timedelta(seconds=30)
LEAST_ROWS = 100


@dataclass(frozen=True)
class Anomaly:
    """One thing that was unlike before. observed, median, deviation: milliseconds, or rows."""

    kind: str
    subject: str
    observed: int
    median: int
    deviation: int
    points: int


def period_of(gap: timedelta) -> timedelta | None:
    """What a schedule with such a gap between its times is compared by; None: not at all.

    What runs more often than hourly is not worth it: the hourly run sees the same rows.
    """
    hour, day = timedelta(hours=1), timedelta(days=1)
    if gap < hour:
        return None
    return hour if gap < day else day


def past_moments(as_of: datetime, timezone: str, weeks: int = WEEKS) -> list[datetime]:
    """The same weekday and time of day of the weeks before, newest first; naive UTC.

    as_of: naive UTC.
    """
    zone = ZoneInfo(timezone)
    local = as_of.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return [
        naive_utc((local - timedelta(weeks=number)).replace(tzinfo=zone))
        for number in range(1, weeks + 1)
    ]


def find_anomalies(
    connection: Connection, run_id: str, period: timedelta | None, timezone: str
) -> list[Anomaly]:
    """Judge a run that has ended and is recorded in run_ends; only one that built something."""
    ends = RUN_ENDS.c
    run = connection.execute(select(RUN_ENDS).where(ends.run_id == run_id)).one_or_none()
    if run is None or period is None or run.is_backfill or run.status != "succeeded":
        return []
    moments = past_moments(run.as_of, timezone)
    return [
        *_of_the_schedule(connection, run.schedule, run.milliseconds, moments, period),
        *_of_models(connection, run_id, run.schedule, moments, period),
        *_of_sources(connection, run.as_of, moments, period),
    ]


def record_anomalies(
    connection: Connection, run_id: str, schedule: str, as_of: datetime, found: Sequence[Anomaly]
) -> None:
    """Write what was found of a run, in the place of what was. as_of: naive UTC."""
    connection.execute(delete(ANOMALIES).where(ANOMALIES.c.run_id == run_id))
    if found:
        about = {"run_id": run_id, "schedule": schedule, "as_of": as_of, "found_at": utc_now()}
        connection.execute(insert(ANOMALIES), [{**vars(one), **about} for one in found])


def _of_the_schedule(
    connection: Connection,
    schedule: str,
    milliseconds: int,
    moments: Sequence[datetime],
    period: timedelta,
) -> Iterator[Anomaly]:
    ends = RUN_ENDS.c
    query = select(ends.as_of, ends.milliseconds).where(
        ends.schedule == schedule,
        ends.status == "succeeded",
        ends.is_backfill == 0,
        _near(ends.as_of, moments, period),
    )
    past = _by_week(((row.as_of, row.milliseconds) for row in connection.execute(query)), moments)
    yield from _slower("schedule_duration", schedule, milliseconds, past, LEAST_SCHEDULE)


def _of_models(
    connection: Connection,
    run_id: str,
    schedule: str,
    moments: Sequence[datetime],
    period: timedelta,
) -> Iterator[Anomaly]:
    nodes = NODE_RUNS.c
    columns = select(nodes.unique_id, nodes.as_of, nodes.milliseconds).where(
        nodes.resource_type.in_(("model", "seed", "snapshot")), nodes.status == "success"
    )
    now = {
        row.unique_id: row.milliseconds
        for row in connection.execute(columns.where(nodes.run_id == run_id))
    }
    least = round(LEAST_MODEL.total_seconds() * 1000)
    slow = [unique_id for unique_id, took in now.items() if took > least]
    if not slow:
        return
    near = _near(nodes.as_of, moments, period)
    rows = connection.execute(columns.where(nodes.schedule == schedule, near))
    seen: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for row in rows:
        seen[row.unique_id].append((row.as_of, row.milliseconds))
    for unique_id in sorted(slow):
        past = _by_week(seen[unique_id], moments)
        yield from _slower("model_duration", unique_id, now[unique_id], past, LEAST_MODEL)


def _slower(
    kind: str, subject: str, observed: int, past: Sequence[int], least: timedelta
) -> Iterator[Anomaly]:
    verdict = judge(observed, past, least.total_seconds() * 1000)
    if verdict.is_anomaly and observed > verdict.median:
        yield Anomaly(
            kind,
            subject,
            observed,
            round(verdict.median),
            round(verdict.deviation),
            verdict.points,
        )


def _of_sources(
    connection: Connection, as_of: datetime, moments: Sequence[datetime], period: timedelta
) -> Iterator[Anomaly]:
    """Rows of each source that landed in the period up to as-of; too few count as too many do."""
    now = _landed(connection, as_of, period)
    # A week in which ingest did not run at all says nothing; one in which nothing came, does.
    weeks = [_landed(connection, moment, period) for moment in moments]
    ran = [week for week in weeks if week is not None]
    if now is None:
        return
    for source in sorted({*now, *(name for week in ran for name in week)}):
        past = [week.get(source, 0) for week in ran]
        observed = now.get(source, 0)
        verdict = judge(observed, past, LEAST_ROWS)
        if verdict.is_anomaly:
            yield Anomaly(
                "source_volume",
                source,
                observed,
                round(verdict.median),
                round(verdict.deviation),
                verdict.points,
            )


def _landed(connection: Connection, until: datetime, period: timedelta) -> Mapping[str, int] | None:
    """Rows by source of ingests with an as-of in (until - period, until]; None: no ingest."""
    runs, counts = INGEST_RUNS.c, RUN_SOURCES.c
    within = and_(runs.as_of > until - period, runs.as_of <= until, runs.state == "done")
    if connection.execute(select(runs.run_id).where(within).limit(1)).first() is None:
        return None
    query = (
        select(counts.source, func.sum(counts.landed).label("landed"))
        .join(INGEST_RUNS, runs.run_id == counts.run_id)
        .where(within)
        .group_by(counts.source)
    )
    return {row.source: int(row.landed) for row in connection.execute(query)}


def _near(
    column: ColumnElement[datetime], moments: Sequence[datetime], period: timedelta
) -> ColumnElement[bool]:
    half = period / 2
    return or_(*(and_(column > moment - half, column <= moment + half) for moment in moments))


def _by_week(
    seen: Iterator[tuple[datetime, int]] | Sequence[tuple[datetime, int]],
    moments: Sequence[datetime],
) -> list[int]:
    """One number a week: of several runs, that of the one nearest to the moment."""
    nearest: dict[datetime, tuple[timedelta, int]] = {}
    for at, value in seen:
        moment = min(moments, key=lambda one: abs(one - at))
        found = abs(moment - at), value
        nearest[moment] = min(found, nearest.get(moment, found))
    return [value for _, value in nearest.values()]

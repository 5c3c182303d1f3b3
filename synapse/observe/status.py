"""What ran, is running and is late, what it cost and refused: one look at the state store.

Nothing here imports SQLAlchemy, DuckDB or dbt, and every query has an index: a status takes the
time of a bare start, however long the ledger is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from synapse.observe.reader import Reader, Row, moment
from synapse.runner.clock import naive_utc
from synapse.schedules.lateness import GOOD, GOOD_IN_SQL, overdue
from synapse.schedules.occurrences import times_after

if TYPE_CHECKING:
    from synapse.schedules.model import Schedule

_DAY, _MONTH = timedelta(days=1), timedelta(days=30)
_ANOMALIES, _FAILED_TESTS = 20, 20


@dataclass(frozen=True)
class RunLine:
    """A run as status shows it. step: of a run at work. Moments: naive UTC."""

    run_id: str
    schedule: str
    status: str
    as_of: datetime
    started_at: datetime
    finished_at: datetime | None
    landed: int
    accepted: int
    duplicate: int
    quarantined: int
    detail: str | None
    step: str | None = None
    steps_done: int | None = None
    steps_total: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is at work."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class ScheduleLine:
    """A schedule: its newest run, the newest that succeeded, whether it is late, the next time.

    late_since: the time that was due and was not made good within its sla. Moments: naive UTC.
    """

    name: str
    last: RunLine | None
    succeeded_at: datetime | None
    late_since: datetime | None
    next_at: datetime | None


@dataclass(frozen=True)
class SourceLine:
    """How old a source was when a run last asked. Seconds; naive UTC."""

    source: str
    status: str
    age_seconds: int | None
    warn_after_seconds: int | None
    error_after_seconds: int | None
    checked_at: datetime


@dataclass(frozen=True)
class AnomalyLine:
    """Something unlike the weeks before, see anomalies.py. Milliseconds, or rows; naive UTC."""

    kind: str
    subject: str
    schedule: str
    observed: int
    median: int
    points: int
    found_at: datetime

    def sentence(self) -> str:
        """The anomaly for people."""
        subject = self.subject.split(".")[-1] if self.kind == "model_duration" else self.subject
        if self.kind == "source_volume":
            said = f"{subject} landed {self.observed:,} rows, usually {self.median:,}"
        else:
            said = (
                f"{subject} took {self.observed / 1000:,.1f} s, usually {self.median / 1000:,.1f} s"
            )
        return f"{said} ({self.points} weeks)"


@dataclass(frozen=True)
class TestLine:
    """A test of the newest build that did not pass."""

    test: str
    model: str | None
    status: str
    failures: int | None


@dataclass(frozen=True)
class Status:
    """Everything on the one screen; counts are of the 24 hours before `now` (aware)."""

    lake: str
    now: datetime
    running: list[RunLine]
    schedules: list[ScheduleLine]
    recent: list[RunLine]
    runs_by_status: dict[str, int] = field(default_factory=dict)
    landed: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    open_quarantine: dict[str, int] = field(default_factory=dict)
    cost_usd_day: Decimal = Decimal(0)
    cost_usd_month: Decimal = Decimal(0)
    freshness: list[SourceLine] = field(default_factory=list)
    tests: list[TestLine] = field(default_factory=list)
    anomalies: list[AnomalyLine] = field(default_factory=list)

    @property
    def late(self) -> list[ScheduleLine]:
        """The schedules that are late."""
        return [line for line in self.schedules if line.late_since is not None]


_RUN = (
    "run_id, schedule, status, as_of, started_at, finished_at, landed, accepted, duplicate, "
    "quarantined, detail"
)


def read_status(
    reader: Reader,
    lake: str,
    schedules: Mapping[str, Schedule],
    timezone: str,
    now: datetime,
    limit: int = 10,
) -> Status:
    """Look at everything once. now: aware. limit: of the newest runs."""
    if not reader.has("schedule_runs", "run_plans", "run_steps"):
        lines = [
            ScheduleLine(name, None, None, None, _next(each, now, timezone))
            for name, each in schedules.items()
        ]
        return Status(lake, now, [], lines, [])
    recent = reader.rows(
        f"select {_RUN} from schedule_runs order by started_at desc, run_id limit :most",
        most=limit,
    )
    running = reader.rows(
        f"select {_RUN} from schedule_runs where status = 'running' order by started_at"
    )
    day = naive_utc(now - _DAY)
    counts = reader.rows(
        "select status, count(*) as runs, sum(landed) as landed, sum(accepted) as accepted, "
        "sum(duplicate) as duplicate, sum(quarantined) as quarantined from schedule_runs "
        "where started_at >= :day group by coalesce(status, ''), status",
        day=day,
    )
    sums = {
        name: sum(int(row[name]) for row in counts)
        for name in ("landed", "accepted", "duplicate", "quarantined")
    }
    return Status(
        lake,
        now,
        [_with_steps(reader, _run(row)) for row in running],
        [_schedule(reader, name, each, timezone, now) for name, each in schedules.items()],
        [_run(row) for row in recent],
        {row["status"]: int(row["runs"]) for row in counts},
        **sums,
        open_quarantine=open_quarantine(reader),
        cost_usd_day=cost_since(reader, day),
        cost_usd_month=cost_since(reader, day + _DAY - _MONTH),
        freshness=freshness(reader),
        tests=_tests(reader),
        anomalies=_anomalies(reader, day),
    )


def _next(schedule: Schedule, now: datetime, timezone: str) -> datetime:
    return next(times_after(schedule.cron, now, timezone)).replace(tzinfo=None)


def _run(row: Row) -> RunLine:
    moments = {name: moment(row[name]) for name in ("as_of", "started_at", "finished_at")}
    return RunLine(**{**row, **moments})


def _with_steps(reader: Reader, run: RunLine) -> RunLine:
    steps = reader.rows(
        "select selector, status from run_steps where run_id = :run_id order by position",
        run_id=run.run_id,
    )
    plans = reader.rows("select steps from run_plans where run_id = :run_id", run_id=run.run_id)
    at_work = [step["selector"] for step in steps if step["status"] == "running"]
    done = sum(step["status"] == "succeeded" for step in steps)
    import orjson

    total = len(orjson.loads(plans[0]["steps"])) if plans else None
    step = at_work[-1] if at_work else ("ingest" if not steps else None)
    return RunLine(**{**vars(run), "step": step, "steps_done": done, "steps_total": total})


def _schedule(
    reader: Reader, name: str, schedule: Schedule, timezone: str, now: datetime
) -> ScheduleLine:
    newest = reader.rows(
        f"select {_RUN} from schedule_runs where schedule = :name order by started_at desc limit 1",
        name=name,
    )
    good = [
        moment(row["started_at"])
        for status in GOOD
        for row in reader.rows(
            "select started_at from schedule_runs where schedule = :name and status = :status "
            "order by started_at desc limit 1",
            name=name,
            status=status,
        )
    ]
    late = overdue(
        schedule,
        now,
        timezone,
        since=_scheduled_since(reader),
        is_made_good=lambda due: _is_made_good(reader, name, due),
    )
    return ScheduleLine(
        name,
        _run(newest[0]) if newest else None,
        max((at for at in good if at is not None), default=None),
        None if late is None else late.replace(tzinfo=None),
        _next(schedule, now, timezone),
    )


def _scheduled_since(reader: Reader) -> datetime | None:
    """The first time of a schedule that was dealt with here."""
    if not reader.has("occurrences"):
        return None
    (row,) = reader.rows("select min(occurs_at) as first from occurrences")
    return moment(row["first"])


def _is_made_good(reader: Reader, name: str, due: datetime) -> bool:
    """Whether a run as of `due` or later that covers the schedule has succeeded."""
    # A run begins at its as-of or after it. coalesce keeps SQLite from the index by status, whose
    # every row it would read.
    found = reader.rows(
        "select 1 as found from schedule_runs left join run_plans "
        "on run_plans.run_id = schedule_runs.run_id "
        "where started_at >= :due and as_of >= :due "
        f"and coalesce(status, '') in ({GOOD_IN_SQL}) "
        "and (schedule = :name or covers like :covered) limit 1",
        name=name,
        due=naive_utc(due),
        covered=f'%"{name}"%',
    )
    return bool(found)


def open_quarantine(reader: Reader) -> dict[str, int]:
    """What waits in quarantine, by source."""
    if not reader.has("ingest_quarantine"):
        return {}
    rows = reader.rows(
        "select source, count(*) as refused from ingest_quarantine where state = 'open' "
        "group by source order by source"
    )
    return {row["source"]: int(row["refused"]) for row in rows}


def cost_since(reader: Reader, since: datetime) -> Decimal:
    """Dollars of the runs that began since then."""
    if not reader.has("run_ends"):
        return Decimal(0)
    rows = reader.rows(
        "select sum(cost_nanodollars) as cost from run_ends where started_at >= :since",
        since=since,
    )
    return Decimal(int(rows[0]["cost"] or 0)) / 10**9


def freshness(reader: Reader) -> list[SourceLine]:
    """How old each source was when a run last asked; late ones first."""
    if not reader.has("source_ages"):
        return []
    rows = reader.rows(
        "select source, status, age_seconds, warn_after_seconds, error_after_seconds, checked_at "
        "from source_ages where run_id = "
        "(select run_id from source_ages order by checked_at desc limit 1)"
    )
    lines = [SourceLine(**{**row, "checked_at": moment(row["checked_at"])}) for row in rows]
    return sorted(lines, key=lambda line: (line.status == "pass", line.source))


def _tests(reader: Reader) -> list[TestLine]:
    """What did not pass in the newest run that tested anything, failures first."""
    if not reader.has("run_ends", "node_runs"):
        return []
    newest = reader.rows(
        "select run_id, tests_warned + tests_failed as wrong from run_ends where tests > 0 "
        "order by started_at desc limit 1"
    )
    if not newest or not newest[0]["wrong"]:
        return []
    rows = reader.rows(
        "select name, model, status, failures from node_runs where run_id = :run_id "
        "and resource_type = 'test' and status in ('warn', 'fail', 'error') "
        "order by status, position, attempt, name",
        run_id=newest[0]["run_id"],
    )
    found = {
        row["name"]: TestLine(row["name"], row["model"], row["status"], row["failures"])
        for row in rows
    }
    return list(found.values())[:_FAILED_TESTS]


def _anomalies(reader: Reader, since: datetime) -> list[AnomalyLine]:
    if not reader.has("anomalies"):
        return []
    rows = reader.rows(
        "select kind, subject, schedule, observed, median, points, found_at from anomalies "
        "where found_at >= :since order by found_at desc, kind, subject limit :most",
        since=since,
        most=_ANOMALIES,
    )
    return [AnomalyLine(**{**row, "found_at": moment(row["found_at"])}) for row in rows]

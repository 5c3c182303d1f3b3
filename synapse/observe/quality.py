"""What a business date was like: all that landed accounted for, tests, freshness, time and money.

The date's window is (its begin, its end] on the axis of as-of, as runs took it for "now". Tests and
models are those of the newest run that closed the date, or the newest of the date that tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from synapse.observe.reader import Reader, Row, moment, open_reader
from synapse.observe.restated import Restated, read_restated
from synapse.observe.status import AnomalyLine, SourceLine, open_quarantine
from synapse.runner.clock import end_of_date, naive_utc
from synapse.settings import Settings

_SLOWEST = 10


@dataclass(frozen=True)
class Account:
    """What landed from a source, and what became of it."""

    source: str
    landed: int
    accepted: int
    duplicate: int
    quarantined: int

    @property
    def unaccounted(self) -> int:
        """0, or rows were lost or counted twice."""
        return self.landed - self.accepted - self.duplicate - self.quarantined


@dataclass(frozen=True)
class Counted:
    """How many of something."""

    name: str
    about: str
    count: int


@dataclass(frozen=True)
class FailedTest:
    """A test that did not pass: what it judges and how many rows break it."""

    test: str
    model: str | None
    column: str | None
    status: str
    failures: int | None


@dataclass(frozen=True)
class DriftLine:
    """A column that changed."""

    source: str
    column: str
    change: str
    physical_type: str


@dataclass(frozen=True)
class SlowModel:
    """What a model took; share: of the slowest."""

    model: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Quality:
    """The summary of a date. restated: None where the warehouse was not asked."""

    date: date
    lake: str
    timezone: str
    runs: list[Counted]
    accounts: list[Account]
    landed_ever: int
    unaccounted_ever: int
    tested_by: str | None
    tests: dict[str, int]
    failed: list[FailedTest]
    freshness: list[SourceLine]
    refused: list[Counted]
    waiting: list[Counted]
    drift: list[DriftLine]
    restated: list[Restated] | None
    anomalies: list[AnomalyLine]
    slowest: list[SlowModel]
    cost: list[tuple[str, Decimal]] = field(default_factory=list)

    @property
    def total(self) -> Account:
        """All sources together; differences are added by size, so that none hides another."""
        return Account(
            "all",
            *(
                sum(getattr(one, name) for one in self.accounts)
                for name in ("landed", "accepted", "duplicate", "quarantined")
            ),
        )

    @property
    def unaccounted(self) -> int:
        """Rows that are not accounted for, of the date."""
        return sum(abs(one.unaccounted) for one in self.accounts)

    @property
    def dollars(self) -> Decimal:
        """What the date's runs cost."""
        return sum((dollars for _, dollars in self.cost), Decimal(0))

    @property
    def stale(self) -> list[SourceLine]:
        """The sources that were older than they declare."""
        return [line for line in self.freshness if line.status != "pass"]

    @property
    def verdict(self) -> str:
        """`bad`, `look` or `good`: what the worst of the findings asks for."""
        broken = any(self.tests.get(status) for status in ("fail", "error"))
        runs_failed = any(one.about in ("failed", "killed") for one in self.runs)
        if self.unaccounted or self.unaccounted_ever or broken or runs_failed:
            return "bad"
        is_odd = self.tests.get("warn") or self.stale or self.refused or self.anomalies
        return "look" if is_odd or self.drift or self.restated or not self.runs else "good"


def read_quality(settings: Settings, day: date) -> Quality:
    """Read everything of a date. Raises SynapseError where the state store does not answer."""
    end = naive_utc(end_of_date(day, settings.business_timezone))
    begin = naive_utc(end_of_date(day - timedelta(days=1), settings.business_timezone))
    with open_reader(settings.state) as reader:
        closing = _closing_run(reader, day, begin, end)
        run_id = closing["run_id"] if closing else None
        runs = _runs(reader, begin, end, run_id)
        nodes = _nodes(reader, run_id)
        tests, failed = _tests(nodes)
        ever = _ever(reader)
        return Quality(
            date=day,
            lake=settings.location,
            timezone=settings.business_timezone,
            runs=[
                Counted(schedule, status, count) for (schedule, status), count in _by_status(runs)
            ],
            accounts=_accounts(reader, begin, end),
            landed_ever=sum(one.landed for one in ever),
            unaccounted_ever=sum(abs(one.unaccounted) for one in ever),
            tested_by=closing["schedule"] if closing else None,
            tests=tests,
            failed=failed,
            freshness=_freshness(reader, begin, end, run_id),
            refused=_refused(reader, begin, end),
            waiting=[
                Counted(source, "open", refused)
                for source, refused in open_quarantine(reader).items()
            ],
            drift=_drift(reader, begin, end),
            restated=read_restated(settings, [row["run_id"] for row in runs]),
            anomalies=_anomalies(reader, begin, end, run_id),
            slowest=_slowest(nodes),
            cost=_cost(reader, begin, end, run_id),
        )


def _closing_run(reader: Reader, day: date, begin: datetime, end: datetime) -> Row | None:
    if not reader.has("run_ends", "run_plans"):
        return None
    closing = reader.rows(
        "select run_ends.run_id, run_ends.schedule from run_ends join run_plans "
        "on run_plans.run_id = run_ends.run_id where complete_date = :day and tests > 0 "
        "and covers like :daily order by started_at desc limit 1",
        day=day.isoformat(),
        daily='%"daily"%',
    ) or reader.rows(
        "select run_id, schedule from run_ends where as_of > :begin and as_of <= :until "
        "and tests > 0 order by started_at desc limit 1",
        begin=begin,
        until=end,
    )
    return closing[0] if closing else None


def _runs(reader: Reader, begin: datetime, end: datetime, closing: str | None) -> list[Row]:
    if not reader.has("schedule_runs"):
        return []
    return reader.rows(
        "select run_id, schedule, status from schedule_runs "
        "where (as_of > :begin and as_of <= :until) or run_id = :closing",
        begin=begin,
        until=end,
        closing=closing or "",
    )


def _by_status(runs: list[Row]) -> list[tuple[tuple[str, str], int]]:
    counts: dict[tuple[str, str], int] = {}
    for row in runs:
        key = row["schedule"], row["status"]
        counts[key] = counts.get(key, 0) + 1
    return sorted(counts.items())


_SUMS = (
    "sum(landed) as landed, sum(accepted) as accepted, sum(duplicate) as duplicate, "
    "sum(quarantined) as quarantined"
)


def _accounts(reader: Reader, begin: datetime, end: datetime) -> list[Account]:
    if not reader.has("ingest_runs", "ingest_run_sources"):
        return []
    rows = reader.rows(
        f"select source, {_SUMS} from ingest_runs join ingest_run_sources "
        "on ingest_run_sources.run_id = ingest_runs.run_id "
        "where as_of > :begin and as_of <= :until group by source order by source",
        begin=begin,
        until=end,
    )
    return [_account(row["source"], row) for row in rows]


def _ever(reader: Reader) -> list[Account]:
    if not reader.has("ingest_run_sources"):
        return []
    rows = reader.rows(f"select source, {_SUMS} from ingest_run_sources group by source")
    return [_account(row["source"], row) for row in rows]


def _account(source: str, row: Row) -> Account:
    names = ("landed", "accepted", "duplicate", "quarantined")
    return Account(source, *(int(row[name] or 0) for name in names))


def _tests(nodes: list[Row]) -> tuple[dict[str, int], list[FailedTest]]:
    newest = {row["unique_id"]: row for row in nodes if row["resource_type"] == "test"}
    counts: dict[str, int] = {}
    for row in newest.values():
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    failed = [
        FailedTest(row["name"], row["model"], row["column_name"], row["status"], row["failures"])
        for row in newest.values()
        if row["status"] in ("fail", "error", "warn")
    ]
    order = ("fail", "error", "warn")
    return counts, sorted(failed, key=lambda one: (order.index(one.status), one.test))


def _nodes(reader: Reader, run_id: str | None) -> list[Row]:
    """The nodes of a run, later attempts after earlier ones."""
    if run_id is None or not reader.has("node_runs"):
        return []
    return reader.rows(
        "select unique_id, resource_type, name, model, column_name, status, failures, "
        "milliseconds from node_runs where run_id = :run_id order by position, attempt",
        run_id=run_id,
    )


def _freshness(
    reader: Reader, begin: datetime, end: datetime, run_id: str | None
) -> list[SourceLine]:
    if not reader.has("source_ages"):
        return []
    rows = reader.rows(
        "select source, status, age_seconds, warn_after_seconds, error_after_seconds, checked_at "
        "from source_ages where run_id = (select run_id from source_ages "
        "where (as_of > :begin and as_of <= :until) or run_id = :run_id "
        "order by checked_at desc limit 1) order by source",
        begin=begin,
        until=end,
        run_id=run_id or "",
    )
    return [SourceLine(**{**row, "checked_at": moment(row["checked_at"])}) for row in rows]


def _refused(reader: Reader, begin: datetime, end: datetime) -> list[Counted]:
    if not reader.has("ingest_quarantine", "ingest_runs"):
        return []
    rows = reader.rows(
        "select source, rule, count(*) as refused from ingest_quarantine join ingest_runs "
        "on ingest_runs.run_id = ingest_quarantine.run_id "
        "where as_of > :begin and as_of <= :until group by source, rule order by source, rule",
        begin=begin,
        until=end,
    )
    return [Counted(row["source"], row["rule"], int(row["refused"])) for row in rows]


def _drift(reader: Reader, begin: datetime, end: datetime) -> list[DriftLine]:
    if not reader.has("ingest_drift", "ingest_runs"):
        return []
    rows = reader.rows(
        "select source, column_name, change, physical_type from ingest_drift join ingest_runs "
        "on ingest_runs.run_id = ingest_drift.run_id "
        "where as_of > :begin and as_of <= :until order by source, column_name, change",
        begin=begin,
        until=end,
    )
    return [
        DriftLine(row["source"], row["column_name"], row["change"], row["physical_type"])
        for row in rows
    ]


def _anomalies(
    reader: Reader, begin: datetime, end: datetime, run_id: str | None
) -> list[AnomalyLine]:
    if not reader.has("anomalies"):
        return []
    rows = reader.rows(
        "select kind, subject, schedule, observed, median, points, found_at from anomalies "
        "where (as_of > :begin and as_of <= :until) or run_id = :run_id "
        "order by kind, subject, found_at",
        begin=begin,
        until=end,
        run_id=run_id or "",
    )
    return [AnomalyLine(**{**row, "found_at": moment(row["found_at"])}) for row in rows]


def _slowest(nodes: list[Row]) -> list[SlowModel]:
    took: dict[str, int] = {}
    for row in nodes:
        if row["resource_type"] in ("model", "seed", "snapshot"):
            took[row["name"]] = took.get(row["name"], 0) + int(row["milliseconds"])
    slowest = sorted(took.items(), key=lambda one: (-one[1], one[0]))[:_SLOWEST]
    most = max((milliseconds for _, milliseconds in slowest), default=0) or 1
    return [SlowModel(name, ms / 1000, ms / most) for name, ms in slowest]


def _cost(
    reader: Reader, begin: datetime, end: datetime, run_id: str | None
) -> list[tuple[str, Decimal]]:
    if not reader.has("run_ends"):
        return []
    rows = reader.rows(
        "select schedule, sum(cost_nanodollars) as cost from run_ends "
        "where (as_of > :begin and as_of <= :until) or run_id = :run_id "
        "group by schedule order by schedule",
        begin=begin,
        until=end,
        run_id=run_id or "",
    )
    found = [(row["schedule"], Decimal(int(row["cost"])) / 10**9) for row in rows]
    return [(schedule, dollars) for schedule, dollars in found if dollars]

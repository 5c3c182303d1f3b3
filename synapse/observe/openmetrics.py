"""The state of a lake as OpenMetrics text: for a scraper, and for node_exporter's textfile folder.

Everything is read from the state store at the moment it is asked for, so that a counter survives
every restart and is the same whichever machine tells it. What may go down is a gauge. (The textfile
collector takes `# UNIT` and `# EOF` for comments and counters for untyped: it reads the same file.)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from synapse.observe.reader import Reader, moment, open_reader
from synapse.observe.status import freshness, open_quarantine
from synapse.schedules.lateness import GOOD_IN_SQL
from synapse.settings import Settings
from synapse.whole_files import write_whole

FILE = Path("metrics") / "synapse.prom"
CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class LakeCollector(Collector):
    """The families of one lake; a scraper may register it as it is."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def collect(self) -> Iterable[Metric]:
        """Every family, also those that are still empty: an alert on one must not lack its name."""
        yield from _runs(self._reader)
        yield from _ingest(self._reader)
        yield from _quality(self._reader)
        yield from _freshness(self._reader)


def openmetrics_text(settings: Settings) -> bytes:
    """The exposition, ending in `# EOF`."""
    with open_reader(settings.state) as reader:
        registry = CollectorRegistry()
        registry.register(LakeCollector(reader))
        text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


def write_openmetrics(settings: Settings) -> Path:
    """Write it into the lake's folder on this machine; whoever scrapes never sees half a file."""
    path = settings.lake / FILE
    write_whole(path, openmetrics_text(settings))
    return path


def _runs(reader: Reader) -> Iterable[Metric]:
    runs = CounterMetricFamily(
        "synapse_runs", "Runs that have ended, by how.", labels=["schedule", "status"]
    )
    at_work = GaugeMetricFamily(
        "synapse_runs_at_work", "Runs that have begun and not ended.", labels=["schedule"]
    )
    succeeded = GaugeMetricFamily(
        "synapse_last_success_timestamp",
        "When the newest run that succeeded began.",
        labels=["schedule"],
        unit="seconds",
    )
    took = GaugeMetricFamily(
        "synapse_last_run_duration",
        "How long the newest run that ended took.",
        labels=["schedule"],
        unit="seconds",
    )
    if reader.has("schedule_runs"):
        for row in reader.rows(
            "select schedule, status, count(*) as runs from schedule_runs "
            "group by status, schedule order by schedule, status"
        ):
            if row["status"] == "running":
                at_work.add_metric([row["schedule"]], int(row["runs"]))
            else:
                runs.add_metric([row["schedule"], row["status"]], int(row["runs"]))
        for schedule in sorted({sample.labels["schedule"] for sample in runs.samples}):
            good = reader.rows(
                "select max(started_at) as newest from schedule_runs where schedule = :schedule "
                f"and status in ({GOOD_IN_SQL})",
                schedule=schedule,
            )
            newest = moment(good[0]["newest"])
            if newest is not None:
                succeeded.add_metric([schedule], _epoch(newest))
            ended = reader.rows(
                "select started_at, finished_at from schedule_runs where schedule = :schedule "
                "and finished_at is not null order by started_at desc limit 1",
                schedule=schedule,
            )
            for row in ended:
                began, end = moment(row["started_at"]), moment(row["finished_at"])
                assert began is not None
                assert end is not None
                took.add_metric([schedule], (end - began).total_seconds())
    yield from (runs, at_work, succeeded, took)


def _ingest(reader: Reader) -> Iterable[Metric]:
    rows = CounterMetricFamily(
        "synapse_rows",
        "What runs took in, by what became of it; landed is the sum of the others.",
        labels=["outcome"],
    )
    waiting = GaugeMetricFamily(
        "synapse_quarantine_open", "Refused rows that wait for a person.", labels=["source"]
    )
    if reader.has("schedule_runs"):
        sums = reader.rows(
            "select sum(landed) as landed, sum(accepted) as accepted, "
            "sum(duplicate) as duplicate, sum(quarantined) as quarantined from schedule_runs"
        )
        for name in ("landed", "accepted", "duplicate", "quarantined"):
            rows.add_metric([name], int(sums[0][name] or 0))
    for source, refused in open_quarantine(reader).items():
        waiting.add_metric([source], refused)
    yield from (rows, waiting)


def _quality(reader: Reader) -> Iterable[Metric]:
    failed = CounterMetricFamily(
        "synapse_tests_failed", "Tests that failed or could not run.", labels=["schedule"]
    )
    warned = CounterMetricFamily(
        "synapse_tests_warned", "Tests that found rows and only report.", labels=["schedule"]
    )
    cost = CounterMetricFamily(
        "synapse_cost_dollars", "What the queries of runs cost.", labels=["schedule"]
    )
    scanned = CounterMetricFamily(
        "synapse_scanned",
        "Bytes that the queries of runs scanned.",
        labels=["schedule"],
        unit="bytes",
    )
    anomalies = GaugeMetricFamily(
        "synapse_anomalies", "What was unlike the weeks before, of 24 hours.", labels=["kind"]
    )
    if reader.has("run_ends"):
        for row in reader.rows(
            "select schedule, sum(tests_failed) as failed, sum(tests_warned) as warned, "
            "sum(cost_nanodollars) as cost, sum(scanned_bytes) as scanned "
            "from run_ends group by schedule order by schedule"
        ):
            failed.add_metric([row["schedule"]], int(row["failed"]))
            warned.add_metric([row["schedule"]], int(row["warned"]))
            cost.add_metric([row["schedule"]], int(row["cost"]) / 10**9)
            scanned.add_metric([row["schedule"]], int(row["scanned"]))
    if reader.has("anomalies"):
        for row in reader.rows(
            "select kind, count(*) as found from anomalies where found_at >= :day "
            "group by kind order by kind",
            day=datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1),
        ):
            anomalies.add_metric([row["kind"]], int(row["found"]))
    yield from (failed, warned, cost, scanned, anomalies)


def _freshness(reader: Reader) -> Iterable[Metric]:
    ages = GaugeMetricFamily(
        "synapse_source_age",
        "How old the source was when a run last asked.",
        labels=["source"],
        unit="seconds",
    )
    stale = GaugeMetricFamily(
        "synapse_source_stale", "1 where it was older than it declares.", labels=["source"]
    )
    for line in freshness(reader):
        if line.age_seconds is not None:
            ages.add_metric([line.source], line.age_seconds)
        stale.add_metric([line.source], int(line.status != "pass"))
    yield from (ages, stale)


def _epoch(naive: datetime) -> float:
    return naive.replace(tzinfo=UTC).timestamp()

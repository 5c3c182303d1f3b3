"""A project with alerts and a state store with runs, as the rules look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Engine

from synapse.alerts.sender import Patience
from synapse.alerts.service import Look, Watch
from synapse.ingest import tables as t
from synapse.observe.tables import NODE_RUNS
from synapse.runner.clock import naive_utc
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.schedules.claims import Claim, Occurrences
from synapse.settings import Settings
from synapse.state_store import make_tables, open_store
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, lake_settings

# An answer that does come is waited for, however busy the machine is.
PATIENT = Patience(answer_seconds=30, attempts=3, wait_seconds=0.01, total_seconds=60)
# Only for tests of an answer that never comes.
HASTY = Patience(answer_seconds=0.5, attempts=2, wait_seconds=0.01, total_seconds=2)
RULE = """
  {name}:
    kind: {kind}
    description: A test.
    severity: {severity}
    owner: tests
    runbook: alert-of-a-test
    repeat: {repeat}
"""


def rule(
    kind: str, name: str = "", severity: str = "critical", repeat: str = "2h", **more: Any
) -> str:
    """The text of a rule."""
    text = RULE.format(kind=kind, name=name or kind, severity=severity, repeat=repeat)
    return text + "".join(f"    {key}: {value}\n" for key, value in more.items())


def declare(folder: Path, *rules: str, channels: str = "") -> Path:
    """Write alerts.yml beside the real schedules and selectors; returns the project."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("schedules.yml", "selectors.yml"):
        (folder / name).write_bytes((PROJECT_DIR / name).read_bytes())
    (folder / "alerts.yml").write_text(
        f"version: 1\nrunbook: https://example.com/runbook.md\nchannels: {channels or '{}'}\n"
        f"rules:{''.join(rules)}"
    )
    return folder


@dataclass
class Store:
    """A state store that a test fills; moments are aware."""

    settings: Settings
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = open_store(self.settings.state)
        make_tables(self.engine, SCHEDULE_RUNS.metadata)
        make_tables(self.engine, t.METADATA)
        make_tables(self.engine, NODE_RUNS.metadata)
        self._ledger = RunLedger(self.engine)
        self._occurrences = Occurrences(self.engine)
        self._runs = 0

    def run(
        self,
        schedule: str,
        as_of: datetime,
        took: timedelta | None = timedelta(minutes=5),
        status: str = "succeeded",
        detail: str | None = None,
        *,
        begins: datetime | None = None,
        scheduled: bool = True,
        broken: Mapping[str, int | None] = MappingProxyType({}),
    ) -> str:
        """Record a run that began at its as-of (or `begins`); took None: it is still running.

        broken: rows that a test found by its name; None for a model that failed.
        """
        self._runs += 1
        run_id = f"run{self._runs}"
        started = begins or as_of
        with self.engine.begin() as connection:
            if scheduled:
                Claim(schedule, as_of)(connection, run_id)
            connection.execute(
                insert(SCHEDULE_RUNS).values(
                    run_id=run_id,
                    schedule=schedule,
                    status="running" if took is None else status,
                    as_of=naive_utc(as_of),
                    started_at=naive_utc(started),
                    finished_at=None if took is None else naive_utc(started + took),
                    detail=detail,
                )
            )
            for name, rows in broken.items():
                kind, ended = ("model", "error") if rows is None else ("test", "fail")
                connection.execute(
                    insert(NODE_RUNS).values(
                        run_id=run_id, position=0, attempt=1, unique_id=f"{kind}.synapse.{name}",
                        schedule=schedule, step=schedule, resource_type=kind, name=name,
                        status=ended, failures=rows, milliseconds=1, as_of=naive_utc(as_of),
                        started_at=naive_utc(started),
                    )
                )  # fmt: skip
            plan = RunPlan(run_id, (schedule,), (), None, False, False)
            self._ledger.plan(connection, plan, as_of, TIMEZONE)
        return run_id

    def landed(self, source: str, as_of: datetime, records: int = 10) -> None:
        """Record an ingest that found records of a source."""
        self._runs += 1
        run_id = f"ingest{self._runs}"
        moment = naive_utc(as_of)
        zero = dict.fromkeys(("accepted", "duplicate", "quarantined", "pending", "files"), 0)
        with self.engine.begin() as connection:
            connection.execute(
                insert(t.RUNS).values(run_id=run_id, as_of=moment, state="done", started_at=moment)
            )
            connection.execute(
                insert(t.RUN_SOURCES).values(run_id=run_id, source=source, landed=records, **zero)
            )

    def refused(self, source: str, count: int, moment: datetime) -> None:
        """Put records into quarantine, each with what somebody wrote in its sentence."""
        self._runs += 1
        rows = [
            {
                "id": f"{self._runs:08x}{number:08x}",
                "source": source,
                "kind": "topic",
                "unit": "record",
                "path": "bronze/maria@example.com.json",
                "sha256": "0" * 64,
                "rule": "column_type",
                "sentence": "user_id is 'maria@example.com', which is no whole number",
                "run_id": "r",
                "first_seen": naive_utc(moment),
                "last_attempt": naive_utc(moment),
                "attempts": 1,
                "state": "open",
            }
            for number in range(count)
        ]
        with self.engine.begin() as connection:
            connection.execute(insert(t.QUARANTINE), rows)

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()


def looker(settings: Settings, project: Path, patience: Patience = PATIENT) -> Callable[..., Look]:
    """Looks with a new watch each time, as processes do."""

    def look(now: datetime, *, dry_run: bool = False) -> Look:
        watch = Watch(settings, project, patience)
        try:
            return watch.look(now, dry_run=dry_run)
        finally:
            watch.close()

    return look


def look_at(settings: Settings, project: Path, moments: list[datetime], ready: Barrier) -> None:
    """Look at each moment when the other processes do."""
    for moment in moments:
        ready.wait(60)
        looker(settings, project)(moment)


def settings_in(folder: Path) -> Settings:
    """Settings of an empty lake."""
    (folder / "lake").mkdir(parents=True, exist_ok=True)
    return lake_settings(folder / "lake")

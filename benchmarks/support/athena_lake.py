"""A lake of interactions on the local Athena, and what a run of the real models scans there."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3

from benchmarks.support.interactions_lake import (
    Span,
    land_backfill,
    land_history,
    land_hour,
)
from synapse.athena.warehouse import AthenaWarehouse
from synapse.cost.report import NodeCost, read_costs
from synapse.ingest.service import ingest
from synapse.project import find_project
from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.dbt import DbtProject
from synapse.runner.history import RunHistory
from synapse.settings import Settings

BUCKET = "synapse-data"
# The hour that is measured begins here, whatever the history: 30 days into the last month that is
# over, since the hour's tests judge what is dated by a clock that nobody sets. The layout goes by
# months, so that a history of 30 days has all of them in one, as a longer one has the last 30.
_THIS_MONTH = naive_utc(utc_now()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
NOW = (_THIS_MONTH - timedelta(days=1)).replace(day=1) + timedelta(days=30)


@dataclass
class AthenaLake:
    """One deployment; `days` of history are landed and built by `prepare`.

    models: what dbt is told to select; left_out: what of it is not built.
    """

    name: str
    folder: Path
    days: int
    models: Sequence[str]
    left_out: Sequence[str] = ()
    _sent: set[Path] = field(default_factory=set)
    _hours: int = 0
    _prepared: datetime | None = None

    def prepare(self) -> None:
        """Land the history and build it."""
        with self._deployed():
            boto3.client("athena").create_work_group(Name=self.name)
            self._run(land_history(self.landing, self._origin, self.days), full=True)
        self._prepared = naive_utc(utc_now())

    def hour(self, old_changes: int = 0, backfilled_months: int = 0) -> dict[str, int]:
        """Land the next hour and build it; returns bytes scanned by name of node.

        old_changes: so many changes more, to messages that are older than 30 days;
        backfilled_months: so many payments more, one of each month before the history.
        """
        with self._deployed():
            start = self.days * 86_400 + self._hours * 3600
            self._hours += 1
            if backfilled_months:
                land_backfill(self.landing, self._origin, start, backfilled_months)
            span = land_hour(self.landing, self._origin, start, reach_days=30, old=old_changes)
            found: dict[str, int] = {}
            for cost in self._run(span):
                found[cost.name] = found.get(cost.name, 0) + cost.scanned_bytes
            return found

    def tests(self, *, all_rows: bool, models: Sequence[str] = ()) -> dict[str, int]:
        """Run the hour's tests of the models; returns bytes scanned by name of test.

        all_rows: judge the history too, by all tests, and not what landed since it was built.
        models: of these alone.
        """
        with self._deployed():
            settings, dbt, project = self._project()
            dbt.judged_from = None if all_rows else self._prepared
            # With the tests that also read what is built.
            left_out = [f"{name}+1" for name in self.left_out]
            if not all_rows:
                left_out.append("tag:whole_history")
            excluded = ["--exclude", *left_out] if left_out else []
            run_id = uuid.uuid4().hex
            history = RunHistory(settings.state)
            history.start(run_id, "hourly", self.now.replace(tzinfo=UTC))
            warehouse = AthenaWarehouse(settings, project, dbt)
            warehouse.write_run_context(
                run_id=run_id, as_of=self.now.replace(tzinfo=UTC), is_backfill=False
            )
            of_data = ["--exclude-resource-type", "unit_test"]
            whole = ["--indirect-selection", "cautious", "--select", *(models or self.models)]
            self._invoke(dbt, ["test", *excluded, *of_data, *whole], run_id)
            history.finish(run_id, "succeeded")
            history.close()
            warehouse.record_runs()
            costs = [cost for cost in read_costs(settings.state) if cost.run_id == run_id]
            return {cost.name: cost.scanned_bytes for cost in costs}

    def _project(self) -> tuple[Settings, DbtProject, Path]:
        settings = Settings.load(lake=f"s3://{BUCKET}/{self.name}", target="athena")
        project = find_project()
        return settings, DbtProject(settings, project), project

    @property
    def _origin(self) -> datetime:
        return NOW - timedelta(days=self.days)

    @property
    def landing(self) -> Path:
        """What has landed, as it lies in the bucket."""
        return self.folder / "landing"

    @property
    def now(self) -> datetime:
        """The end of what has landed."""
        return NOW + timedelta(hours=self._hours)

    @contextlib.contextmanager
    def _deployed(self) -> Iterator[None]:
        settings = {
            "SYNAPSE_SCHEMA_PREFIX": f"{self.name}_",
            "SYNAPSE_ATHENA_WORKGROUP": self.name,
            "SYNAPSE_PSEUDONYM_KEY": "0123456789abcdef" * 2,
            "SYNAPSE_HOME": str(self.folder / "home"),
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def _run(self, span: Span, *, full: bool = False) -> list[NodeCost]:
        """What `synapse run hourly` does, for the models alone."""
        settings, dbt, project = self._project()
        settings.lake.mkdir(parents=True, exist_ok=True)
        as_of, run_id = span.end.replace(tzinfo=UTC), uuid.uuid4().hex
        warehouse = AthenaWarehouse(settings, project, dbt)
        self._upload()
        history = RunHistory(settings.state)
        history.start(run_id, "hourly", as_of)
        report = ingest(settings, project, as_of=as_of)
        assert report.quarantined == 0, report
        warehouse.take_up()
        warehouse.write_run_context(run_id=run_id, as_of=as_of, is_backfill=False)
        warehouse.record_runs()
        if full:
            self._invoke(dbt, ["seed"], run_id)
        left_out = ["--exclude", *self.left_out] if self.left_out else []
        self._invoke(dbt, ["run", "--select", *self.models, *left_out], run_id)
        history.finish(run_id, "succeeded", accepted=report.accepted)
        history.close()
        warehouse.record_runs()
        return [cost for cost in read_costs(settings.state) if cost.run_id == run_id]

    def _invoke(self, dbt: DbtProject, arguments: list[str], run_id: str) -> None:
        with contextlib.redirect_stdout(None):  # dbt prints what it does
            result = dbt.invoke(arguments, run_id=run_id)
        assert result.succeeded, result.failures

    def _upload(self) -> None:
        s3 = boto3.client("s3")
        for path in sorted(self.landing.rglob("*")):
            if path.is_file() and path not in self._sent:
                key = f"{self.name}/{path.relative_to(self.landing).as_posix()}"
                s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
                self._sent.add(path)

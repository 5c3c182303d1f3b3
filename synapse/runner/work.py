"""A run while it holds its lease: ingest, context, dbt step by step, ledger."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import Connection

from synapse.errors import LeaseLostError, SynapseError
from synapse.ingest.service import IngestReport, ingest
from synapse.observe.ledger import ObservedRun
from synapse.progress import Progress
from synapse.publish.service import publish, publish_if_missing
from synapse.runner.clock import naive_utc
from synapse.runner.dbt import DbtProject, DbtResult
from synapse.runner.fingerprint import inputs_fingerprint, readable_files
from synapse.runner.gate_ledger import record_gates
from synapse.runner.gates import ClosedGate, Gates, find_gates
from synapse.runner.history import Run, RunHistory
from synapse.runner.lease import Lease
from synapse.runner.maintenance import maintain
from synapse.runner.plan import Plan
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.runner.steps import run_step
from synapse.runner.time_limit import Stop, stoppable
from synapse.runner.warehouse import Warehouse
from synapse.schedules.model import Ingest, Precision, Step, Task
from synapse.settings import Settings

Within = Callable[[Connection, str], None]
"""Called with the run's id as its beginning is recorded; what it raises undoes that."""


@dataclass(frozen=True)
class StepReport:
    """A step: its selector; succeeded, failed or not run; how often dbt was called."""

    selector: str
    status: str
    attempts: int = 0


@dataclass(frozen=True)
class RunReport:
    """What a run did: `status` is succeeded, unchanged or failed; dbt's part is of all steps."""

    run_id: str
    schedule: str
    status: str
    as_of: datetime
    ingest: IngestReport
    dbt: DbtResult = field(default_factory=DbtResult)
    steps: tuple[StepReport, ...] = ()
    gates: tuple[ClosedGate, ...] = ()


@dataclass
class Work:
    """One run under its lease."""

    settings: Settings
    project_dir: Path
    dbt: DbtProject
    warehouse: Warehouse
    history: RunHistory
    ledger: RunLedger
    lease: Lease
    plan: Plan
    run_id: str
    as_of: datetime
    progress: Progress | None = None
    _resume: Path | None = None
    _gates: Gates = field(default_factory=Gates)

    def whole(
        self, *, full_refresh: bool, besides: Collection[str] = (), within: Within | None = None
    ) -> RunReport:
        """Do all of the plan. besides: schedules that build nothing."""
        # Of its like: an hourly run that came first makes no backfill of a daily one, which takes
        # the snapshots.
        newest = self.ledger.newest_as_of(self.plan.covers)
        is_backfill = newest is not None and naive_utc(self.as_of) < newest
        before = self.history.last_built(besides)
        self.history.start(self.run_id, self.plan.name, self.as_of, lease=self.lease, within=within)
        self._record_plan(full_refresh, is_backfill, None)
        with self._guarded() as stop:
            self.warehouse.stop_queries(self.lease.predecessors)
            report = self._ingest()
            counts = {
                "landed": report.landed,
                "accepted": report.accepted,
                "duplicate": report.duplicate,
                "quarantined": report.quarantined,
            }
            fingerprint = None
            if self.plan.builds:
                fingerprint = self._fingerprint()
                if (
                    not full_refresh
                    and before is not None
                    and before.status == "succeeded"
                    and before.fingerprint == fingerprint
                ):
                    publish_if_missing(
                        self.settings, self.dbt, self.history.engine, self.lease, before
                    )
                    self._finish("unchanged", fingerprint=fingerprint, **counts)
                    return self._report("unchanged", report)
                self.warehouse.take_up()
                self.warehouse.write_run_context(
                    run_id=self.run_id, as_of=self.as_of, is_backfill=is_backfill
                )
                self.warehouse.record_runs()  # the tests of this run judge what it ingested
                self._record_plan(full_refresh, is_backfill, readable_files(self.settings))
            result, steps = self._steps(self._arguments(full_refresh, is_backfill), stop=stop)
            return self._end(report, result, steps, fingerprint, counts)

    def go_on(self, run: Run, before: RunPlan, first: int) -> RunReport:
        """Go on with a failed run from step `first`, which dbt resumes where it failed."""
        self.history.reopen(run.run_id, lease=self.lease)
        with self._guarded() as stop:
            self.warehouse.stop_queries(self.lease.predecessors)
            # Out of the way of what dbt does before it goes on.
            self._resume = self.dbt.target_path / "retry"
            self._resume.mkdir(exist_ok=True)
            shutil.copy2(self.dbt.target_path / "run_results.json", self._resume)
            report = IngestReport(run.run_id, self.as_of)
            self.warehouse.write_run_context(
                run_id=run.run_id, as_of=self.as_of, is_backfill=before.is_backfill
            )
            self.warehouse.record_runs()
            arguments = self._arguments(before.full_refresh, before.is_backfill)
            result, steps = self._steps(arguments, first=first, stop=stop)
            return self._end(report, result, steps, self._fingerprint(), {})

    def _arguments(self, full_refresh: bool, is_backfill: bool) -> list[str]:
        if self.plan.schedule.task is Task.freshness:
            return ["source", "freshness"]
        # Unit tests prove the code, not the data: `make test` and CI run them, schedules do not.
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if is_backfill:
            # A snapshot records what is current now: taken for an earlier as-of it would lie.
            arguments += ["--exclude-resource-type", "snapshot"]
        if full_refresh:
            arguments += ["--full-refresh"]
        return arguments

    def _steps(
        self, arguments: list[str], *, stop: Stop, first: int | None = None
    ) -> tuple[DbtResult, list[StepReport]]:
        """Each step in turn; after one that failed the others are recorded as not run."""
        if self.plan.schedule.task is Task.maintenance:
            maintain(self.settings, self.project_dir, self.run_id, self.progress)
        elif self.plan.builds:
            self._close_gates()
            judges_all = self.plan.schedule.judges_since
            if judges_all is not None and "--full-refresh" not in arguments:
                self.dbt.judged_from = self.ledger.judged_until(judges_all)
        total = DbtResult()
        reports: list[StepReport] = []
        for position, step in enumerate(self.plan.steps):
            if first is not None and position < first:
                continue
            if not total.succeeded:
                self._record_step(
                    position, step, "not run", detail=f"{reports[-1].selector} failed"
                )
                reports.append(StepReport(step.selector, "not run"))
                continue
            self._record_step(position, step, "running")
            outcome = run_step(
                self.dbt,
                ["retry", "--state", str(self._resume)]
                if position == first
                else [*arguments, *self._gates.selection(self.dbt, step.selector)],
                self.plan.schedule.retries,
                run_id=self.run_id,
                progress=self.progress,
                is_stopped=lambda: stop.why is not None,
            )
            if stop.why is not None:
                raise KeyboardInterrupt  # dbt had it, and told us in its own way
            ObservedRun.of(self).record_step(position, step, outcome.nodes)
            total = total.then(outcome.result)
            status = "succeeded" if outcome.result.succeeded else "failed"
            detail = "\n".join(outcome.result.failures) or None
            self._record_step(
                position, step, status, attempts=outcome.attempts, detail=detail,
                built=outcome.result.built,
            )  # fmt: skip
            reports.append(StepReport(step.selector, status, outcome.attempts))
        return total, reports

    def _end(
        self,
        report: IngestReport,
        result: DbtResult,
        steps: list[StepReport],
        fingerprint: str | None,
        counts: dict[str, int],
    ) -> RunReport:
        status = "succeeded" if result.succeeded else "failed"
        if result.succeeded and self.plan.builds:
            publish(
                self.settings, self.dbt, self.history.engine, self.lease, run_id=self.run_id,
                as_of=self.as_of, left_out=self._gates.left_out,
            )  # fmt: skip
        self._finish(
            status,
            fingerprint=fingerprint if result.succeeded else None,
            detail="\n".join(result.failures) or None,
            **counts,
        )
        return self._report(status, report, result, steps)

    def _close_gates(self) -> None:
        """Find out what stale sources hold back, and record it."""
        selectors = {step.selector for step in self.plan.steps}
        self._gates = find_gates(self.settings, self.dbt, selectors, self.as_of)
        record_gates(self.history.engine, self.run_id, self._gates.closed, self.lease)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[Stop]:
        """Whatever ends the block is recorded as this run's end, unless the run was overtaken."""
        with stoppable(self.plan.schedule.timeout, self._last_words) as stop:
            try:
                yield stop
            except LeaseLostError:
                raise
            except BaseException as error:
                why = stop.why or str(error) or type(error).__name__
                self._finish(stop.status, detail=why)
                if stop.why is not None:
                    raise SynapseError(
                        f"run {self.run_id} of {self.plan.name} was ended: {stop.why}; "
                        f"`synapse run {self.plan.name}` does it again"
                    ) from error
                raise

    def _last_words(self, stop: Stop) -> None:
        self._finish(stop.status, detail=stop.why)

    def _ingest(self) -> IngestReport:
        if self.plan.ingest is Ingest.none:
            return IngestReport(self.run_id, self.as_of)
        return ingest(
            self.settings,
            self.project_dir,
            as_of=self.as_of,
            run_id=self.run_id,
            # Within a day, years of folders are not listed; a file that is late by more than the
            # lookback is found by the day's first sweep.
            sweep=True if self.plan.ingest is Ingest.sweep else None,
            progress=self.progress,
        )

    def _fingerprint(self) -> str:
        return inputs_fingerprint(
            self.settings,
            self.project_dir,
            selector=f"{self.plan.name}:{self.plan.selection}",
            as_of=self.as_of,
            by_minute=self.plan.schedule.as_of_counts_by is Precision.minute,
        )

    def _finish(self, status: str, **values: object) -> None:
        self.history.finish(self.run_id, status, lease=self.lease, **values)

    def _record_plan(self, full_refresh: bool, is_backfill: bool, inputs: str | None) -> None:
        plan = RunPlan(
            self.run_id, self.plan.covers, self.plan.steps, inputs, full_refresh, is_backfill
        )
        with self.history.engine.begin() as connection:
            self.lease.fence(connection)
            self.ledger.plan(connection, plan, self.as_of, self.settings.business_timezone)

    def _record_step(
        self,
        position: int,
        step: Step,
        status: str,
        *,
        attempts: int = 0,
        detail: str | None = None,
        built: Collection[str] = (),
    ) -> None:
        with self.history.engine.begin() as connection:
            self.lease.fence(connection)
            self.ledger.step(
                connection,
                self.run_id,
                position,
                step,
                status,
                attempts=attempts,
                detail=detail,
                built=built,
            )

    def _report(
        self,
        status: str,
        report: IngestReport,
        result: DbtResult | None = None,
        steps: Collection[StepReport] = (),
    ) -> RunReport:
        return RunReport(
            self.run_id,
            self.plan.name,
            status,
            self.as_of,
            report,
            result or DbtResult(),
            tuple(steps),
            self._gates.closed,
        )

"""What is done as a run ends: its row in the ledger, anomalies, then metrics and the summary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from synapse.errors import SynapseError
from synapse.observe.anomalies import find_anomalies, period_of, record_anomalies
from synapse.observe.ledger import ObservedRun
from synapse.observe.reader import open_reader
from synapse.observe.tables import RUN_ENDS
from synapse.runner.clock import last_complete_date, naive_utc
from synapse.schedules.model import Schedule
from synapse.schedules.occurrences import times_after
from synapse.settings import Settings

if TYPE_CHECKING:
    from synapse.runner.work import Work

_SUMMARISED = "daily"


@dataclass(frozen=True)
class Ending:
    """The end of one run, under its lease. covers: the schedules that it stands for."""

    settings: Settings
    schedule: Schedule
    covers: tuple[str, ...]
    run: ObservedRun

    @classmethod
    def of(cls, work: Work) -> Ending:
        """The end of that work."""
        run = ObservedRun.of(work).going_on()
        return cls(work.settings, work.plan.schedule, tuple(work.plan.covers), run)

    def record(self) -> None:
        """Write the run's row and what is unlike the weeks before; the marts are copied after."""
        self.run.record_end()
        timezone = self.settings.business_timezone
        with self.run.engine.begin() as connection:
            self.run.lease.fence(connection)
            period = period_of(_gap(self.schedule.cron, timezone))
            found = find_anomalies(connection, self.run.run_id, period, timezone)
            name = connection.execute(
                select(RUN_ENDS.c.schedule).where(RUN_ENDS.c.run_id == self.run.run_id)
            ).scalar()
            if name is not None:
                as_of = naive_utc(self.run.as_of)
                record_anomalies(connection, self.run.run_id, name, as_of, found)

    def tell(self) -> None:
        """Write what others read. A run that has built all is no failure where that cannot be."""
        with self._told():
            # Again: on Athena what it cost is known only once the marts have been copied.
            self.run.record_end()
        with self._told():
            from synapse.observe.openmetrics import write_openmetrics

            write_openmetrics(self.settings)
        if _SUMMARISED in self.covers:
            with self._told():
                from synapse.observe.quality import read_quality
                from synapse.observe.quality_files import write_quality

                day = last_complete_date(self.run.as_of, self.settings.business_timezone)
                write_quality(self.settings, read_quality(self.settings, day))

    def log_end(self) -> None:
        """Say how it ended, in numbers."""
        if self.run.log.is_silent:
            return
        with self._told(), open_reader(self.settings.state) as reader:
            for row in reader.rows(
                "select status, nodes, tests, tests_warned, tests_failed, milliseconds, "
                "cost_nanodollars, scanned_bytes from run_ends where run_id = :run_id",
                run_id=self.run.run_id,
            ):
                said = self.run.log.error if row["status"] == "failed" else self.run.log.info
                said("run_ended", **row)
            for row in reader.rows(
                "select kind, subject, observed, median from anomalies where run_id = :run_id",
                run_id=self.run.run_id,
            ):
                self.run.log.warning("unlike_before", **row)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What cannot be written is told, and stops nothing."""
        try:
            yield
        except (SynapseError, SQLAlchemyError, OSError) as error:
            self.run.log.warning("not_written", error=type(error).__name__)


@contextlib.contextmanager
def recorded(work: Work) -> Iterator[None]:
    """Record how a run ended, whichever way, and copy the ledger to where the marts read it."""
    ending = Ending.of(work)
    ending.run.log.info("run_started", as_of=work.as_of, steps=len(work.plan.steps))
    try:
        yield
    except BaseException as error:
        ending.run.log.error("run_broke_off", error=type(error).__name__)
        # What went wrong matters more than a store or a warehouse that cannot be had.
        with contextlib.suppress(SynapseError, SQLAlchemyError):
            ending.record()
        with contextlib.suppress(SynapseError, SQLAlchemyError):
            work.warehouse.record_runs()
        ending.tell()
        ending.log_end()
        raise
    ending.record()
    work.warehouse.record_runs()
    ending.tell()
    ending.log_end()


def _gap(cron: str, timezone: str) -> timedelta:
    times = islice(times_after(cron, datetime.now(UTC), timezone), 4)
    return min(later - earlier for earlier, later in pairwise(times))

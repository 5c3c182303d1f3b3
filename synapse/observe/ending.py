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
from synapse.observe.tables import RUN_ENDS
from synapse.runner.clock import naive_utc
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
        run = ObservedRun(work.history.engine, work.lease, work.run_id, work.as_of)
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
        with _unimportant():
            # Again: on Athena what it cost is known only once the marts have been copied.
            self.run.record_end()
        with _unimportant():
            from synapse.observe.openmetrics import write_openmetrics

            write_openmetrics(self.settings)
        if _SUMMARISED in self.covers:
            with _unimportant():
                from synapse.observe.quality import last_complete_date, read_quality
                from synapse.observe.quality_files import write_quality

                day = last_complete_date(self.run.as_of, self.settings.business_timezone)
                write_quality(self.settings, read_quality(self.settings, day))


@contextlib.contextmanager
def recorded(work: Work) -> Iterator[None]:
    """Record how a run ended, whichever way, and copy the ledger to where the marts read it."""
    ending = Ending.of(work)
    try:
        yield
    except BaseException:
        # What went wrong matters more than a store or a warehouse that cannot be had.
        with contextlib.suppress(SynapseError, SQLAlchemyError):
            ending.record()
        with contextlib.suppress(SynapseError, SQLAlchemyError):
            work.warehouse.record_runs()
        ending.tell()
        raise
    ending.record()
    work.warehouse.record_runs()
    ending.tell()


@contextlib.contextmanager
def _unimportant() -> Iterator[None]:
    try:
        yield
    except (SynapseError, SQLAlchemyError, OSError) as error:
        from synapse.observe.log import warn

        warn("not_written", error)


def _gap(cron: str, timezone: str) -> timedelta:
    times = islice(times_after(cron, datetime.now(UTC), timezone), 4)
    return min(later - earlier for earlier, later in pairwise(times))

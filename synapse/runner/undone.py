"""Runs that were taken back, in the run history: they count no more for what comes next."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import insert, select, update

from synapse.errors import SynapseError
from synapse.runner.clock import utc_now
from synapse.runner.history import SCHEDULE_RUNS, RunHistory

_SCHEDULE = "rollback"
_UNDONE = "rolled_back"


class UndoneRuns:
    """Writes rollbacks into the history at an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self._history = RunHistory(url)  # makes the table where it is not there
        self._engine = self._history.engine

    @contextlib.contextmanager
    def rollback(self, run_id: str) -> Iterator[list[str]]:
        """Record that this run and all later ones are being taken back; yields them, newest first.

        While the block runs, and when it was killed, `require_none` refuses. Where it raises
        SynapseError, nothing was changed.
        """
        runs = SCHEDULE_RUNS.c
        rollback_id = f"{_SCHEDULE}-{uuid.uuid4().hex}"
        with self._engine.begin() as connection:
            first = connection.execute(select(SCHEDULE_RUNS).where(runs.run_id == run_id)).first()
            if first is None:
                raise SynapseError(f"run {run_id} is not in the history of this state store")
            later = connection.execute(
                select(runs.run_id)
                .where(runs.started_at >= first.started_at, runs.schedule != _SCHEDULE)
                .order_by(runs.started_at.desc(), runs.run_id)
            ).all()
            connection.execute(
                insert(SCHEDULE_RUNS).values(
                    run_id=rollback_id,
                    schedule=_SCHEDULE,
                    status="running",
                    as_of=first.as_of,
                    started_at=utc_now(),
                    detail=f"back to before run {run_id}",
                )
            )
        try:
            yield [row.run_id for row in later]
        except SynapseError:
            self._finish(rollback_id, "failed", first.as_of)
            raise
        with self._engine.begin() as connection:
            undone = runs.run_id.in_([row.run_id for row in later])
            connection.execute(update(SCHEDULE_RUNS).where(undone).values(status=_UNDONE))
            # The next run builds, whatever an earlier one was built from.
            connection.execute(update(SCHEDULE_RUNS).values(fingerprint=None))
            interrupted = (runs.schedule == _SCHEDULE) & (runs.status == "running")
            connection.execute(
                update(SCHEDULE_RUNS)
                .where(interrupted & (runs.run_id != rollback_id))
                .values(status="failed", finished_at=utc_now())
            )
        self._finish(rollback_id, _UNDONE, first.as_of)

    def _finish(self, rollback_id: str, status: str, as_of: datetime) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(SCHEDULE_RUNS)
                .where(SCHEDULE_RUNS.c.run_id == rollback_id)
                .values(status=status, as_of=as_of, finished_at=utc_now())
            )

    def require_none(self) -> None:
        """Raise SynapseError where a rollback is at work or was interrupted."""
        runs = SCHEDULE_RUNS.c
        with self._engine.connect() as connection:
            row = connection.execute(
                select(runs.detail).where(runs.schedule == _SCHEDULE, runs.status == "running")
            ).first()
        if row is not None:
            raise SynapseError(
                f"a rollback ({row.detail}) is at work or was interrupted: wait for it, or repeat "
                "it, before anything is built"
            )

    def close(self) -> None:
        """Release the store's connections."""
        self._history.close()

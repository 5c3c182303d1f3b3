"""Each time of a schedule is run once, whoever tries: the ledger of occurrences.

A claim is made in the transaction that records the run's beginning, under the schedule's lease and
behind its fence. So there is never a second one at work, and a run that was killed leaves an
occurrence that the next holder of the lease sees to be open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    String,
    Table,
    Text,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from synapse.errors import SynapseError
from synapse.runner.clock import naive_utc, utc_now
from synapse.runner.history import SCHEDULE_RUNS
from synapse.runner.run_ledger import METADATA
from synapse.state_store import make_tables, put

ATTEMPTS = 3
"""So often an occurrence is begun whose runs are killed; then a person has to look."""

OCCURRENCES = Table(
    "occurrences",
    METADATA,
    Column("schedule", String(64), primary_key=True),
    Column("occurs_at", DateTime, primary_key=True),
    # begun: its run tells the rest. missed, refused: nothing ran, for the reason given.
    Column("state", String(16), nullable=False),
    Column("run_id", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("noted_at", DateTime, nullable=False),
    Column("reason", Text),
)
_ENDED = ("succeeded", "unchanged", "failed")


class OccurrenceDoneError(SynapseError):
    """This time of the schedule has been run, or given up: there is nothing to do."""

    exit_code = 0


@dataclass(frozen=True)
class Claim:
    """Called as a run begins, in that transaction: the occurrence is this run's, or it raises."""

    schedule: str
    occurs_at: datetime

    def __call__(self, connection: Connection, run_id: str) -> None:
        """Claim it for that run. Raises OccurrenceDoneError."""
        row = _row(connection, self.schedule, self.occurs_at)
        if row is not None and _is_done(connection, row):
            raise OccurrenceDoneError(
                f"{self.schedule} of {self.occurs_at:%Y-%m-%d %H:%M} UTC was {row.state} already"
                + (f" by run {row.run_id}" if row.run_id else f": {row.reason}")
            )
        put(
            connection,
            OCCURRENCES,
            {"schedule": self.schedule, "occurs_at": naive_utc(self.occurs_at)},
            {
                "state": "begun",
                "run_id": run_id,
                "attempts": 1 if row is None else row.attempts + 1,
                "noted_at": utc_now(),
                "reason": None,
            },
        )


class Occurrences:
    """Reads and notes occurrences; the engine is its caller's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, METADATA)

    def is_done(self, schedule: str, occurs_at: datetime) -> bool:
        """True once it has been run to an end, was missed, refused or given up."""
        with self._engine.connect() as connection:
            row = _row(connection, schedule, occurs_at)
            return row is not None and _is_done(connection, row)

    def newest(self, schedule: str) -> datetime | None:
        """The newest occurrence (aware) that anything is known of."""
        query = select(func.max(OCCURRENCES.c.occurs_at)).where(OCCURRENCES.c.schedule == schedule)
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else found.replace(tzinfo=UTC)

    def open_ones(self, schedule: str) -> list[datetime]:
        """Occurrences (aware) that were begun and have not ended, earliest first."""
        query = (
            select(OCCURRENCES)
            .where(OCCURRENCES.c.schedule == schedule, OCCURRENCES.c.state == "begun")
            .order_by(OCCURRENCES.c.occurs_at.desc())
            .limit(50)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            found = [row.occurs_at for row in rows if not _is_done(connection, row)]
        return [moment.replace(tzinfo=UTC) for moment in sorted(found)]

    def note(self, schedule: str, occurs_at: datetime, state: str, reason: str) -> bool:
        """Note one that nobody ran (missed or refused); False where it is known already."""
        values = {
            "schedule": schedule,
            "occurs_at": naive_utc(occurs_at),
            "state": state,
            "attempts": 0,
            "noted_at": utc_now(),
            "reason": reason,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(OCCURRENCES).values(**values))
        except IntegrityError:
            return False
        return True


def _row(connection: Connection, schedule: str, occurs_at: datetime) -> Row[Any] | None:
    return connection.execute(
        select(OCCURRENCES).where(
            OCCURRENCES.c.schedule == schedule, OCCURRENCES.c.occurs_at == naive_utc(occurs_at)
        )
    ).one_or_none()


def _is_done(connection: Connection, row: Row[Any]) -> bool:
    if row.state != "begun" or row.attempts >= ATTEMPTS:
        return True
    query = select(SCHEDULE_RUNS.c.status).where(SCHEDULE_RUNS.c.run_id == row.run_id)
    return connection.execute(query).scalar() in _ENDED

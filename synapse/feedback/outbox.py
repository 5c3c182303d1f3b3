"""What each channel has been told, in the state store; the rest of the quarantine waits for it.

The quarantine index itself is the outbox: an entry waits for a channel until its present state is
recorded as told there. A run that is killed between telling and recording tells again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Engine

from synapse.feedback.event import Event
from synapse.ingest import tables as t
from synapse.ingest.quarantine_index import Entry, entry_of
from synapse.runner.clock import utc_now
from synapse.state_store import make_tables

_METADATA = MetaData()
_DELIVERIES = Table(
    "feedback_deliveries",
    _METADATA,
    Column("channel", String(16), primary_key=True),
    Column("entry_id", String(16), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("attempts", Integer, primary_key=True),
    Column("delivered_at", DateTime, nullable=False),
)


class Outbox:
    """Reads what waits for a channel and records what it has taken."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, _METADATA)

    def batches(self, channel: str, size: int) -> Iterator[list[Entry]]:
        """Everything that waits for the channel, in batches: memory is that of one batch."""
        last = ""
        while True:
            query = (
                select(t.QUARANTINE)
                .where(t.QUARANTINE.c.id > last, _waits(channel))
                .order_by(t.QUARANTINE.c.id)
                .limit(size)
            )
            with self._engine.connect() as connection:
                batch = [entry_of(row) for row in connection.execute(query)]
            if not batch:
                return
            yield batch
            last = batch[-1].id

    def count(self, channel: str) -> int:
        """How many entries wait for the channel."""
        query = select(func.count()).select_from(t.QUARANTINE).where(_waits(channel))
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def told(self, channel: str, events: Sequence[Event]) -> None:
        """Record that the channel has taken these events."""
        if not events:
            return
        now = utc_now()
        rows = [
            {
                "channel": channel,
                "entry_id": event.entry_id,
                "state": event.state,
                "attempts": event.attempts,
                "delivered_at": now,
            }
            for event in events
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(_DELIVERIES), rows)


def _waits(channel: str) -> ColumnElement[bool]:
    entry, told = t.QUARANTINE.c, _DELIVERIES.c
    is_same = and_(
        told.channel == channel,
        told.entry_id == entry.id,
        told.state == entry.state,
        told.attempts == entry.attempts,
    )
    return ~select(told.entry_id).where(is_same).exists()

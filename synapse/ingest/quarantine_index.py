"""The index of the quarantine in the state store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.engine import Engine, Row

from synapse.ingest import tables as t
from synapse.ingest.ledger_rows import add_counts
from synapse.ingest.model import Counts, Kind, Refusal, Unit
from synapse.ingest.store import Resolution
from synapse.runner.clock import utc_now


@dataclass(frozen=True)
class Entry:
    """A quarantine entry as people see it; timestamps are naive UTC.

    number: 1-based row or record in the file. state: open, replayed or discarded.
    """

    id: str
    source: str
    kind: Kind
    unit: Unit
    path: str
    sha256: str
    number: int | None
    byte_start: int | None
    byte_end: int | None
    rule: str
    sentence: str
    kafka_partition: int | None
    kafka_offset: int | None
    run_id: str
    first_seen: datetime
    last_attempt: datetime
    attempts: int
    state: str
    reason: str | None


def entry_of(row: Row[Any]) -> Entry:
    """A row of the index (columns of tables.QUARANTINE)."""
    return Entry(**{**row._mapping, "kind": Kind(row.kind), "unit": Unit(row.unit)})


class QuarantineIndex:
    """Reads and changes the index."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(
        self,
        *,
        state: str | None = "open",
        source: str | None = None,
        ids: Iterable[str] | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """Entries by source, path and number. ids may be beginnings of ids."""
        table = t.QUARANTINE.c
        query = select(t.QUARANTINE).order_by(table.source, table.path, table.number).limit(limit)
        if state is not None:
            query = query.where(table.state == state)
        if source is not None:
            query = query.where(table.source == source)
        if ids is not None:
            query = query.where(or_(*(table.id.startswith(key) for key in ids)))
        with self._engine.connect() as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def resolve(self, resolutions: Iterable[Resolution], run_id: str) -> None:
        """Apply replays and discards to entries that are open, and move their counts.

        A replayed row or record moves from quarantined to accepted; the counts of a file that was
        refused as a whole are settled by whoever reads it again.
        """
        with self._engine.begin() as connection:
            moved: dict[str, Counts] = {}
            for item in resolutions:
                entry = connection.execute(
                    select(t.QUARANTINE).where(
                        t.QUARANTINE.c.id == item.id, t.QUARANTINE.c.state == "open"
                    )
                ).first()
                if entry is None:
                    continue
                connection.execute(
                    update(t.QUARANTINE)
                    .where(t.QUARANTINE.c.id == item.id)
                    .values(
                        state=item.state,
                        attempts=item.attempts,
                        last_attempt=item.at,
                        reason=item.reason,
                    )
                )
                if item.state == "replayed" and entry.unit != Unit.FILE:
                    count = moved.setdefault(entry.source, Counts())
                    count.accepted += 1
                    count.quarantined -= 1
            add_counts(connection, run_id, moved)

    def try_again(self, refusals: Iterable[Refusal]) -> None:
        """Record that entries failed once more, and why now."""
        with self._engine.begin() as connection:
            for refusal in refusals:
                connection.execute(
                    update(t.QUARANTINE)
                    .where(t.QUARANTINE.c.id == refusal.id)
                    .values(
                        attempts=t.QUARANTINE.c.attempts + 1,
                        last_attempt=utc_now(),
                        rule=refusal.rule,
                        sentence=refusal.sentence,
                    )
                )

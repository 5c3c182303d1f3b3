"""The topic conversations: deliveries of documents as records, and their truth."""

from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.calendar import HOUR_US, Calendar
from synapse.generate.documents import Delivery
from synapse.generate.frames import decimals
from synapse.generate.kafka import topic_path
from synapse.generate.landing import LandedFile

TOPIC = "conversations"
_FLUSH_HOURS = 6


@dataclass(frozen=True)
class Landed:
    """A delivery and the day on which it arrived."""

    delivery: Delivery
    arrival_day: int


@dataclass
class DocumentTopic:
    """Writes document deliveries (one partition) and remembers them in order of offset."""

    calendar: Calendar
    deliveries: list[Landed] = field(default_factory=list)
    _offset: int = 0

    def day(self, day: int, deliveries: list[Delivery]) -> list[LandedFile]:
        """The files of a day's deliveries (in order of time)."""
        start = self.calendar.start_us(day)
        slots: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            slot = (delivery.at_us - start) // (_FLUSH_HOURS * HOUR_US)
            slots.setdefault(slot, []).append(delivery)
        files = []
        for slot, batch in slots.items():
            flushed = start + (slot + 1) * _FLUSH_HOURS * HOUR_US
            path = topic_path(TOPIC, flushed, 0, self._offset)
            files.append(LandedFile(path, day, len(batch), 0, partial(_render, batch)))
            self.deliveries.extend(Landed(delivery, day) for delivery in batch)
            self._offset += len(batch)
        return files

    def latest(self, days: int) -> list[Delivery]:
        """The last delivery of each document among those that arrived before day `days`, by id."""
        newest = {
            landed.delivery.document.id: landed.delivery
            for landed in self.deliveries
            if landed.arrival_day < days
        }
        return [newest[one] for one in sorted(newest)]


def _render(batch: list[Delivery]) -> bytes:
    return b"".join(one.document.render(one.count) + b"\n" for one in batch)


def truth(latest: list[Delivery]) -> pa.Table:
    """The columns of truth/document_messages.parquet: one row per message."""
    rows = [
        (delivery.document, position, delivery.document.lines[position], delivery.count)
        for delivery in latest
        for position in range(delivery.count)
    ]
    mood = [line.sentiment for _, _, line, _ in rows]
    times = pa.timestamp("us")
    return pa.table(
        {
            "conversation_id": pa.array([one.id for one, _, _, _ in rows], pa.string()),
            "user_id": pa.array([one.user_id for one, _, _, _ in rows], pa.int64()),
            "position": pa.array([place for _, place, _, _ in rows], pa.int32()),
            "role": pa.array([line.role for _, _, line, _ in rows], pa.string()),
            "content": pa.array([line.content for _, _, line, _ in rows], pa.string()),
            "sent_at": pa.array([line.sent_us for _, _, line, _ in rows], times),
            "model": pa.array([line.model for _, _, line, _ in rows], pa.string()),
            "token_count": pa.array([line.tokens for _, _, line, _ in rows], pa.int64()),
            "sentiment": _decimals(mood),
            "channel": pa.array(
                [catalogue.PLATFORMS[one.platform] for one, _, _, _ in rows], pa.string()
            ),
            "language": pa.array([one.language for one, _, _, _ in rows], pa.string()),
            "created_at": pa.array([one.created_us for one, _, _, _ in rows], times),
            "message_count": pa.array([count for _, _, _, count in rows], pa.int32()),
        }
    )


def _decimals(values: list[int | None]) -> pa.Array:
    import numpy as np

    filled = np.array([0 if value is None else value for value in values], dtype=np.int64)
    return decimals(filled, np.array([value is None for value in values], dtype=np.bool_))

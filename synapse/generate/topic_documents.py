"""The topic conversations: deliveries of documents as records, and their truth."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.bad_records import bad_documents
from synapse.generate.calendar import DAY_US, Calendar
from synapse.generate.documents import Delivery
from synapse.generate.frames import decimals
from synapse.generate.hazards import Fate, Fates, Rates
from synapse.generate.kafka import Segment
from synapse.generate.landing import LandedFile
from synapse.generate.streams import Stream, Streams

TOPIC = "conversations"
_SLOTS = 3  # files a day
_SLOT_US = DAY_US // _SLOTS


@dataclass(frozen=True)
class Landed:
    """A delivery and the day on which it arrived."""

    delivery: Delivery
    arrival_day: int


@dataclass
class DocumentTopic:
    """Writes document deliveries (one partition) and remembers them in order of offset."""

    calendar: Calendar
    streams: Streams
    rates: Rates
    fates: Fates
    deliveries: list[Landed] = field(default_factory=list)
    _offset: int = 0

    def day(self, day: int, deliveries: list[Delivery]) -> list[LandedFile]:
        """The files of a day's deliveries (in order of time); the warm-up's land on day 0."""
        landed = max(day, 0)
        start = self.calendar.start_us(landed)
        slots: dict[int, list[Delivery]] = {}
        for delivery in self._with_repeats(day, deliveries):
            slots.setdefault(max(delivery.at_us - start, 0) // _SLOT_US, []).append(delivery)
        fates = self.fates.of(day, _SLOTS) if day >= 0 else [Fate()] * _SLOTS
        files: list[LandedFile] = []
        for slot, batch in slots.items():
            fate = fates[slot]
            bad = bad_documents(landed, slot) if fate.bad else []
            segment = Segment(
                topic=TOPIC,
                day=landed,
                flushed_us=start + (slot + 1) * _SLOT_US,
                partition=0,
                offset=self._offset,
                records=len(batch),
                lines=partial(_render, batch),
                bad=bad,
            )
            files += segment.files(fate)
            self.deliveries += [Landed(delivery, landed + fate.delay) for delivery in batch]
            self._offset += len(batch) + len(bad)
        return files

    def _with_repeats(self, day: int, deliveries: list[Delivery]) -> list[Delivery]:
        """A producer that heard no answer sends the same state again, at the next offset."""
        again = self.streams.at(Stream.KAFKA_DOCUMENTS, day).random(len(deliveries))
        out: list[Delivery] = []
        for delivery, draw in zip(deliveries, again.tolist(), strict=True):
            out += [delivery] * (2 if draw < self.rates.redelivered else 1)
        return out

    def latest(self, days: int) -> list[Delivery]:
        """The last delivery of each document among those that arrived before day `days`, by id."""
        newest = {
            landed.delivery.document.id: landed.delivery
            for landed in self.deliveries
            if landed.arrival_day < days
        }
        return [newest[one] for one in sorted(newest)]


def _render(batch: list[Delivery], first: int, last: int) -> bytes:
    return b"".join(one.document.render(one.count) + b"\n" for one in batch[first:last])


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
    filled = np.array([0 if value is None else value for value in values], dtype=np.int64)
    return decimals(filled, np.array([value is None for value in values], dtype=np.bool_))

"""Lands the table payments as a Debezium topic (MySQL): snapshot rows, changes, tombstones."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from synapse.generate.bad_records import bad_envelopes
from synapse.generate.calendar import DAY_US, HOUR_US, Calendar
from synapse.generate.dms import LOAD_HOUR, history_schema
from synapse.generate.frames import Ints, moments, numpy_of
from synapse.generate.hazards import Fate, Fates
from synapse.generate.kafka import Segment
from synapse.generate.landing import LandedFile
from synapse.generate.sourcelog import SourceLog
from synapse.generate.tables import SCHEMAS, key_of

TABLE = "payments"
TOPIC = f"cdc.synapse.{TABLE}"
_SLOTS = 2  # files a day
_SLOT_US = DAY_US // _SLOTS
_OPS = {"I": "c", "U": "u", "D": "d"}
_KEY = key_of(TABLE)
# Some of the messages carry their schema with them: a converter was left on for a while.
_WRAPPED_EVERY = 9
_ENVELOPE = {"type": "struct", "optional": False, "name": "synapse.synapse.payments.Envelope"}

Row = dict[str, Any]


@dataclass(frozen=True)
class _Record:
    at_us: int
    line: bytes
    payload: Row | None  # None for a tombstone


@dataclass
class PaymentTopic:
    """The Debezium connector of payments."""

    calendar: Calendar
    fates: Fates
    history: list[pa.Table] = field(default_factory=list)
    log: SourceLog = field(default_factory=lambda: SourceLog(TABLE))
    _images: dict[int, Row] = field(default_factory=dict)
    _offset: int = 0
    _file: int = 11
    _position: int = 157

    def snapshot(self, day: int) -> list[LandedFile]:
        """The rows of the source when the connector started, at the hour of the full load."""
        moment = self.calendar.start_us(day) + LOAD_HOUR * HOUR_US
        rows = self.log.living(moment)
        images = _images(rows)
        records = []
        for number, image in enumerate(images):
            kind = "first" if number == 0 else "last" if number == len(images) - 1 else "true"
            self._images[image[_KEY]] = image
            source = self._source(moment // 1_000, kind, 0)
            payload = _payload(None, image, "r", source)
            records.append(_Record(moment, _line(payload, wrapped=False), payload))
        count = len(rows)
        self._remember(
            rows,
            op=pa.repeat("L", count),
            seq=pa.nulls(count, pa.string()),
            arrival=np.full(count, day, dtype=np.int64),
            committed=np.full(count, moment, dtype=np.int64),
        )
        # The snapshot is complete on its day; what may be late are changes.
        return self._land(day, records, [Fate()] * _SLOTS)

    def changes(self, day: int, changes: pa.Table) -> list[LandedFile]:
        """The files of a day's changes (in commit order, from the snapshot on)."""
        if day % 7 == 0:
            self._file, self._position = self._file + 1, 157
        records: list[_Record] = []
        ops = changes["op"].to_pylist()
        committed_us = numpy_of(changes["committed_us"])
        fates = self.fates.of(day, _SLOTS)
        delays = np.array([fate.delay for fate in fates], dtype=np.int64)
        seq: list[str] = []
        before_ms, row = -1, 0
        for op, image, at_us in zip(ops, _images(changes), committed_us.tolist(), strict=True):
            at_ms = at_us // 1_000
            # What commits in the same millisecond is one transaction's row event here.
            row = row + 1 if at_ms == before_ms else 0
            self._position += 0 if row else 311 + image[_KEY] % 97
            before_ms = at_ms
            source = self._source(at_ms, "false", row)
            seq.append(f"{self._file:010d}{self._position:020d}{row:05d}")
            wrapped = image[_KEY] % _WRAPPED_EVERY == 0
            before = self._images.get(image[_KEY])
            after = None if op == "D" else image
            payload = _payload(before, after, _OPS[op], source)
            records.append(_Record(at_us, _line(payload, wrapped=wrapped), payload))
            if op == "D":
                self._images.pop(image[_KEY], None)
                records.append(_Record(at_us, b"null\n", None))
            else:
                self._images[image[_KEY]] = image
        self._remember(
            changes,
            op=changes["op"].combine_chunks(),
            seq=pa.array(seq, pa.string()),
            arrival=day + delays[_slots(committed_us, self.calendar.start_us(day))],
            committed=committed_us,
        )
        return self._land(day, records, fates)

    def _source(self, at_ms: int, snapshot: str, row: int) -> Row:
        return {
            "version": "3.1.2.Final",
            "connector": "mysql",
            "name": "synapse",
            "ts_ms": at_ms,
            "snapshot": snapshot,
            "db": "synapse",
            "table": TABLE,
            "server_id": 184054,
            "file": f"mysql-bin.{self._file:06d}",
            "pos": self._position,
            "row": row,
        }

    def _land(self, day: int, records: list[_Record], fates: list[Fate]) -> list[LandedFile]:
        start = self.calendar.start_us(day)
        slots: dict[int, list[_Record]] = {}
        for record in records:
            slots.setdefault((record.at_us - start) // _SLOT_US, []).append(record)
        files: list[LandedFile] = []
        for slot, batch in slots.items():
            fate = fates[slot]
            good = [record.payload for record in batch if record.payload is not None]
            bad = bad_envelopes(day, slot, good[0]) if fate.bad else []
            lines = [record.line for record in batch]
            segment = Segment(
                topic=TOPIC,
                day=day,
                flushed_us=start + (slot + 1) * _SLOT_US,
                partition=0,
                offset=self._offset,
                records=len(batch),
                lines=partial(_joined, lines),
                bad=bad,
            )
            files += segment.files(fate)
            self._offset += len(batch) + len(bad)
        return files

    def _remember(
        self, rows: pa.Table, *, op: pa.Array, seq: pa.Array, arrival: Ints, committed: Ints
    ) -> None:
        columns = [
            op,
            pa.array(committed),
            pa.nulls(len(rows), pa.int64()),
            seq,
            pa.array(np.ones(len(rows), dtype=np.int64)),
            pa.array(arrival),
            *rows.select(SCHEMAS[TABLE].names).columns,
        ]
        schema = history_schema(TABLE)
        self.history.append(pa.Table.from_arrays(columns, names=schema.names).cast(schema))


def _images(rows: pa.Table) -> list[Row]:
    """Row images in Debezium's three encodings of a time: ms, microseconds, and ISO text."""
    columns: Row = {name: rows[name].to_pylist() for name in SCHEMAS[TABLE].names[:6]}
    paid = rows["paid_at"].cast(pa.int64()).to_pylist()
    columns["paid_at"] = [None if value is None else value // 1_000 for value in paid]
    columns["created_at"] = rows["created_at"].cast(pa.int64()).to_pylist()
    updated = rows["updated_at"].cast(pa.int64()).fill_null(0).combine_chunks()
    stamps = moments(numpy_of(updated), "T", 3).to_pylist()
    columns["updated_at"] = [f"{stamp}Z" for stamp in stamps]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _slots(committed_us: Ints, start_us: int) -> Ints:
    return np.asarray((committed_us - start_us) // _SLOT_US, dtype=np.int64)


def _joined(lines: list[bytes], first: int, last: int) -> bytes:
    return b"".join(lines[first:last])


def _payload(before: Row | None, after: Row | None, op: str, source: Row) -> Row:
    return {
        "before": before,
        "after": after,
        "source": source,
        "op": op,
        "ts_ms": source["ts_ms"] + 137,
        "transaction": None,
    }


def _line(payload: Row, *, wrapped: bool) -> bytes:
    record = {"schema": _ENVELOPE, "payload": payload} if wrapped else payload
    return orjson.dumps(record) + b"\n"

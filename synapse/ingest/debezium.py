"""Debezium envelopes to the shape of DMS change rows, so that silver reads both alike."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from synapse.declarations import DmsTable
from synapse.ingest.model import Kind
from synapse.ingest.shapes import Batch, Rows

_OPS = {"c": "I", "u": "U", "d": "D", "r": "I", "t": "T"}
_KINDS = {"r": Kind.LOAD, "t": Kind.TRUNCATE}
_FILE_NUMBER = re.compile(r"([0-9]+)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SENTENCE = 200
# Debezium writes this for a large PostgreSQL value that an update did not touch.
_UNAVAILABLE = "__debezium_unavailable_value"
_NANOSECONDS_OF = {
    "org.apache.kafka.connect.data.Timestamp": 1_000_000,
    "io.debezium.time.Timestamp": 1_000_000,
    "io.debezium.time.MicroTimestamp": 1_000,
    "io.debezium.time.NanoTimestamp": 1,
}


class EnvelopeError(ValueError):
    """(rule, sentence) of an envelope that cannot become a change."""


@dataclass(frozen=True)
class _Change:
    kind: Kind
    op: str
    committed_at: str
    sequence: str | None
    image: dict[str, Any]
    before_key: dict[str, Any]


class DebeziumShape:
    """A row a change: Op, commit time, sequence, declared columns, BI_<key> when a key changed."""

    def __init__(self, table: DmsTable) -> None:
        self._table = table
        self.source = table.source
        self.columns = table.landed_columns
        self.time_column = table.commit_column
        self.sort_by = (table.sequence_column, *table.key)
        # Undeclared columns are looked for in the images, not in the envelope.
        self.fields = frozenset(column.name for column in table.columns)

    def unwrap(self, value: Any) -> Any:
        """The envelope without its {schema, payload} wrapper; None is a tombstone."""
        if isinstance(value, dict) and "payload" in value and "op" not in value:
            return value["payload"]
        return value

    def rows(self, batch: Batch) -> Rows:
        """Flatten envelopes; a truncate (op t) gives a row without a key."""
        columns: dict[str, list[Any]] = {column.name: [] for column in self.columns}
        rows = Rows(columns, [], kinds=[])
        assert rows.kinds is not None
        for index, value in enumerate(batch.values):
            envelope = self.unwrap(value)
            try:
                change = self._change(envelope, _field_types(value))
            except EnvelopeError as error:
                rows.refused[index] = error.args[0], error.args[1]
                continue
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                # The JSON Schema leaves open what Connect's encodings may hold.
                said = f"the envelope cannot be read: {error}"
                rows.refused[index] = "schema", said[:_SENTENCE]
                continue
            table = self._table
            row = {
                **{column.name: change.image.get(column.name) for column in table.columns},
                **{f"BI_{key}": value for key, value in change.before_key.items()},
                table.op_column: change.op,
                table.commit_column: change.committed_at,
                table.sequence_column: change.sequence,
            }
            for column in self.columns:
                columns[column.name].append(row.get(column.name))
            rows.record_of.append(index)
            rows.kinds.append(change.kind)
        return rows

    def _change(self, envelope: dict[str, Any], types: dict[str, dict[str, Any]]) -> _Change:
        op, source = envelope["op"], envelope["source"]
        kind = _KINDS.get(op, Kind.CHANGE)
        if kind is Kind.TRUNCATE:
            return _Change(
                kind=kind,
                op=_OPS[op],
                committed_at=_moment(source["ts_ms"]),
                sequence=self._sequence(source),
                image={},
                before_key={},
            )
        image = envelope["before"] if op == "d" else envelope["after"]
        image = {name: _plain(value, types.get(name)) for name, value in image.items()}
        lacking = [key for key in self._table.key if image.get(key) is None]
        if lacking:
            raise EnvelopeError("key_present", f"the key {', '.join(lacking)} must not be NULL")
        for name, value in image.items():
            if value == _UNAVAILABLE:
                raise EnvelopeError(
                    "column_type",
                    f"{name} was not delivered ({_UNAVAILABLE}); set REPLICA IDENTITY FULL on the "
                    "source table, or replay once a full image has landed",
                )
        before = (envelope.get("before") or {}) if op == "u" else {}
        moved = any(before.get(key) not in (None, image[key]) for key in self._table.key)
        return _Change(
            kind=kind,
            op=_OPS[op],
            committed_at=_moment(source["ts_ms"]),
            sequence=None if kind is Kind.LOAD else self._sequence(source),
            image=image,
            before_key={key: before.get(key) for key in self._table.key} if moved else {},
        )

    def _sequence(self, source: dict[str, Any]) -> str | None:
        """35 digits that order changes: binlog file, position and row, or the PostgreSQL LSN."""
        if source.get("lsn") is not None:
            return f"{source['lsn']:030d}00000"
        number = _FILE_NUMBER.search(source.get("file") or "")
        if number and source.get("pos") is not None:
            return f"{int(number[1]):010d}{source['pos']:020d}{source.get('row') or 0:05d}"
        if self._table.sequence:
            raise EnvelopeError(
                "sequence",
                "the source has neither lsn nor file and pos, so the change cannot be ordered",
            )
        return None


def _moment(milliseconds: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _field_types(value: Any) -> dict[str, dict[str, Any]]:
    """Column -> its Connect schema, when the record carries one."""
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, dict):
        return {}
    for part in schema.get("fields") or []:
        if part.get("field") in ("after", "before") and part.get("fields"):
            return {column["field"]: column for column in part["fields"]}
    return {}


def _plain(value: Any, schema: dict[str, Any] | None) -> Any:
    """A value of a column freed of Connect's encodings, which only its schema tells."""
    if value is None or schema is None:
        return value
    name = schema.get("name")
    if name == "org.apache.kafka.connect.data.Decimal" and isinstance(value, str):
        unscaled = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
        scale = int(schema.get("parameters", {}).get("scale", 0))
        # Built from digits: arithmetic would round to the context's 28.
        digits = tuple(int(digit) for digit in str(abs(unscaled)))
        return format(Decimal((int(unscaled < 0), digits, -scale)), "f")
    if name in _NANOSECONDS_OF and isinstance(value, int):
        microseconds = value * _NANOSECONDS_OF[name] // 1_000
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    return value

"""How a record of a topic becomes rows: the shape of the consolidated Parquet of each topic."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from synapse.declarations import Column, Topic, moments_of
from synapse.ingest.convert import canonical_json
from synapse.ingest.model import Kind
from synapse.ingest.records import Records

# What marks the exponent of a float of 10^16 and more: b"e+", without the sign in older orjson.
_MARK = canonical_json(1e16).strip(b"0123456789.")
_EXPONENT = re.compile(rb"[0-9]%s[0-9]" % re.escape(_MARK))


@dataclass
class Batch:
    """Valid records of one or more files, column-wise: value, file and position of each record."""

    files: list[Records] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    file_of: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)

    def raw(self, index: int) -> bytes:
        """The bytes of the record at that index of the batch."""
        return self.files[self.file_of[index]].raw(self.position[index])


@dataclass
class Rows:
    """Rows made of a batch: values by column name, and for each row the record it came from.

    refused: index of a record -> (rule, sentence). kinds: Kind of each row, None when all are
    records of a topic.
    """

    columns: dict[str, list[Any]]
    record_of: list[int]
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)
    kinds: list[Kind] | None = None


@dataclass(frozen=True)
class Rowset:
    """Typed rows of one kind."""

    kind: Kind
    table: pa.Table


class Shape(Protocol):
    """What differs between topics."""

    source: str
    columns: tuple[Column, ...]
    time_column: str
    sort_by: tuple[str, ...]
    fields: frozenset[str]

    def unwrap(self, value: Any) -> Any:
        """The record proper, for validation; None is a tombstone."""
        ...

    def rows(self, batch: Batch) -> Rows:
        """Flatten valid records."""
        ...


def lineage_prefix(shape: Shape) -> str:
    """What the columns <prefix>_file and <prefix>_line of a part begin with."""
    return "_landed" if shape.source.startswith("dms.") else "_source"


class EventShape:
    """A row a record, a column a field of the same name; objects become canonical JSON."""

    def __init__(self, topic: Topic, schema: dict[str, Any]) -> None:
        self.source = topic.source
        self.columns = topic.columns
        self.time_column = moments_of(topic.columns)[0]
        self.sort_by: tuple[str, ...] = (topic.columns[0].name,)
        self._schemas: dict[str, Any] = schema.get("properties", {})
        self.fields = frozenset(column.name for column in topic.columns)

    def unwrap(self, value: Any) -> Any:
        """Records come bare."""
        return value

    def rows(self, batch: Batch) -> Rows:
        """Take the declared fields; absent ones are NULL or the schema's default."""
        columns = {}
        for column in self.columns:
            name = column.name
            values = _field(batch.values, name)
            if "object" in self._schemas.get(name, {}).get("type", ()):
                values = _as_json(values, self._schemas[name].get("default"), batch, name)
            columns[name] = values
        return Rows(columns, list(range(len(batch.values))))


def _field(records: list[Any], name: str) -> list[Any]:
    try:
        return [record[name] for record in records]
    except KeyError:
        return [record.get(name) for record in records]


def _as_json(values: list[Any], default: Any, batch: Batch, name: str) -> list[Any]:
    texts = [canonical_json(default if value is None else value) for value in values]
    joined = b"\n".join(texts)
    # The fast parser makes a float of an integer of more than 64 bits: such a record is parsed
    # again by one that does not. A plain search costs next to nothing, and is hardly ever true.
    if _MARK in joined:
        for index, text in enumerate(texts):
            if _EXPONENT.search(text):
                exact = json.loads(batch.raw(index))[name]
                texts[index] = json.dumps(
                    exact, sort_keys=True, separators=(",", ":"), ensure_ascii=False
                ).encode()
    return [text.decode() for text in texts]


class ConversationShape:
    """A row a message of a conversation document; one row with no position when it has none."""

    time_column = "created_at"
    sort_by: tuple[str, ...] = ("conversation_id", "position")
    fields: frozenset[str] = frozenset({"_id", "userId", "createdAt", "messages", "metadata"})

    def __init__(self, topic: Topic) -> None:
        self.source = topic.source
        declared = tuple(column for column in topic.columns if column.name != "message_count")
        self.columns: tuple[Column, ...] = (*declared, Column("message_count", "integer"))

    def unwrap(self, value: Any) -> Any:
        """Documents come bare."""
        return value

    def rows(self, batch: Batch) -> Rows:
        """Flatten the array of messages; the document's own fields repeat on each row."""
        names = [column.name for column in self.columns]
        columns: dict[str, list[Any]] = {name: [] for name in names}
        record_of: list[int] = []
        appenders = [columns[name].append for name in names]
        for index, document in enumerate(batch.values):
            messages = document.get("messages") or []
            meta = document.get("metadata") or {}
            shared = {
                "conversation_id": document["_id"],
                "user_id": document.get("userId"),
                "channel": meta.get("channel"),
                "language": meta.get("language"),
                "tags": canonical_json(meta.get("tags") or []).decode(),
                "created_at": document["createdAt"],
                "message_count": len(messages),
            }
            for position, message in enumerate(messages) if messages else [(None, {})]:
                about = message.get("metadata") or {}
                row = {
                    **shared,
                    "position": position,
                    "role": message.get("role"),
                    "content": message.get("content"),
                    "sent_at": message.get("timestamp"),
                    "model": about.get("model"),
                    "token_count": about.get("tokens"),
                    "sentiment": about.get("sentiment"),
                }
                for append, name in zip(appenders, names, strict=True):
                    append(row.get(name))
                record_of.append(index)
        return Rows(columns, record_of)

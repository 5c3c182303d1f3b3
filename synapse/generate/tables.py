"""The six source tables: their columns, and the buffer that collects a table's changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synapse.generate.frames import Ints, integers, numpy_of

_TIMES = (("created_at", pa.timestamp("us")), ("updated_at", pa.timestamp("us")))


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*columns, *_TIMES])


_ID, _TEXT, _TIME = pa.int64(), pa.string(), pa.timestamp("us")

SCHEMAS: Mapping[str, pa.Schema] = {
    "users": _schema(
        ("user_id", _ID), ("full_name", _TEXT), ("cpf", _TEXT), ("email", _TEXT),
        ("phone", _TEXT), ("region", _TEXT), ("country", _TEXT), ("language", _TEXT),
        ("acquisition_channel", _TEXT), ("status", _TEXT), ("is_internal", pa.bool_()),
    ),
    "plans": _schema(
        ("plan_id", _ID), ("plan_code", _TEXT), ("plan_name", _TEXT), ("monthly_price_cents", _ID)
    ),
    "subscriptions": _schema(
        ("subscription_id", _ID), ("user_id", _ID), ("plan_id", _ID), ("status", _TEXT),
        ("started_at", _TIME), ("trial_ends_at", _TIME), ("canceled_at", _TIME),
    ),
    "payments": _schema(
        ("payment_id", _ID), ("user_id", _ID), ("subscription_id", _ID), ("amount_cents", _ID),
        ("currency", _TEXT), ("status", _TEXT), ("paid_at", _TIME),
    ),
    "conversations": _schema(
        ("conversation_id", _ID), ("user_id", _ID), ("channel", _TEXT), ("language", _TEXT),
        ("status", _TEXT), ("started_at", _TIME), ("ended_at", _TIME),
    ),
    "messages": _schema(
        ("message_id", _ID), ("conversation_id", _ID), ("user_id", _ID), ("role", _TEXT),
        ("content", _TEXT), ("model", _TEXT), ("token_count", _ID),
        ("sentiment", pa.decimal128(6, 4)), ("sent_at", _TIME),
    ),
}  # fmt: skip
"""Declared columns by table, key first (CONTRACT.md 1.1)."""


def key_of(table: str) -> str:
    """The key column of a table."""
    return str(SCHEMAS[table].names[0])


def change_schema(table: str) -> pa.Schema:
    """A change row: `op` (I, U, D), `committed_us`, `before_key` (updates only), the image."""
    head = [("op", pa.string()), ("committed_us", pa.int64()), ("before_key", pa.int64())]
    return pa.schema([*head, *SCHEMAS[table]])


@dataclass
class ChangeBuffer:
    """Changes of one table that are simulated but not yet handed over.

    What commits after midnight stays here until its own day.
    """

    table: str
    _parts: list[pa.Table] = field(default_factory=list)

    def add(
        self,
        op: str,
        committed_us: Ints,
        columns: Mapping[str, pa.Array],
        before_key: Ints | None = None,
    ) -> None:
        """Add changes of one kind; columns not given (all but the key of a delete) are NULL."""
        count = len(committed_us)
        if count == 0:
            return
        if op == "U":
            before = columns[key_of(self.table)] if before_key is None else integers(before_key)
        else:
            before = pa.nulls(count, pa.int64())
        values: dict[str, pa.Array] = {
            "op": pa.repeat(op, count),
            "committed_us": integers(committed_us),
            "before_key": before,
            **columns,
        }
        schema = change_schema(self.table)
        arrays = [
            values[name] if name in values else pa.nulls(count, kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        self._parts.append(pa.Table.from_arrays(arrays, schema=schema))

    def drain(self, until_us: int) -> pa.Table:
        """Hand over, in commit order, what committed before `until_us`."""
        schema = change_schema(self.table)
        everything = pa.concat_tables(self._parts) if self._parts else schema.empty_table()
        committed = numpy_of(everything["committed_us"])
        # Arrow takes rows from one chunk much faster than from many.
        everything = everything.combine_chunks()
        order = np.argsort(committed, kind="stable")
        split = int(np.searchsorted(committed[order], until_us, side="left"))
        self._parts = [everything.take(order[split:])] if split < len(order) else []
        return everything.take(order[:split]).combine_chunks()

"""Values from one process to another: what comes out of a channel is what went in."""

from __future__ import annotations

import socket
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.ingest.channel import Channel

COLUMNS = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)).map(lambda x: pa.array(x, pa.int64())),
    st.lists(st.none() | st.text()).map(lambda x: pa.array(x, pa.string())),
    st.lists(st.none() | st.booleans()).map(lambda x: pa.array(x, pa.bool_())),
)
VALUES = st.recursive(
    st.none() | st.binary() | st.text() | st.integers() | COLUMNS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner),
)


def sent(*values: object) -> list[Any]:
    """What the other end receives."""
    here, there = socket.socketpair()
    sender, receiver = Channel(here), Channel(there)

    def send() -> None:
        for value in values:
            sender.send(value)
        sender.close()

    thread = Thread(target=send)
    thread.start()
    try:
        received = [receiver.receive() for _ in values]
        with pytest.raises(EOFError):
            receiver.receive()
        assert receiver.is_ready()  # its end is something that has come
        return received
    finally:
        receiver.close()
        thread.join()


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_what_is_received_is_what_was_sent(values: list[object]) -> None:
    assert sent(*values) == values


def test_more_than_the_system_takes_at_once() -> None:
    wide = pa.table({f"c{number}": [number, None] for number in range(2_000)})
    large = pa.table({"text": ["x" * 1_000] * 20_000, "number": range(20_000)})
    received = sent(wide, large, wide)
    assert received == [wide, large, wide]
    for table in received:
        table.validate(full=True)


def test_memory_is_aligned_as_arrow_wants_it() -> None:
    (table,) = sent(pa.table({"a": [True, None], "b": ["x", "yz"], "c": [1, 2]}))
    buffers = [buffer for column in table.columns for buffer in column.chunk(0).buffers() if buffer]
    assert [buffer.address % 64 for buffer in buffers if buffer.size] == [0] * 5


def test_an_end_that_is_gone_is_told() -> None:
    here, there = socket.socketpair()
    there.close()
    channel = Channel(here)
    with pytest.raises(OSError, match=r"[Pp]ipe|reset"):
        channel.send(b"x" * 1_000_000)
    channel.close()


def test_a_column_that_is_done_with_leaves_memory_without_waiting_for_the_others() -> None:
    (table,) = sent(pa.table({"a": pa.array([1] * 1_000_000), "b": pa.array([2] * 1_000_000)}))
    before = pa.total_allocated_bytes()
    table = table.drop_columns("a")
    assert before - pa.total_allocated_bytes() >= 8_000_000
    assert table["b"][0].as_py() == 2

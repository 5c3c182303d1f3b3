"""Objects over a socket from one process to another, without copies of large memory on the way.

What pickle would copy into its text, and the other end out of it again, the system takes from where
Arrow holds it, and gives to where Arrow will hold it.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
from collections import deque
from itertools import islice
from typing import Any

_HEAD = struct.Struct("<QQ")  # how many bytes the pickle has, how many buffers follow
_SIZE = struct.Struct("<Q")
_MOST_PIECES = 512  # that the system takes at once; its limit is above that


class Channel:
    """One end of a connected stream socket. One thread may send while another receives."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._waiting = select.poll()
        self._waiting.register(connected, select.POLLIN)

    def send(self, value: object) -> None:
        """Send a value; it must not change until that is done.

        Raises OSError when the other end is gone, and before anything is sent what pickling raises.
        """
        buffers: list[pickle.PickleBuffer] = []
        text = pickle.dumps(value, 5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        sizes = [view.nbytes for view in views]
        head = _HEAD.pack(len(text), len(sizes)) + b"".join(map(_SIZE.pack, sizes))
        pieces: deque[memoryview] = deque((memoryview(head), memoryview(text), *views))
        while pieces:
            sent = self._socket.sendmsg(islice(pieces, _MOST_PIECES))
            while pieces and sent >= pieces[0].nbytes:
                sent -= pieces.popleft().nbytes
            if sent:
                pieces[0] = pieces[0][sent:]

    def receive(self) -> Any:
        """Wait for a value. Raises EOFError or OSError when the other end is gone."""
        length, count = _HEAD.unpack(self._fill(bytearray(_HEAD.size)))
        sizes = [size for (size,) in _SIZE.iter_unpack(self._fill(bytearray(count * _SIZE.size)))]
        text = self._fill(bytearray(length))
        if not sizes:
            return pickle.loads(text)
        import pyarrow as pa  # an end that is sent no Arrow need not load it

        # Each by itself, so that a column that is done with goes without waiting for the others.
        return pickle.loads(text, buffers=[self._fill(pa.allocate_buffer(size)) for size in sizes])

    def is_ready(self) -> bool:
        """Whether something has come, be it the other end's end."""
        return bool(self._waiting.poll(0))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _fill(self, memory: Any) -> Any:
        """Receive as many bytes as the memory has room for; return it."""
        left = memoryview(memory)
        while left:
            count = self._socket.recv_into(left)
            if not count:
                raise EOFError
            left = left[count:]
        return memory

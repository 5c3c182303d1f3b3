"""Signals that are heard whichever thread the kernel gives them to.

Python calls a signal's handler in the main thread, when that next runs. A main thread that waits
for a lock wakes only for a signal of its own, and of those that are sent to the process some reach
another thread: on a loaded machine one SIGTERM of 300 left a scheduler waiting for ever. Python
writes the number of each signal that has a handler to the wakeup descriptor
(`signal.set_wakeup_fd`), in whatever thread: who reads that misses none.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO


@contextmanager
def heard_signals() -> Iterator[FileIO]:
    """While the block runs, what this yields can be read: the number of each signal, a byte.

    After the block there is its end to read, and the reader closes it. Main thread only.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield FileIO(reading)
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)

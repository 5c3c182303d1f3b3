"""What runs in a process that reads small files for an ingest (readers.py): jobs in, results out.

Started by reader_start.py.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from queue import SimpleQueue
from threading import Thread

from synapse.errors import SynapseError
from synapse.ingest.arrow import prepare_arrow
from synapse.ingest.channel import Channel
from synapse.ingest.companion import Failure
from synapse.ingest.reading import ReadJob, ReadResult, read_files

_Answer = ReadResult | Failure


def main(descriptor: int) -> None:
    """Read until the ingest hangs up, also because it was killed: no reader is left behind."""
    # Ctrl-C reaches every process of a terminal; the ingest says what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    jobs: SimpleQueue[ReadJob] = SimpleQueue()
    results: SimpleQueue[_Answer] = SimpleQueue()

    def receive() -> None:
        try:
            while True:
                jobs.put(channel.receive())
        except (EOFError, OSError):
            os._exit(0)

    def send() -> None:
        try:
            while True:
                _send(channel, results.get())
        except OSError:
            os._exit(0)

    prepare_arrow()
    # Records are trees: to search the millions of them for cycles doubles the time of parsing.
    gc.disable()
    # On threads, so that neither side ever waits for the other to take what it has.
    for work in (receive, send):
        Thread(target=work, daemon=True).start()
    while True:
        results.put(_answer(jobs.get()))


def _answer(job: ReadJob) -> _Answer:
    try:
        return read_files(job)
    except Exception as error:
        return Failure(error)


def _send(channel: Channel, answer: _Answer) -> None:
    try:
        channel.send(answer)
    except OSError:
        raise
    except Exception as error:  # an exception of a library need not be one that travels
        told = answer.error if isinstance(answer, Failure) else error
        channel.send(Failure(SynapseError(f"{type(told).__name__}: {told}")))

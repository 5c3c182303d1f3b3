"""What runs in a process that reads small files for an ingest (readers.py): jobs in, results out.

Started by reader_start.py.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

from synapse.errors import SynapseError
from synapse.ingest.arrow import prepare_arrow
from synapse.ingest.readers import Failure
from synapse.ingest.reading import ReadJob, ReadResult, read_files


def main(descriptor: int) -> None:
    """Read until the ingest hangs up, also because it was killed: no reader is left behind."""
    # Ctrl-C reaches every process of a terminal; the ingest says what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    jobs: SimpleQueue[ReadJob] = SimpleQueue()
    results: SimpleQueue[bytes] = SimpleQueue()

    def receive() -> None:
        try:
            while True:
                jobs.put(pickle.loads(connection.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)

    def send() -> None:
        try:
            while True:
                connection.send_bytes(results.get())
        except OSError:
            os._exit(0)

    prepare_arrow()
    # Records are trees: to search the millions of them for cycles doubles the time of parsing.
    gc.disable()
    # On threads, so that neither side ever waits for the other to take what it has.
    for work in (receive, send):
        Thread(target=work, daemon=True).start()
    while True:
        job = jobs.get()
        results.put(_answer(job))


def _answer(job: ReadJob) -> bytes:
    answer: ReadResult | Failure
    try:
        answer = read_files(job)
    except Exception as error:
        answer = Failure(error)
    try:
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # an exception of a library need not be one that travels
        told = answer.error if isinstance(answer, Failure) else error
        return pickle.dumps(Failure(SynapseError(f"{type(told).__name__}: {told}")))

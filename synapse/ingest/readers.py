"""Processes that read small files: parsing and converting JSON is most of what ingest does."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType

import pyarrow as pa

from synapse.ingest.reading import ReadJob, ReadResult, read_files

# Below this, other processes would take longer to start than to read.
_BYTES_WORTH_PROCESSES = 4 * 1024 * 1024


class Readers:
    """Reads jobs, in this process or, once there is enough to read, in several; a context."""

    def __init__(self, processes: int = 1) -> None:
        self._pool: ProcessPoolExecutor | None = None
        # This process has its own part to do: booking and writing what the others have read.
        self._readers = processes - 1
        self._seen_bytes = 0

    def __enter__(self) -> Readers:
        """Nothing more to do: the processes start when they are needed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[ReadResult]:
        """Yield results in the order of the jobs, so that the same files make the same parts."""
        coming = iter(jobs)
        few = []
        if self._pool is None and self._readers:
            for job in coming:
                few.append(job)
                self._seen_bytes += sum(file.size for file in job.files)
                if self._seen_bytes >= _BYTES_WORTH_PROCESSES:
                    self._start()
                    break
        if self._pool is None:
            yield from map(read_files, chain(few, coming))
            return
        waiting: deque[Future[ReadResult]] = deque()
        for job in chain(few, coming):
            # No more results wait in memory than keep the processes busy.
            if len(waiting) >= 2 * self._readers:
                yield waiting.popleft().result()
            waiting.append(self._pool.submit(read_files, job))
        while waiting:
            yield waiting.popleft().result()

    def _start(self) -> None:
        # Forked from a server that has no threads (this process has those of DuckDB and Arrow,
        # which a fork breaks), so that the readers share what they import.
        context = get_context("forkserver")
        context.set_forkserver_preload([read_files.__module__])
        self._pool = ProcessPoolExecutor(self._readers, mp_context=context, initializer=_prepare)


def give_back_memory() -> None:
    """Let Arrow return what it frees: its own pool keeps a hundred megabytes for the next time."""
    pa.set_memory_pool(pa.system_memory_pool())


def _prepare() -> None:
    give_back_memory()
    # Records are trees: to search the millions of them for cycles doubles the time of parsing.
    gc.disable()
    parent = parent_process()
    assert parent is not None, "a reader is a child of the ingest"

    def watch() -> None:
        # A killed ingest leaves no reader behind: nobody would tell it to stop.
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()

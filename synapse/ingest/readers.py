"""Processes that read small files: parsing and converting JSON is most of what ingest does."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType

from synapse.ingest.reading import ReadJob, ReadResult, read_files

# Below this, other processes would take longer to start than to read.
_BYTES_WORTH_PROCESSES = 32 * 1024 * 1024


class Readers:
    """Reads jobs, in this process or, when there is enough to read, in several; a context."""

    def __init__(self, processes: int = 1, expected_bytes: int = 0) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._ahead = 2 * processes
        if processes > 1 and expected_bytes >= _BYTES_WORTH_PROCESSES:
            # Spawned, because this process has threads of DuckDB and Arrow, which a fork breaks.
            self._pool = ProcessPoolExecutor(
                processes, mp_context=get_context("spawn"), initializer=_prepare
            )
            # They start while the rest of the ingest goes on.
            for _ in range(processes):
                self._pool.submit(os.getpid)

    def __enter__(self) -> Readers:
        """Nothing more to do: the processes start at once."""
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
        if self._pool is None:
            yield from map(read_files, jobs)
            return
        waiting: deque[Future[ReadResult]] = deque()
        for job in jobs:
            # No more results wait in memory than keep the processes busy.
            if len(waiting) >= self._ahead:
                yield waiting.popleft().result()
            waiting.append(self._pool.submit(read_files, job))
        while waiting:
            yield waiting.popleft().result()


def _prepare() -> None:
    # Records are trees: to search the millions of them for cycles doubles the time of parsing.
    gc.disable()
    parent = parent_process()
    assert parent is not None, "a reader is a child of the ingest"

    def watch() -> None:
        # A killed ingest leaves no reader behind: nobody would tell it to stop.
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()

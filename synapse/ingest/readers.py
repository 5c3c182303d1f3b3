"""Processes that read small files: parsing and converting JSON is most of what ingest does.

This process reads as well, whenever the others have enough to do: none of them ever waits. Until it
does, nothing is loaded here that takes long, so that the others can be started before that.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from synapse.ingest import TOPICS_ROOT
from synapse.ingest.companion import Companion
from synapse.ingest.early_listing import EarlyListing

if TYPE_CHECKING:
    from datetime import date

    from synapse.ingest.model import BronzeFile
    from synapse.ingest.reading import ReadJob, ReadResult
    from synapse.lake import Lake

_PROCESS = "synapse.ingest.reader_start"
# Below this, other processes would take longer to start than to read.
_BYTES_WORTH_PROCESSES = 4 * 1024 * 1024
_JOBS_WORTH_PROCESSES = 8
# So many files in the newest folder of a topic promise as much.
_FILES_WORTH_PROCESSES = 256
_MOST_PROCESSES = 16
# One that is read, one that waits, one that is on its way back.
_JOBS_PER_READER = 3


class Readers:
    """Reads jobs, in this process or, once there is enough to read, in several; a context."""

    def __init__(self, processes: int = 1) -> None:
        # One disk or bucket feeds no more; what they hold is what claims.py remembers.
        self._others = min(processes, _MOST_PROCESSES) - 1
        self._readers: list[_Reader] = []
        self._seen_bytes = 0
        self._listing: EarlyListing | None = None

    def __enter__(self) -> Readers:
        """Nothing more to do: the processes start when they are needed."""
        return self

    def start_early(self, lake: Path, *, lists: bool = False, forks: bool = False) -> None:
        """Start the processes before this one has loaded what it needs, if there may be much to do.

        How many files the newest folders of the lake hold is a guess, which costs a third of a
        second of a processor where none of them is new. lists: all of a topic is to be listed, for
        which one more process is started. forks: as of a Companion.
        """
        topic = _topic_of_many(lake)
        if topic is not None and self._others:
            if lists:
                self._listing = EarlyListing(lake, f"{TOPICS_ROOT}/{topic}", forks=forks)
            self._start(forks)

    def listed(self, lake: Lake, folder: str, since: date | None) -> Iterator[BronzeFile]:
        """What the lake lists, from where it may have been listed already."""
        early = None if self._listing is None else self._listing.take(lake, folder, since)
        return lake.listing(folder, since) if early is None else early

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.end()
        if self._listing is not None:
            self._listing.end()

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[ReadResult]:
        """Yield results in the order of the jobs, so that the same files make the same parts.

        Raises what reading raises, SynapseError when a process has ended.
        """
        from synapse.ingest.reading import read_files

        coming = iter(jobs)
        few = []
        if not self._readers and self._others:
            for job in coming:
                few.append(job)
                self._seen_bytes += sum(file.size for file in job.files)
                if self._seen_bytes >= _BYTES_WORTH_PROCESSES or len(few) == _JOBS_WORTH_PROCESSES:
                    self._start()
                    break
        waiting: deque[_Reader | ReadResult] = deque()
        for job in chain(few, coming):
            while waiting and _is_ready(waiting[0]):
                yield _result(waiting.popleft())
            # No more results wait in memory than keep the processes busy.
            if len(waiting) > _JOBS_PER_READER * (len(self._readers) + 1):
                yield _result(waiting.popleft())
            free = min(self._readers, key=lambda reader: reader.jobs, default=None)
            if free is not None and free.jobs < _JOBS_PER_READER:
                free.begin(job)
                waiting.append(free)
            else:
                waiting.append(read_files(job))
        while waiting:
            yield _result(waiting.popleft())

    def _start(self, forks: bool = False) -> None:
        self._readers = [_Reader(forks) for _ in range(self._others)]


def _topic_of_many(lake: Path) -> str | None:
    """The first topic whose newest folder promises much."""
    try:
        folders = sorted(entry.path for entry in os.scandir(lake / TOPICS_ROOT) if entry.is_dir())
        many = (path for path in folders if _files_of_newest(path) >= _FILES_WORTH_PROCESSES)
        return next(map(os.path.basename, many), None)
    except OSError:
        return None  # whatever it is, listing the lake says it better


def _files_of_newest(folder: str) -> int:
    """Number of files in the last of the folders below, which are named by their time."""
    entries = list(os.scandir(folder))
    newest = max((entry.path for entry in entries if entry.is_dir()), default=None)
    return len(entries) if newest is None else _files_of_newest(newest)


def _is_ready(one: _Reader | ReadResult) -> bool:
    return not isinstance(one, _Reader) or one.has_answer()


def _result(one: _Reader | ReadResult) -> ReadResult:
    return one.finish() if isinstance(one, _Reader) else one


class _Reader(Companion):
    """A process that reads. jobs: how many it has not given back."""

    def __init__(self, forks: bool) -> None:
        super().__init__(_PROCESS, forks=forks)
        self.jobs = 0

    def begin(self, job: ReadJob) -> None:
        """Hand over a job."""
        self.tell(job)
        self.jobs += 1

    def finish(self) -> ReadResult:
        """Wait for the oldest job's result."""
        result: ReadResult = self.answer()
        self.jobs -= 1
        return result

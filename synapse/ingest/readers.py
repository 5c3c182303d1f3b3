"""Processes that read small files: parsing and converting JSON is most of what ingest does.

This process reads as well, whenever the others have enough to do: none of them ever waits. Until it
does, nothing is loaded here that takes long, so that the others can be started before that.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from synapse.errors import SynapseError
from synapse.ingest import TOPICS_ROOT

if TYPE_CHECKING:
    from synapse.ingest.reading import ReadJob, ReadResult

_START = "synapse.ingest.reader_start"
# Below this, other processes would take longer to start than to read.
_BYTES_WORTH_PROCESSES = 4 * 1024 * 1024
_JOBS_WORTH_PROCESSES = 8
# So many files in the newest folder of a topic promise as much.
_FILES_WORTH_PROCESSES = 256
_MOST_PROCESSES = 16
# One that is read, one that waits, one that is on its way back.
_JOBS_PER_READER = 3


@dataclass(frozen=True)
class Failure:
    """What reading raised in another process."""

    error: Exception


class Readers:
    """Reads jobs, in this process or, once there is enough to read, in several; a context."""

    def __init__(self, processes: int = 1) -> None:
        # One disk or bucket feeds no more; what they hold is what claims.py remembers.
        self._others = min(processes, _MOST_PROCESSES) - 1
        self._readers: list[_Reader] = []
        self._seen_bytes = 0

    def __enter__(self) -> Readers:
        """Nothing more to do: the processes start when they are needed."""
        return self

    def start_early(self, lake: Path) -> None:
        """Start the processes before this one has loaded what it needs, if there may be much to do.

        How many files the newest folders of the lake hold is a guess, which costs a third of a
        second of a processor where none of them is new.
        """
        if _holds_many(lake / TOPICS_ROOT):
            self._start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.end()

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

    def _start(self) -> None:
        self._readers = [_Reader() for _ in range(self._others)]


def _holds_many(topics: Path) -> bool:
    try:
        folders = [entry.path for entry in list(os.scandir(topics)) if entry.is_dir()]
        return any(_files_of_newest(folder) >= _FILES_WORTH_PROCESSES for folder in folders)
    except OSError:
        return False  # whatever it is, listing the lake says it better


def _files_of_newest(folder: str) -> int:
    """Number of files in the last of the folders below, which are named by their time."""
    entries = list(os.scandir(folder))
    newest = max((entry.path for entry in entries if entry.is_dir()), default=None)
    return len(entries) if newest is None else _files_of_newest(newest)


def _is_ready(one: _Reader | ReadResult) -> bool:
    return not isinstance(one, _Reader) or one.connection.poll()


def _result(one: _Reader | ReadResult) -> ReadResult:
    return one.finish() if isinstance(one, _Reader) else one


class _Reader:
    """Another process. jobs: how many it has not given back."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not forked: this process has threads of DuckDB and Arrow, which a fork breaks.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
            )
        self.connection = Connection(ours.detach())
        self.jobs = 0

    def begin(self, job: ReadJob) -> None:
        """Hand over a job."""
        try:
            self.connection.send_bytes(pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
        except OSError as error:
            raise self._ended() from error
        self.jobs += 1

    def finish(self) -> ReadResult:
        """Wait for the oldest job's result."""
        try:
            answer: ReadResult | Failure = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(answer, Failure):
            raise answer.error
        self.jobs -= 1
        return answer

    def end(self) -> None:
        """Hang up, upon which the process ends."""
        self.connection.close()
        self._process.wait()

    def _ended(self) -> SynapseError:
        code = self._process.wait()
        return SynapseError(
            f"A process that reads files ended by itself (exit code {code}"
            f"{': memory ran out, probably' if code == -9 else ''}); nothing was accepted. Run "
            "`synapse ingest` again, with SYNAPSE_PROCESSES=1 to read in one process."
        )

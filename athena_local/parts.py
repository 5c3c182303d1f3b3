"""The processes of an instance: started together, watched, and never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from athena_local.errors import AthenaLocalError

_LINES = 20
_STOP_SECONDS = 5
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Part:
    """A process to start; is_ready says whether it serves, and raises nothing while it does not."""

    name: str
    command: Sequence[str]
    folder: Path
    is_ready: Callable[[], bool]

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / f"{self.name}.log"


class RunningPart:
    """A part that was started. Starting belongs into the main thread: its end ends the part."""

    def __init__(self, part: Part, environment: dict[str, str]) -> None:
        self.part = part
        part.folder.mkdir(parents=True, exist_ok=True)
        with part.log.open("wb") as log:
            self._process = subprocess.Popen(
                part.command,
                cwd=part.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop our parts in order
                preexec_fn=_die_with_parent(os.getpid(), signal.SIGKILL),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def require_alive(self) -> None:
        """Raise AthenaLocalError with its last words when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise AthenaLocalError(
                f"{self.part.name} ended by itself ({_ended(code)}). Its last lines, of "
                f"{self.part.log}:\n{self.last_lines()}"
            )

    def last_lines(self) -> str:
        """The end of its log."""
        text = self.part.log.read_text(errors="replace") if self.part.log.exists() else ""
        return "\n".join(f"  {line[:300]}" for line in text.splitlines()[-_LINES:])

    def ask_to_stop(self) -> None:
        """Send it the signal to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait_stopped(self, deadline: float) -> None:
        """Wait until it has ended; kill it when it takes too long."""
        try:
            self._process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(parts: Sequence[Part], environment: dict[str, str]) -> list[RunningPart]:
    """Start all at once; none is left when one cannot be started."""
    running: list[RunningPart] = []
    try:
        for part in parts:
            running.append(RunningPart(part, environment))
    except OSError as error:
        stop(running)
        raise AthenaLocalError(f"{part.name} could not be started: {error}.") from error
    return running


def wait_ready(running: Sequence[RunningPart], seconds: float) -> None:
    """Return once all are ready. Raises AthenaLocalError when one ends or time is up."""
    deadline = time.monotonic() + seconds
    waiting = list(running)
    while waiting:
        for part in running:
            part.require_alive()
        waiting = [part for part in waiting if not part.part.is_ready()]
        if waiting and time.monotonic() > deadline:
            late = waiting[0]
            raise AthenaLocalError(
                f"{late.part.name} was not ready within {seconds:.0f} s. Its last lines, of "
                f"{late.part.log}:\n{late.last_lines()}"
            )
        if waiting:
            time.sleep(0.1)


def stop(running: Sequence[RunningPart], seconds: float = _STOP_SECONDS) -> None:
    """End all; those that have not ended by then are killed."""
    for part in running:
        part.ask_to_stop()
    deadline = time.monotonic() + seconds
    for part in running:
        part.wait_stopped(deadline)


def _die_with_parent(parent: int, sign: signal.Signals) -> Callable[[], None]:
    """What a child does before its program starts, so that it does not outlive us (Linux)."""

    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(sign))
            if os.getppid() != parent:
                os._exit(1)  # it died before we asked

    return prepare


def _ended(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

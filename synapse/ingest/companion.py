"""Another process of the same ingest, at the other end of a channel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from synapse.errors import SynapseError
from synapse.ingest.channel import Channel


@dataclass(frozen=True)
class Failure:
    """What a companion sends in the place of an answer: the error that was raised in it."""

    error: Exception


class Companion:
    """Runs `python -m module FD arguments`; FD is its end of the channel. It ends with this one."""

    def __init__(self, module: str, *arguments: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not forked: this process has threads of DuckDB and Arrow, which a fork breaks.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
            )
        self._channel = Channel(ours)

    def tell(self, value: object) -> None:
        """Send a value. Raises SynapseError when the process is gone."""
        try:
            self._channel.send(value)
        except OSError as error:
            raise self._ended() from error

    def answer(self) -> Any:
        """Wait for the next answer. Raises what the companion raised, and as `tell` does."""
        try:
            answer = self._channel.receive()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(answer, Failure):
            raise answer.error
        return answer

    def has_answer(self) -> bool:
        """Whether `answer` has not to wait."""
        return self._channel.is_ready()

    def end(self) -> None:
        """Hang up, upon which the process ends."""
        self._channel.close()
        self._process.wait()

    def _ended(self) -> SynapseError:
        code = self._process.wait()
        return SynapseError(
            f"A process that reads files ended by itself (exit code {code}"
            f"{': memory ran out, probably' if code == -9 else ''}); nothing was accepted. Run "
            "`synapse ingest` again, with SYNAPSE_PROCESSES=1 to read in one process."
        )

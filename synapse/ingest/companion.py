"""Another process of the same ingest, at the other end of a channel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn, Protocol

from synapse.errors import SynapseError
from synapse.ingest.channel import Channel


@dataclass(frozen=True)
class Failure:
    """What a companion sends in the place of an answer: the error that was raised in it."""

    error: Exception


class Companion:
    """Runs the `main` of a module, given its end of the channel and the arguments.

    It ends with this process. forks: it is a copy of this one, which must have no threads yet, such
    as a fork breaks (DuckDB's, Arrow's): what is loaded here need not be loaded there again, which
    is 7 % of the time that 70,000 files take. Else, and where it is not Linux, it is a new program,
    `python -m module FD arguments`.
    """

    def __init__(self, module: str, *arguments: str, forks: bool = False) -> None:
        ours, theirs = socket.socketpair()
        start = _Copy if forks and sys.platform == "linux" else _program
        with theirs:
            self._process: _Process = start(module, theirs, arguments)
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


class _Process(Protocol):
    def wait(self) -> int:
        """Wait for the end; return the exit code, below zero the signal that was the end."""
        ...


def _program(module: str, theirs: socket.socket, arguments: tuple[str, ...]) -> _Process:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments],
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=[theirs.fileno()],
    )


class _Copy:
    """This process once more, from here on at another work."""

    def __init__(self, module: str, theirs: socket.socket, arguments: tuple[str, ...]) -> None:
        main = import_module(module).load()
        self._pid = os.fork()
        self._code: int | None = None
        if self._pid == 0:
            self._run(main, theirs, arguments)

    def wait(self) -> int:
        """See _Process."""
        if self._code is None:
            _, status = os.waitpid(self._pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _run(
        self, main: Callable[..., None], theirs: socket.socket, arguments: tuple[str, ...]
    ) -> NoReturn:
        """In the copy: what a program would not have been given is closed; it never returns."""
        try:
            descriptor = theirs.detach()
            os.closerange(3, descriptor)  # this end of the channels of others among them
            os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
            with open(os.devnull) as nothing:  # noqa: PTH123 - a terminal's input is not for it
                os.dup2(nothing.fileno(), 0)
            main(descriptor, *arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

"""The end of a run that takes too long, or that is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import FileIO
from types import FrameType

from synapse.runner.heard_signals import heard_signals

_GRACE_SECONDS = 30.0
_ANSWER_SECONDS = 1.0
"""So long the main thread is given to answer a SIGTERM before it is sent one of its own."""


@dataclass
class Stop:
    """Why the work was interrupted; None while it was not. was_told: by a signal, not by time."""

    why: str | None = None
    was_told: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def status(self) -> str:
        """How a run that was interrupted, or failed, is recorded."""
        return "killed" if self.was_told else "failed"


@contextmanager
def stoppable(
    limit: timedelta, last_words: Callable[[Stop], None], grace: float = _GRACE_SECONDS
) -> Iterator[Stop]:
    """Interrupt the block after `limit`, or on SIGTERM, as Ctrl+C would; yields why.

    An interrupted dbt cancels its queries. Where that takes longer than `grace` seconds,
    last_words is called with what this yields and the process ends. Only the main thread can be
    interrupted.
    """
    stop = Stop()
    main = threading.main_thread()

    def interrupt(why: str) -> None:
        stop.why = stop.why or why
        hard = threading.Timer(grace, end)
        hard.daemon = True
        hard.start()
        if main.ident is not None and threading.get_ident() != main.ident:
            signal.pthread_kill(main.ident, signal.SIGINT)

    def end() -> None:
        if stop._over.is_set():
            return
        try:
            last_words(stop)
            sys.stderr.write(f"error: {stop.why}, and did not end within {grace:.0f} s more\n")
            sys.stderr.flush()
        finally:
            os._exit(1)

    def terminate(_number: int, _frame: FrameType | None) -> None:
        if stop.was_told:
            return
        stop.was_told = True
        interrupt("it was told to stop (SIGTERM)")
        raise KeyboardInterrupt

    sending = threading.Lock()

    def insist(told: FileIO) -> None:
        with told:
            while number := told.read(1):
                if number[0] == signal.SIGTERM:
                    while not stop.was_told and not stop._over.wait(_ANSWER_SECONDS):
                        send_again()

    def send_again() -> None:
        with sending:
            if not stop._over.is_set() and main.ident is not None:
                signal.pthread_kill(main.ident, signal.SIGTERM)

    watch = threading.Timer(limit.total_seconds(), interrupt, [f"it ran out of time ({limit})"])
    watch.daemon = True
    in_main = threading.current_thread() is main
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    watch.start()
    with ExitStack() as listening:
        if in_main:
            told = listening.enter_context(heard_signals())
            threading.Thread(target=insist, args=(told,), daemon=True).start()
        try:
            yield stop
        finally:
            with sending:
                stop._over.set()
            watch.cancel()
            if in_main:
                signal.signal(signal.SIGTERM, before)

"""Signals that ask us to end become an exception, so that everything is ended in order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class AskedToStopError(BaseException):
    """A signal asked us to end. Not an Exception: nothing but the outermost handles it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell gives it."""
        return 128 + self.number

    @property
    def is_ctrl_c(self) -> bool:
        """Whether it is what a terminal sends to all in its foreground."""
        return self.number == signal.SIGINT


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise AskedToStopError at the first signal, and let no second one disturb the ending."""

    def handle(number: int, _frame: FrameType | None) -> None:
        for each in _ASKING:
            signal.signal(each, signal.SIG_IGN)
        raise AskedToStopError(number)

    before = {each: signal.signal(each, handle) for each in _ASKING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

"""The alerts where nobody asked for them: at a run's end, and every minute of a scheduler.

Nothing here raises: a fault of the alerts is said and counted, and harms no run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from synapse.alerts.load import FILE, has_channels
from synapse.errors import SynapseError
from synapse.settings import Settings

if TYPE_CHECKING:
    from synapse.alerts.service import Watch

Say = Callable[[str], None]
"""Called with a sentence for the log."""


def after_run(settings: Settings, project_dir: Path, say: Say) -> None:
    """At a run's end: keep its figures, look, tell; nothing where alerts.yml has no channels.

    Never raises: whatever goes wrong here is said and counted, and no run fails for it.
    """
    try:
        if not has_channels(project_dir):
            return
        watch = _watch(settings, project_dir)
    except Exception as error:
        say(f"alerts: nobody was told: {said(error)}")
        return
    try:
        _guarded(watch, say, lambda: watch.note_figures())
        _guarded(watch, say, lambda: _look(watch, say))
    finally:
        watch.close()


class Sentinel:
    """For who looks again and again, as the scheduler does: alerts.yml is read when it changes."""

    def __init__(self, settings: Settings, project_dir: Path, say: Say) -> None:
        self._settings = settings
        self._project_dir = project_dir
        self._say = say
        self._watch: Watch | None = None
        self._stamp: tuple[float, ...] = ()

    def __call__(self) -> None:
        """Look once. Never raises."""
        try:
            files = [self._project_dir / name for name in (FILE, "schedules.yml")]
            stamp = tuple(path.stat().st_mtime for path in files if path.is_file())
            if stamp != self._stamp:
                if self._watch is not None:
                    self._watch.close()
                self._watch = None
                if has_channels(self._project_dir):
                    self._watch = _watch(self._settings, self._project_dir)
                self._stamp = stamp
        except Exception as error:
            self._say(f"alerts: nobody is told: {said(error)}")
            return
        if (watch := self._watch) is not None:
            _guarded(watch, self._say, lambda: _look(watch, self._say))


def _watch(settings: Settings, project_dir: Path) -> Watch:
    # Late, because most lakes have nobody to tell.
    from synapse.alerts.service import Watch

    return Watch(settings, project_dir)


def _look(watch: Watch, say: Say) -> None:
    look = watch.look()
    for notice in look.notices:
        say(f"alert: {notice.title}")
    for problem in look.problems:
        say(f"alerts: {problem}")
        watch.ledger.note_fault(problem)


def _guarded(watch: Watch, say: Say, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:
        fault = said(error)
        say(f"alerts: {fault}")
        # Where the store is down, the fault cannot be counted in it.
        with contextlib.suppress(Exception):
            watch.ledger.note_fault(fault)


def said(error: Exception) -> str:
    """What may be said of an error: ours hold no secret, others are named by their class."""
    return str(error) if isinstance(error, SynapseError) else type(error).__name__

"""`synapse schedule`: runs what is due, each occurrence in a process of its own.

What is due is read from the ledger of occurrences, never remembered: so a restart, a clock that
jumps and eight schedulers at once are all the same case.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from synapse.runner.error_class import error_class
from synapse.runner.heard_signals import heard_signals
from synapse.runner.lease import is_held
from synapse.runner.plan import leases
from synapse.runner.run_ledger import RunLedger
from synapse.schedules.claims import Occurrences
from synapse.schedules.cron_files import options
from synapse.schedules.model import CatchUp, Schedules
from synapse.schedules.occurrences import times_after, times_between
from synapse.settings import Settings
from synapse.state_store import open_store

SWEEP_SECONDS = 30.0
"""So often it looks for what another scheduler left, or a clock that jumped has passed over."""
POLL_SECONDS = 2.0
LOOK_SECONDS = 60.0
STOP_SECONDS = 60.0
_ON_TIME = timedelta(seconds=90)
_MOST_MISSED = 1_000
LEASE_HELD = 3

Say = Callable[..., None]
"""Called with an event's name and its fields."""


class CronTimes(BaseTrigger):  # type: ignore[misc]
    """A trigger of APScheduler with the times of our cron."""

    def __init__(self, cron: str, timezone: str) -> None:
        self._cron = cron
        self._timezone = timezone

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """The first time after both."""
        return next(times_after(self._cron, max(previous or now, now), self._timezone))


@dataclass(frozen=True)
class Command:
    """How an occurrence is run: the command line up to the schedule's name."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, project_dir: Path) -> Command:
        """`synapse run` on these settings."""
        return cls((sys.executable, "-m", "synapse", "run", *options(settings, project_dir)))

    def line(self, schedule: str, occurs_at: datetime) -> Sequence[str]:
        """The whole command line."""
        return (*self.words, "--occurrence", occurs_at.isoformat(), schedule)


class Scheduler:
    """One scheduler; any number of them may work on one state store."""

    def __init__(
        self,
        settings: Settings,
        schedules: Schedules,
        command: Command,
        say: Say,
        look_after: Callable[[], None] | None = None,
    ) -> None:
        """look_after: called every minute, however busy the schedules are; it raises nothing."""
        self._settings = settings
        self._schedules = schedules
        self._command = command
        self._say = say
        self._look_after = look_after
        self._timezone = settings.business_timezone
        self._engine = open_store(settings.state)
        self._occurrences = Occurrences(self._engine)
        self._ledger = RunLedger(self._engine)
        self._began = datetime.now(UTC)
        self._stop = threading.Event()
        self._locks = {name: threading.Lock() for name in schedules.by_name}
        self._children: set[subprocess.Popen[str]] = set()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; what runs then is told to stop and waited for."""
        # A sweep that finds the one before at work is no news: it is what the lock is for.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        executor = ThreadPoolExecutor(len(self._schedules.by_name))
        clock = BackgroundScheduler(
            executors={"default": executor, "besides": ThreadPoolExecutor(1)},
            timezone=UTC,
            # However late a job comes, it does what is due by then, in one go.
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        for name, schedule in self._schedules.by_name.items():
            clock.add_job(self._due, CronTimes(schedule.cron, self._timezone), [name], id=name)
            clock.add_job(
                self._due,
                "interval",
                [name],
                seconds=SWEEP_SECONDS,
                next_run_time=datetime.now(UTC),
                id=f"{name}-sweep",
            )
        if self._look_after is not None:
            clock.add_job(
                self._look_after, "interval", seconds=LOOK_SECONDS, executor="besides", id="look"
            )
        with heard_signals() as told:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
            clock.start()
            self._say("scheduler started", schedules=list(self._schedules.by_name))
            told.read(1)
            self._stop.set()
        told.close()
        self._say("scheduler stopping", running=len(self._children))
        clock.shutdown(wait=True)
        self._engine.dispose()
        self._say("scheduler stopped")

    def _due(self, name: str) -> None:
        lock = self._locks[name]
        if self._stop.is_set() or not lock.acquire(blocking=False):
            return
        try:
            for occurs_at in self.due(name, datetime.now(UTC)):
                if not self._stop.is_set():
                    self._see_through(name, occurs_at)
        except Exception as error:
            # The state store is down, for example: the next sweep tries again.
            self._say("sweep failed", schedule=name, error=f"{type(error).__name__}: {error}")
        finally:
            lock.release()

    def due(self, name: str, now: datetime) -> list[datetime]:
        """The occurrences to run now, earliest first; those that nobody will run are noted."""
        schedule = self._schedules.by_name[name]
        since = self._occurrences.newest(name) or self._began
        passed = times_between(schedule.cron, since, now, self._timezone)[-_MOST_MISSED:]
        wanted = passed
        if schedule.catch_up is not CatchUp.all:
            wanted = passed[-1:]
            if schedule.catch_up is CatchUp.none and wanted and now - wanted[0] > _ON_TIME:
                wanted = []
        for time in passed:
            if time not in wanted:
                instead = f"{wanted[0]:%Y-%m-%d %H:%M} UTC is run instead" if wanted else "late"
                why = f"no scheduler ran at its time; catch_up is {schedule.catch_up}: {instead}"
                if self._occurrences.note(name, time, "missed", why):
                    self._say("missed", schedule=name, occurs_at=time.isoformat(), reason=why)
        return [*self._occurrences.open_ones(name), *wanted]

    def _see_through(self, name: str, occurs_at: datetime) -> None:
        """Run an occurrence, or wait until somebody else has."""
        schedule = self._schedules.by_name[name]
        names = leases(self._schedules, [name])
        patience = occurs_at + schedule.sla
        told = ""
        left = dict(schedule.retries)
        while not self._occurrences.is_done(name, occurs_at):
            missing = self._missing(name, occurs_at) if datetime.now(UTC) < patience else []
            waits = f"needs {', '.join(missing)}" if missing else ""
            if not waits and is_held(self._engine, names):
                waits = "another run holds its lease"
            if not waits:
                code, last = self._run(name, occurs_at)
                if self._stop.is_set():
                    return
                passing = error_class(last)
                if code in (0, LEASE_HELD) or occurs_at in self._occurrences.open_ones(name):
                    pass
                elif passing is not None and left.get(passing, 0) > 0:
                    left[passing] -= 1
                else:
                    # It ended before it began: settings or the lake are not as they should be.
                    self._occurrences.note(name, occurs_at, "refused", last or f"exit code {code}")
            elif waits != told:
                self._say("waiting", schedule=name, occurs_at=occurs_at.isoformat(), reason=waits)
                told = waits
            if self._stop.wait(POLL_SECONDS):
                return

    def _missing(self, name: str, occurs_at: datetime) -> list[str]:
        needed = self._schedules.needed_schedules(name)
        if not needed:
            return []
        done = self._ledger.covered(occurs_at, self._timezone)
        return [need for need in needed if need not in done]

    def _run(self, name: str, occurs_at: datetime) -> tuple[int, str]:
        """Run the command to its end; returns its exit code and the last line of its errors."""
        self._say("begins", schedule=name, occurs_at=occurs_at.isoformat())
        child = subprocess.Popen(
            self._command.line(name, occurs_at),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl+C is for us; we tell it.
            start_new_session=True,
        )
        self._children.add(child)
        last = ""
        ender = threading.Thread(target=self._end_with_us, args=(child,), daemon=True)
        ender.start()
        assert child.stderr is not None
        for line in child.stderr:
            sys.stderr.write(line)
            last = line.strip() or last
        code = child.wait()
        child.stderr.close()
        self._children.discard(child)
        self._say("ended", schedule=name, occurs_at=occurs_at.isoformat(), exit_code=code)
        return code, last.removeprefix("error: ")

    def _end_with_us(self, child: subprocess.Popen[str]) -> None:
        while child.poll() is None:
            if self._stop.wait(POLL_SECONDS / 4):
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.kill()
                return

"""Structured logs: one JSON object a line, each with the run's id.

SYNAPSE_LOG (or --log-format) says where they go: `json` to standard error, `file` into the lake's
logs/, or both. What people wrote is in none: neither payloads nor messages of tests and statements.
Keys are structlog's: timestamp, level, event; run_id and schedule where there is a run.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from synapse.settings import Settings

if TYPE_CHECKING:
    from structlog.typing import BindableLogger

# Each process appends to the day's newest file and goes on to the next one at this size, so that
# nobody has to rename a file that another holds open.
_MOST_BYTES, _MOST_FILES = 16 * 1024 * 1024, 32


def open_log(settings: Settings) -> Log:
    """The log of these settings; silent, and free, where none is asked for."""
    return Log(settings)


class Log:
    """Writes events; `bound` fields are on each of them."""

    def __init__(self, settings: Settings, **bound: Any) -> None:
        self._settings = settings
        self._bound = bound
        self._logger: BindableLogger | None = None

    @property
    def is_silent(self) -> bool:
        """True where nothing would be written."""
        return not self._settings.log

    def bind(self, **fields: Any) -> Log:
        """The same log with more fields on each event."""
        return Log(self._settings, **{**self._bound, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Write an event that is as it should be."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write an event that somebody should look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write an event that stopped something."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if self.is_silent:
            return
        if self._logger is None:
            self._logger = _logger(_Sinks(self._settings))
        getattr(self._logger, level)(event, **{**self._bound, **fields})


class _Sinks:
    """A stream for structlog: each line goes wherever the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._to = settings.log
        self._folder = settings.lake / "logs"

    def msg(self, line: bytes) -> None:
        """Write one line, whole; a log that cannot be written stops nothing."""
        with contextlib.suppress(OSError):
            if "json" in self._to:
                stream: TextIO = sys.stderr
                stream.write(line.decode() + "\n")
                stream.flush()
        with contextlib.suppress(OSError):
            if "file" in self._to:
                with log_file(self._folder, datetime.now(UTC).date()).open("ab") as file:
                    # One write of one line in append mode: lines of two processes do not mix.
                    file.write(line + b"\n")

    info = warning = error = msg


def log_file(folder: Path, day: date) -> Path:
    """The file to append to; older ones are removed as a new one begins."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / f"synapse-{day}.{number:03}.jsonl"
        if not path.exists():
            for old in sorted(folder.glob("synapse-*.jsonl"))[: -(_MOST_FILES - 1)]:
                old.unlink(missing_ok=True)
            return path
        if path.stat().st_size < _MOST_BYTES:
            return path
        number += 1


def _logger(sinks: _Sinks) -> BindableLogger:
    import structlog

    logger: BindableLogger = structlog.wrap_logger(
        sinks,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps, default=str),
        ],
        wrapper_class=structlog.BoundLogger,
    )
    return logger


@contextlib.contextmanager
def logged_run(log: Log, **about: Any) -> Iterator[None]:
    """Say that a run began, and where it broke off by which kind of error, not its words."""
    log.info("run_started", **about)
    try:
        yield
    except BaseException as error:
        log.error("run_broke_off", error=type(error).__name__)
        raise

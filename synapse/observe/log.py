"""Structured logs: one JSON object a line, each with the run's id.

SYNAPSE_LOG (or --log-format) says where they go: `json` to standard error, `file` into the lake's
logs/, or both. What people wrote is in none: neither payloads nor messages of tests and statements.
Keys are structlog's: timestamp, level, event; run_id and schedule where there is a run.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from synapse.observe.reader import open_reader
from synapse.settings import Settings

if TYPE_CHECKING:
    from structlog.typing import BindableLogger

    from synapse.ingest.service import IngestReport

# Each process appends to the day's newest file and goes on to the next one at this size, so that
# nobody has to rename a file that another holds open.
_MOST_BYTES, _MOST_FILES = 16 * 1024 * 1024, 32


class Log:
    """Writes events, with `bound` fields on each; silent, and free, where none is asked for."""

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


def log_ingest(settings: Settings, report: IngestReport, part_id: str) -> None:
    """Say what an ingest took in and refused, by source. part_id: as refusals name the run."""
    log = Log(settings, run_id=report.run_id)
    if log.is_silent:
        return
    for source, counts in report.sources.items():
        log.info("source_ingested", source=source, **vars(counts))
    if report.quarantined:
        with open_reader(settings.state) as reader:
            for row in reader.rows(
                "select source, rule, count(*) as refused from ingest_quarantine "
                "where run_id = :run_id group by source, rule order by source, rule",
                run_id=part_id,
            ):
                log.warning("refused", **row)
    log.info(
        "ingest_ended",
        landed=report.landed,
        accepted=report.accepted,
        duplicate=report.duplicate,
        quarantined=report.quarantined,
        seconds=report.seconds,
    )


def node_logger(log: Log) -> Callable[[Any], None]:
    """For dbt's events: each node as it ends, without the message of its end."""

    def callback(event: Any) -> None:
        if event.info.name != "NodeFinished":
            return
        node = event.data.node_info
        log.info(
            "node_ended",
            node=node.unique_id,
            resource_type=node.resource_type,
            status=node.node_status,
            seconds=round(event.data.run_result.execution_time, 3),
        )

    return callback

"""Statements on Trino, by its own client: rows as they come, statistics as they change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trino.client import ClientSession, TrinoRequest, TrinoStatus
from trino.exceptions import TrinoConnectionError, TrinoQueryError

from athena_local.bridge.errors import (
    Category,
    ErrorType,
    QueryCancelledError,
    QueryFailedError,
    from_trino,
)

Column = dict[str, Any]
Row = list[Any]

# One writer, as one query of Athena counts its open partitions: with several, each would have a
# hundred of its own.
_ONE_WRITER = {
    "task_min_writer_count": "1",
    "task_max_writer_count": "1",
    "task_scale_writers_enabled": "false",
    "scale_writers": "false",
}


@dataclass
class Scan:
    """What a statement cost so far. Bytes are those read from storage, times milliseconds."""

    physical_bytes: int = 0
    queued_ms: int = 0
    planning_ms: int = 0
    elapsed_ms: int = 0

    def add(self, other: Scan) -> None:
        """Add the cost of another statement of the same query."""
        self.physical_bytes += other.physical_bytes
        self.queued_ms += other.queued_ms
        self.planning_ms += other.planning_ms
        self.elapsed_ms += other.elapsed_ms


@dataclass
class Answer:
    """What Trino returned; rows went to the caller's sink unless it had none."""

    columns: list[Column] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    update_count: int | None = None
    update_type: str | None = None
    scan: Scan = field(default_factory=Scan)


Sink = Callable[[list[Column], list[Row]], None]


class Trino:
    """One Trino server."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def start(
        self,
        sql: str,
        *,
        catalog: str,
        database: str | None,
        session: dict[str, str] | None = None,
        prepared: dict[str, str] | None = None,
    ) -> TrinoRun:
        """A statement, ready to run; `prepared` holds those that it may name."""
        client = ClientSession(
            user="athena",
            catalog=catalog,
            schema=database,
            source="athena-local",
            timezone="UTC",
            properties={**_ONE_WRITER, **(session or {})},
        )
        client.prepared_statements = prepared or {}
        request = TrinoRequest(self.host, self.port, client)
        return TrinoRun(request, sql)


class TrinoRun:
    """One statement on its way; `cancel` may be called from another thread."""

    def __init__(self, request: TrinoRequest, sql: str) -> None:
        self._request = request
        self._sql = sql
        self._cancelled = threading.Event()
        self._next_uri: str | None = None
        self.scan = Scan()

    def run(self, sink: Sink | None = None, watch: Callable[[Scan], None] | None = None) -> Answer:
        """Run to the end.

        Args:
            sink: takes the rows in batches; without it the answer holds them.
            watch: is told the cost so far after every answer of the server; may raise.

        Raises:
            QueryFailedError: as Athena words Trino's error.
            QueryCancelledError: `cancel` was called.
        """
        answer = Answer(scan=self.scan)
        try:
            status = self._request.process(self._request.post(self._sql))
            while True:
                self._note(status, answer, sink, watch)
                if status.next_uri is None:
                    return answer
                if self._cancelled.is_set():
                    self._stop()
                    raise QueryCancelledError
                status = self._request.process(self._request.get(status.next_uri))
        except TrinoQueryError as error:
            if self._cancelled.is_set() or error.error_name == "USER_CANCELED":
                raise QueryCancelledError from error
            raise from_trino(error) from error
        except TrinoConnectionError as error:
            raise QueryFailedError(
                f"INTERNAL_ERROR: Trino does not answer: {error}",
                Category.SYSTEM,
                ErrorType.ENGINE,
                retryable=True,
            ) from error
        except Exception:
            # The sink or the watcher gave up: the server need not go on.
            self._stop()
            raise

    def cancel(self) -> None:
        """Stop the statement; the thread that runs it gets QueryCancelledError."""
        self._cancelled.set()
        self._stop()

    def _stop(self) -> None:
        if self._next_uri is not None:
            self._request.delete(self._next_uri)

    def _note(
        self,
        status: TrinoStatus,
        answer: Answer,
        sink: Sink | None,
        watch: Callable[[Scan], None] | None,
    ) -> None:
        self._next_uri = status.next_uri
        stats = status.stats
        self.scan.physical_bytes = int(stats.get("physicalInputBytes", 0))
        self.scan.queued_ms = int(stats.get("queuedTimeMillis", 0))
        self.scan.planning_ms = int(stats.get("planningTimeMillis", 0))
        self.scan.elapsed_ms = int(stats.get("elapsedTimeMillis", 0))
        if watch is not None:
            watch(self.scan)
        if status.columns:
            answer.columns = status.columns
        if status.update_type is not None:
            answer.update_type = status.update_type
        if status.update_count is not None:
            answer.update_count = int(status.update_count)
        if isinstance(status.rows, list) and status.rows and status.update_type is None:
            if sink is not None:
                sink(answer.columns, status.rows)
            else:
                answer.rows += status.rows

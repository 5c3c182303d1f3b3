"""What a running query has at hand: Trino, Glue, S3, and the place for its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from athena_local.bridge.ctas import HIVE
from athena_local.bridge.errors import QueryCancelledError
from athena_local.bridge.glue_tables import GlueCatalog
from athena_local.bridge.results import ResultWriter
from athena_local.bridge.trino_engine import Answer, Scan, Sink, Trino, TrinoRun


@dataclass
class QueryContext:
    """One query's surroundings. `stop` may be called from another thread."""

    query_id: str
    database: str
    output_location: str
    trino: Trino
    glue: GlueCatalog
    s3: Any
    writer: ResultWriter
    bytes_cutoff: int | None = None
    catalog: str = HIVE
    scan: Scan = field(default_factory=Scan)
    update_count: int | None = None
    output: str | None = None
    manifest: str | None = None
    # Called once Trino took the first statement: from then on the query is RUNNING.
    on_progress: Callable[[], None] = lambda: None
    over_cutoff: bool = False
    _stopped: threading.Event = field(default_factory=threading.Event)
    _running: TrinoRun | None = None

    def run(
        self,
        sql: str,
        *,
        catalog: str | None = None,
        session: dict[str, str] | None = None,
        prepared: dict[str, str] | None = None,
        sink: Sink | None = None,
        quiet: bool = False,
    ) -> Answer:
        """Run one statement on Trino, adding its cost to the query's.

        With `quiet` it is a question of the bridge's own: it costs the client nothing.

        Raises:
            QueryFailedError: as Athena words it.
            QueryCancelledError: stopped, or over the workgroup's limit of bytes.
        """
        if self._stopped.is_set():
            raise QueryCancelledError
        limits = (
            {} if self.bytes_cutoff is None else {"query_max_scan_physical_bytes": self._cutoff()}
        )
        run = self.trino.start(
            sql,
            catalog=catalog or self.catalog,
            database=self.database,
            session={**(session or {}), **limits},
            prepared=prepared,
        )
        self._running = run
        if self._stopped.is_set():
            raise QueryCancelledError
        try:
            return run.run(sink, self._watch)
        finally:
            self._running = None
            if not quiet:
                self.scan.add(run.scan)

    def _cutoff(self) -> str:
        return f"{self.bytes_cutoff}B"

    def _watch(self, scan: Scan) -> None:
        self.on_progress()
        if (
            self.bytes_cutoff is not None
            and self.scan.physical_bytes + scan.physical_bytes > self.bytes_cutoff
        ):
            self.over_cutoff = True
            raise QueryCancelledError

    def stop(self) -> None:
        """Stop what runs and let nothing follow."""
        self._stopped.set()
        running = self._running
        if running is not None:
            running.cancel()

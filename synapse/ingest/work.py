"""What every step of one ingest shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from synapse.ingest.claims import Claims
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Recorded
from synapse.ingest.readers import Readers
from synapse.ingest.store import RefusalWriter
from synapse.lake import Lake
from synapse.progress import Progress

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Work:
    """One ingest: as_of is naive UTC, part_id names the files that it writes.

    on_disk: (path, size, etag) of LOAD files in bronze. forget: (path, sha256) of refused files
    that are tried again, as if they had just landed. confirmed: sources whose waiting reload a
    person says is complete. fed: tables that DMS has fed in this very ingest, with their newest
    epoch (0 without a load).
    """

    lake: Lake
    ledger: Ledger
    claims: Claims
    refusals: RefusalWriter
    as_of: datetime
    quiet: timedelta
    part_id: str
    on_disk: frozenset[tuple[str, int, str]] = frozenset()
    recorded: Recorded = field(default_factory=Recorded)
    forget: frozenset[tuple[str, str]] = frozenset()
    confirmed: frozenset[str] = frozenset()
    fed: dict[str, int] = field(default_factory=dict)
    readers: Readers = field(default_factory=Readers)
    progress: Progress | None = None

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """What checks Parquet; opened where there is some."""
        from synapse.ingest.dms import connect

        return connect()

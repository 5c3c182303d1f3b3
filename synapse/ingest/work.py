"""What every step of one ingest shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Refusal

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recorded:
    """What manifest parts say that the ledger has not recorded (it was lost, or a run was killed).

    paths: topic files whose records are in consolidated parts already. refusals: path -> number of
    a record -> what was refused then.
    """

    paths: frozenset[str] = frozenset()
    refusals: dict[str, dict[int, Refusal]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One ingest: as_of is naive UTC, part_id names the files that it writes.

    on_disk: (path, size, mtime_ns) of everything in bronze. forget: (path, sha256) of refused files
    that are tried again, as if they had just landed. processes: how many may read at once.
    """

    lake: Path
    ledger: Ledger
    connection: duckdb.DuckDBPyConnection
    as_of: datetime
    quiet: timedelta
    part_id: str
    on_disk: frozenset[tuple[str, int, int]] = frozenset()
    recorded: Recorded = field(default_factory=Recorded)
    forget: frozenset[tuple[str, str]] = frozenset()
    processes: int = 1
    progress: Progress | None = None

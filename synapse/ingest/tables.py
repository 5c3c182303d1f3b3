"""Tables of the ledger. Names start with ingest_, because other parts share the state store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

METADATA = MetaData()

_HASH = String(64)
_PATH = String(1024)
_NAME = String(256)

# One row for each version of each file: a claim while its run is running, for good once it is done;
# rows of a run that died are deleted by the next. A file and its redeliveries share the name.
FILES = Table(
    "ingest_files",
    METADATA,
    Column("source", _NAME, primary_key=True),
    Column("name", _PATH, primary_key=True),
    Column("path", _PATH, primary_key=True),
    Column("sha256", _HASH, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("landed", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("epoch", Integer),
    Column("transfer_from", DateTime),
    Column("transfer_to", DateTime),
    Column("kafka_partition", Integer),
    Column("kafka_offset", BigInteger),
    Column("run_id", _NAME, nullable=False),
    # The key is most of the row: SQLite would write it twice.
    sqlite_with_rowid=False,
)


def _partial(name: str, condition: ColumnElement[bool], *columns: str) -> Index:
    """An index on few of very many rows."""
    return Index(
        name,
        *(FILES.c[column] for column in columns),
        sqlite_where=condition,
    )


# The small files of topics are millions and are never asked for in these ways.
_partial("ingest_files_by_hash", FILES.c.kind.in_(("load", "change")), "source", "sha256")
_partial("ingest_files_loads", FILES.c.kind == "load", "source")
_partial("ingest_files_held", FILES.c.state == "held", "source")


@event.listens_for(FILES, "before_create")
def _partial_on_postgresql(_: Table, connection: Connection, **_more: object) -> None:
    """Make the indexes partial there as well.

    Not said where they are made: SQLAlchemy would load all of that dialect, and asyncio, to check
    the name of the argument, which takes everybody else a tenth of a second.
    """
    if connection.dialect.name == "postgresql":
        for index in FILES.indexes:
            where = index.dialect_options["sqlite"]["where"]
            index.dialect_options["postgresql"]["where"] = where


# Kafka offsets that have landed, as ranges [first, last]; what lies between two is a gap.
OFFSETS = Table(
    "ingest_offsets",
    METADATA,
    Column("topic", _NAME, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("first_offset", BigInteger, primary_key=True),
    Column("last_offset", BigInteger, nullable=False),
)

# When all of bronze was last listed, years back.
SWEEPS = Table(
    "ingest_sweeps",
    METADATA,
    Column("run_id", _NAME, primary_key=True),
    Column("as_of", DateTime, nullable=False),
    Column("swept_at", DateTime, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)

RUNS = Table(
    "ingest_runs",
    METADATA,
    Column("run_id", _NAME, primary_key=True),
    Column("as_of", DateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("finished_at", DateTime),
    Column("message", Text),
    Index("ingest_runs_by_as_of", "as_of"),
)

# The accounting identity, for each run and, summed, for ever.
RUN_SOURCES = Table(
    "ingest_run_sources",
    METADATA,
    Column("run_id", _NAME, primary_key=True),
    Column("source", _NAME, primary_key=True),
    Column("landed", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
)

# Manifest parts that are accounted for here; one that is not was written by a killed run, or by a
# ledger that was lost.
PARTS = Table(
    "ingest_manifest_parts",
    METADATA,
    Column("name", _NAME, primary_key=True),
    Column("run_id", _NAME, nullable=False),
)

# Index of what was refused; payloads lie in the lake's quarantine folder.
QUARANTINE = Table(
    "ingest_quarantine",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("source", _NAME, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("path", _PATH, nullable=False),
    Column("sha256", _HASH, nullable=False),
    Column("number", BigInteger),
    Column("byte_start", BigInteger),
    Column("byte_end", BigInteger),
    Column("rule", _NAME, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("kafka_partition", Integer),
    Column("kafka_offset", BigInteger),
    Column("run_id", _NAME, nullable=False),
    Column("first_seen", DateTime, nullable=False),
    Column("last_attempt", DateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Index("ingest_quarantine_by_state", "state", "source"),
)

DRIFT = Table(
    "ingest_drift",
    METADATA,
    Column("source", _NAME, primary_key=True),
    Column("column_name", _NAME, primary_key=True),
    Column("change", String(16), primary_key=True),
    Column("physical_type", _NAME, nullable=False),
    Column("was", _NAME, nullable=False),
    Column("path", _PATH, nullable=False),
    Column("run_id", _NAME, nullable=False),
    Column("first_seen", DateTime, nullable=False),
    Column("last_seen", DateTime, nullable=False),
)

# Columns of the files of each table as they have ever come; the current ones are the last layout.
LAYOUTS = Table(
    "ingest_layouts",
    METADATA,
    Column("source", _NAME, primary_key=True),
    Column("column_name", _NAME, primary_key=True),
    Column("physical_type", _NAME, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("first_path", _PATH, nullable=False),
    Column("last_path", _PATH, nullable=False),
    Column("last_mark", String(64), nullable=False),
    Column("is_current", Boolean, nullable=False),
)

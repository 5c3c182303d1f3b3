"""Tables of the ledger. Names start with ingest_, because other parts share the state store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

_HASH = String(64)
_PATH = String(1024)
_NAME = String(256)

# One row for each version of each file that was dealt with.
FILES = Table(
    "ingest_files",
    METADATA,
    Column("path", _PATH, primary_key=True),
    Column("sha256", _HASH, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("source", _NAME, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("landed", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("epoch", Integer),
    Column("transfer_from", DateTime),
    Column("transfer_to", DateTime),
    Column("kafka_topic", _NAME),
    Column("kafka_partition", Integer),
    Column("kafka_offset", BigInteger),
    Column("run_id", _NAME, nullable=False),
)

# Files that a run is at work on: a second run cannot take the same ones.
CLAIMS = Table(
    "ingest_claims",
    METADATA,
    Column("path", _PATH, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("mtime_ns", BigInteger, primary_key=True),
    Column("run_id", _NAME, nullable=False),
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

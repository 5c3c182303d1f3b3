"""The tables of what runs did, in the state store."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, String, Table

METADATA = MetaData()
_RUN, _NAME = String(64), String(255)

# One row for each node and attempt of a step. Kept for KEEP_NODES; the marts keep them longer.
NODE_RUNS = Table(
    "node_runs",
    METADATA,
    Column("run_id", _RUN, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("unique_id", String(512), primary_key=True),
    Column("schedule", _RUN, nullable=False),
    Column("step", _RUN, nullable=False),
    Column("resource_type", String(32), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("status", String(32), nullable=False),
    Column("severity", String(16)),
    Column("model", _NAME),
    Column("column_name", _NAME),
    Column("rows_affected", BigInteger),
    Column("failures", BigInteger),
    Column("milliseconds", BigInteger, nullable=False),
    Column("as_of", DateTime, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Index("node_runs_by_time", "started_at"),
    Index("node_runs_by_as_of", "schedule", "as_of"),
)

# How old each source was whenever a run asked.
SOURCE_AGES = Table(
    "source_ages",
    METADATA,
    Column("run_id", _RUN, primary_key=True),
    Column("unique_id", String(512), primary_key=True),
    Column("source", _NAME, nullable=False),
    Column("status", String(32), nullable=False),
    Column("max_loaded_at", DateTime),
    Column("age_seconds", BigInteger),
    Column("warn_after_seconds", BigInteger),
    Column("error_after_seconds", BigInteger),
    Column("as_of", DateTime, nullable=False),
    Column("checked_at", DateTime, nullable=False),
    Index("source_ages_by_time", "checked_at"),
)

# A run in one row: what status, metrics and anomalies ask of very many runs.
RUN_ENDS = Table(
    "run_ends",
    METADATA,
    Column("run_id", _RUN, primary_key=True),
    Column("schedule", _RUN, nullable=False),
    Column("status", String(16), nullable=False),
    Column("is_backfill", Integer, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("tests", Integer, nullable=False),
    Column("tests_warned", Integer, nullable=False),
    Column("tests_failed", Integer, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("cost_nanodollars", BigInteger, nullable=False),
    Column("scanned_bytes", BigInteger, nullable=False),
    Column("as_of", DateTime, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Index("run_ends_by_time", "started_at"),
    Index("run_ends_by_as_of", "schedule", "as_of"),
)

# What differed too much from the same hour, or day, of the weeks before (anomalies.py).
ANOMALIES = Table(
    "anomalies",
    METADATA,
    Column("run_id", _RUN, primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("subject", String(512), primary_key=True),
    Column("schedule", _RUN, nullable=False),
    Column("observed", BigInteger, nullable=False),
    Column("median", BigInteger, nullable=False),
    Column("deviation", BigInteger, nullable=False),
    Column("points", Integer, nullable=False),
    Column("as_of", DateTime, nullable=False),
    Column("found_at", DateTime, nullable=False),
    Index("anomalies_by_time", "found_at"),
)

"""Tables of the alerts in the state store. They hold no secret and nothing of the data."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

# How each subject of each rule stands. version: whoever changes a row must have read this one.
ALERTS = Table(
    "alerts",
    METADATA,
    Column("rule", String(64), primary_key=True),
    Column("subject", String(256), primary_key=True),
    # quiet, waiting (bad, but not for as long as the rule's hold), firing
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("since", DateTime),
    Column("last_sent", DateTime),
    Column("sent", Integer, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("owner", String(256), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("value", String(256), nullable=False),
    Column("limit", String(256), nullable=False),
    Column("run_id", String(64)),
    Column("resolved_at", DateTime),
)

# What each channel is to be told, written with the change that it tells of: told or not, it is
# known. claimed_until: a process is telling it.
NOTICES = Table(
    "alert_notices",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("episode", Integer, nullable=False),
    # begin, repeat, recovery
    Column("kind", String(16), nullable=False),
    Column("notice", Text, nullable=False),
    # waiting, sent
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text),
    Column("made_at", DateTime, nullable=False),
    Column("claimed_until", DateTime),
    Column("sent_at", DateTime),
)
Index("alert_notices_by_state", NOTICES.c.state, NOTICES.c.channel, NOTICES.c.id)

# What went wrong with the alerts themselves, which no run fails for.
FAULTS = Table(
    "alert_faults",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("noted_at", DateTime, nullable=False),
    Column("fault", Text, nullable=False),
)

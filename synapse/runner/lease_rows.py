"""The tables of the leases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, insert
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

METADATA = MetaData()
# A row stays for ever, so that its token never begins again.
LEASES = Table(
    "fenced_leases",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("owner", String(256)),
    Column("run_id", String(64)),
    Column("space", String(128)),
    Column("boot", String(64)),
    Column("pid", Integer),
    Column("started", String(32)),
    Column("beat_at", Float),
    Column("seconds", Float),
)
# What each machine has seen of the heartbeats of others, on its own clock.
SIGHTINGS = Table(
    "lease_sightings",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("boot", String(64), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("seen_at", Float, nullable=False),
)


@dataclass(frozen=True)
class Wanted:
    """What a holder writes into the row; owner NULL means that nobody holds it."""

    owner: str
    run_id: str
    space: str
    boot: str
    pid: int
    started: str
    beat_at: float
    seconds: float


def ensure_rows(engine: Engine, names: Sequence[str]) -> None:
    """Make the rows that are missing, free and with token 0."""
    for name in names:
        with engine.connect() as connection:
            if connection.execute(LEASES.select().where(LEASES.c.name == name)).first():
                continue
        try:
            with engine.begin() as connection:
                connection.execute(insert(LEASES).values(name=name, token=0, beat=0))
        except IntegrityError:
            continue  # another process was quicker

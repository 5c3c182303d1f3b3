"""One run at a time on a lake: a lease in the state store, with owner, heartbeat and expiry."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from synapse.errors import LeaseHeldError
from synapse.runner.clock import utc_now
from synapse.state_store import make_tables, open_store

_METADATA = MetaData()
_LEASES = Table(
    "leases",
    _METADATA,
    Column("name", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("host", String(256), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("expires_at", DateTime, nullable=False),
)
LEASE_SECONDS = 60


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _acquire(engine: Engine, name: str, owner: str) -> None:
    host, pid = socket.gethostname(), os.getpid()
    row = {
        "name": name,
        "owner": owner,
        "host": host,
        "pid": pid,
        "expires_at": utc_now() + timedelta(seconds=LEASE_SECONDS),
    }
    with engine.begin() as connection:
        # An expired lease belongs to a holder that died: its heartbeat would have moved it on.
        connection.execute(
            delete(_LEASES).where(_LEASES.c.name == name, _LEASES.c.expires_at < utc_now())
        )
        holder = connection.execute(select(_LEASES).where(_LEASES.c.name == name)).first()
        if holder is not None and holder.host == host and not _is_alive(holder.pid):
            # Killed on this machine: no need to wait for the expiry.
            connection.execute(
                delete(_LEASES).where(_LEASES.c.name == name, _LEASES.c.owner == holder.owner)
            )
    try:
        with engine.begin() as connection:
            connection.execute(insert(_LEASES).values(**row))
    except IntegrityError:
        with engine.connect() as connection:
            holder = connection.execute(select(_LEASES).where(_LEASES.c.name == name)).first()
        who = holder.owner if holder else "a run that has just ended"
        until = f"{holder.expires_at:%H:%M:%S} UTC" if holder else "now"
        raise LeaseHeldError(
            f"another run holds the lease {name!r}: {who}, until {until} at least; wait for it, "
            f"or, when it was killed, run again after that"
        ) from None


@contextlib.contextmanager
def lease(url: str, owner_run: str, name: str = "lake") -> Iterator[None]:
    """Hold the lease `name` of the state store at `url` while the block runs.

    Raises LeaseHeldError (exit code 3) when another run holds it.
    """
    engine = open_store(url)
    make_tables(engine, _METADATA)
    owner = f"run {owner_run} of process {os.getpid()} on {socket.gethostname()}"
    _acquire(engine, name, owner)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            with engine.begin() as connection:
                connection.execute(
                    update(_LEASES)
                    .where(_LEASES.c.name == name, _LEASES.c.owner == owner)
                    .values(expires_at=utc_now() + timedelta(seconds=LEASE_SECONDS))
                )

    thread = threading.Thread(target=beat, name="lease-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with engine.begin() as connection:
            connection.execute(
                delete(_LEASES).where(_LEASES.c.name == name, _LEASES.c.owner == owner)
            )
        engine.dispose()

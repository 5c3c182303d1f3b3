"""Who may write: leases in the state store with heartbeat, expiry and a fencing token (ADR 9).

No wall clock decides anything. A holder measures its lease on its own steady clock and stops
before it ends; others measure, each on their own, how long its heartbeat has not moved.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from synapse.errors import LeaseHeldError, LeaseLostError
from synapse.runner.lease_rows import LEASES, METADATA, SIGHTINGS, Wanted, ensure_rows
from synapse.runner.steady_clock import process_space, process_start, steady_seconds, this_boot
from synapse.state_store import make_tables, open_store, put, unusable

LEASE_SECONDS = 60.0
_BEATS = 6
"""So often a lease is renewed in its time; by the last of them a holder that could not is gone."""
_LONGEST_POLL = 1.0

Lost = Callable[[str], None]
"""Called with why, some seconds before the lease ends; the process ends when it returns."""


@dataclass(frozen=True)
class Lease:
    """What is held: the fencing token of each name.

    predecessors: runs that held one of these names and never ended.
    """

    owner: str
    tokens: Mapping[str, int]
    predecessors: tuple[str, ...] = ()

    def fence(self, connection: Connection) -> None:
        """Let the transaction commit only while this lease is held: call it first in one.

        The row stays locked until the transaction ends, so no successor comes in between. Raises
        LeaseLostError when a successor has come before.
        """
        for name, token in sorted(self.tokens.items()):
            held = connection.execute(
                update(LEASES)
                .where(LEASES.c.name == name, LEASES.c.token == token, LEASES.c.owner.is_not(None))
                .values(token=token)
            )
            if held.rowcount != 1:
                raise LeaseLostError(
                    f"{self.owner} has lost the lease {name!r} (token {token}) to another run: "
                    "nothing more of it is recorded; see `synapse status` for the other"
                )


@contextlib.contextmanager
def lease(
    url: str,
    owner_run: str,
    name: str | Sequence[str] = "lake",
    *,
    wait: float = 0.0,
    seconds: float = LEASE_SECONDS,
    on_lost: Lost | None = None,
) -> Iterator[Lease]:
    """While the block runs, hold what `name` names in the state store at `url`: all or none.

    wait: seconds to wait for other holders. seconds: how long after its last heartbeat another
    machine may take over. Where the store cannot be reached for almost that long, or a successor
    has come, on_lost is called and then this process ends at once, whatever it does.

    Raises LeaseHeldError (exit code 3) when another run holds one of them, SynapseError when the
    store cannot be used.
    """
    names = sorted({name} if isinstance(name, str) else set(name))
    engine = open_store(url)
    try:
        try:
            make_tables(engine, METADATA)
            ensure_rows(engine, names)
            held, began = _acquire(engine, names, owner_run, wait, seconds)
        except SQLAlchemyError as error:
            raise unusable(url, error) from error
        heart = _Heart(engine, held, seconds, began, on_lost)
        heart.start()
        try:
            yield held
        finally:
            heart.stop()
            with contextlib.suppress(SQLAlchemyError), engine.begin() as connection:
                # A store that is down learns it from the heartbeat that stays away.
                for each, token in sorted(held.tokens.items()):
                    connection.execute(
                        update(LEASES)
                        .where(LEASES.c.name == each, LEASES.c.token == token)
                        .values(owner=None)
                    )
    finally:
        engine.dispose()


def is_held(engine: Engine, names: Sequence[str]) -> bool:
    """True while somebody else holds one of the names, as far as this machine can tell yet."""
    make_tables(engine, METADATA)
    with engine.begin() as connection:
        rows = connection.execute(select(LEASES).where(LEASES.c.name.in_(names))).all()
        over = [_is_over(connection, row) for row in rows]
        return not all(over)


def _acquire(
    engine: Engine, names: Sequence[str], run_id: str, wait: float, seconds: float
) -> tuple[Lease, float]:
    owner = f"run {run_id} of process {os.getpid()} on {socket.gethostname()}"
    until = steady_seconds() + wait
    while True:
        began = steady_seconds()
        wanted = Wanted(
            owner=owner[:256],
            run_id=run_id,
            space=process_space(),
            boot=this_boot(),
            pid=os.getpid(),
            started=process_start(os.getpid()) or "",
            beat_at=began,
            seconds=seconds,
        )
        holder = None
        with engine.begin() as connection:
            query = select(LEASES).where(LEASES.c.name.in_(names)).order_by(LEASES.c.name)
            rows = connection.execute(query).all()
            # Each of them is looked at: a sighting of the second counts from now on, too.
            held = [row for row in rows if not _is_over(connection, row)]
            holder = held[0] if held else None
        if holder is None:
            with engine.begin() as connection:
                if all(_take(connection, row, wanted) for row in rows):
                    left = {row.run_id for row in rows if row.owner is not None}
                    tokens = {row.name: row.token + 1 for row in rows}
                    return Lease(owner, tokens, tuple(sorted(left))), began
                connection.rollback()
        if steady_seconds() >= until:
            raise _held_error(names, holder)
        time.sleep(min(max(until - steady_seconds(), 0.01), seconds / 30, _LONGEST_POLL))


def _take(connection: Connection, row: Row[tuple[object, ...]], wanted: Wanted) -> bool:
    """Compare and set: take the row exactly as it was seen."""
    taken = connection.execute(
        update(LEASES)
        .where(
            LEASES.c.name == row.name,
            LEASES.c.token == row.token,
            LEASES.c.beat == row.beat,
            LEASES.c.owner.is_(None) if row.owner is None else LEASES.c.owner == row.owner,
        )
        .values(token=row.token + 1, beat=0, **vars(wanted))
    )
    return taken.rowcount == 1


def _is_over(connection: Connection, row: Row[tuple[object, ...]]) -> bool:
    """True where nobody holds the row any more: released, its process gone, or silent too long."""
    if row.owner is None:
        return True
    if row.space == process_space() and process_start(row.pid) != row.started:
        # Killed on this machine: no need to wait for the expiry.
        return True
    now = steady_seconds()
    if row.boot == this_boot():
        return bool(now - row.beat_at > row.seconds)
    # Another machine, whose clock means nothing here: since when has this one seen that heartbeat?
    mine = (SIGHTINGS.c.name == row.name) & (SIGHTINGS.c.boot == this_boot())
    seen = connection.execute(select(SIGHTINGS).where(mine)).first()
    same = seen is not None and (seen.token, seen.beat) == (row.token, row.beat)
    if seen is None or not same or seen.seen_at > now:
        put(
            connection,
            SIGHTINGS,
            {"name": row.name, "boot": this_boot()},
            {"token": row.token, "beat": row.beat, "seen_at": now},
        )
        return False
    return bool(now - seen.seen_at > row.seconds)


def _held_error(names: Sequence[str], holder: Row[tuple[object, ...]] | None) -> LeaseHeldError:
    if holder is None:
        return LeaseHeldError(
            f"another run has just taken the lease {', '.join(names)}: wait for it, then run again"
        )
    return LeaseHeldError(
        f"another run holds the lease {holder.name!r}: {holder.owner}; wait for it (--wait), or, "
        f"when it was killed, run again {holder.seconds:.0f} s after that"
    )


class _Heart:
    """Renews a lease, and ends the process in time where it cannot."""

    def __init__(
        self, engine: Engine, held: Lease, seconds: float, began: float, on_lost: Lost | None
    ) -> None:
        self._engine = engine
        self._lease = held
        self._seconds = seconds
        self._on_lost = on_lost
        self._renewed_at = began
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True),
            # A thread of its own: the other may wait for a store that does not answer.
            threading.Thread(target=self._watch, name="lease-watchdog", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(self._seconds / _BEATS)

    def _beat(self) -> None:
        while not self._stopped.wait(self._seconds / _BEATS):
            # Read before the store is asked, so that others count from a later moment.
            at = steady_seconds()
            try:
                with self._engine.begin() as connection:
                    lost = [
                        name
                        for name, token in sorted(self._lease.tokens.items())
                        if connection.execute(
                            update(LEASES)
                            .where(LEASES.c.name == name, LEASES.c.token == token)
                            .values(beat=LEASES.c.beat + 1, beat_at=at)
                        ).rowcount
                        != 1
                    ]
            except SQLAlchemyError:
                continue  # the watchdog knows how long that may go on
            if lost and not self._stopped.is_set():
                self._end(f"another run has taken over the lease {', '.join(lost)}")
            self._renewed_at = at

    def _watch(self) -> None:
        patience = self._seconds * (_BEATS - 1) / _BEATS
        while not self._stopped.wait(self._seconds / 60):
            silent = steady_seconds() - self._renewed_at
            if silent > patience:
                self._end(f"the state store could not be reached for {silent:.0f} s")

    def _end(self, why: str) -> NoReturn:
        said = f"error: {self._lease.owner} stops before it loses its lease: {why}; run again\n"
        try:
            if self._on_lost is not None:
                # No more than what is left of the lease: a callback may hang, too.
                last = threading.Thread(target=self._on_lost, args=(why,), daemon=True)
                last.start()
                last.join(self._seconds / _BEATS / 2)
            sys.stderr.write(said)
            sys.stderr.flush()
        finally:
            # Neither DuckDB nor dbt's threads may write one more row.
            os._exit(1)

"""Published sets in the state store: the newest row is what the pointer has to say."""

from __future__ import annotations

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Engine

from synapse.publish.model import PublishedSet
from synapse.runner.clock import naive_utc
from synapse.runner.lease import Lease
from synapse.state_store import make_tables

_METADATA = MetaData()
PUBLISHED_SETS = Table(
    "published_sets",
    _METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("set_id", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("as_of", DateTime, nullable=False),
    # JSON: the token of each name that the lease holds.
    Column("fencing_tokens", Text, nullable=False),
    Column("published_at", DateTime, nullable=False),
    # NULL once the set is given up and its files may go.
    Column("document", Text),
)


class PublishedSets:
    """Reads and writes the sets; the engine is its caller's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, _METADATA)

    def newest(self) -> PublishedSet | None:
        """The set that readers are to see; None where none was published."""
        with self._engine.connect() as connection:
            row = connection.execute(_KEPT.limit(1)).first()
        return PublishedSet.read(row.document) if row else None

    def kept(self, lease: Lease | None = None) -> list[PublishedSet]:
        """The sets that readers may still be reading, newest first.

        lease: they are asked for while it is held; LeaseLostError is raised where it is not.
        """
        with self._engine.begin() as connection:
            if lease is not None:
                lease.fence(connection)
            rows = connection.execute(_KEPT).all()
        return [PublishedSet.read(row.document) for row in rows]

    def highest(self) -> int:
        """The number of the newest set that there ever was, 0 before the first."""
        with self._engine.connect() as connection:
            return _highest(connection)

    def add(self, new: PublishedSet, lease: Lease) -> bool:
        """Make a set the newest, if the lease is held and no other has taken its number.

        False, and nothing recorded, where one has. Raises LeaseLostError for a holder that was
        overtaken.
        """
        with self._engine.begin() as connection:
            lease.fence(connection)
            if _highest(connection) >= new.number:
                return False
            connection.execute(
                insert(PUBLISHED_SETS).values(
                    number=new.number,
                    set_id=new.set_id,
                    run_id=new.run_id,
                    as_of=naive_utc(new.as_of),
                    fencing_tokens=orjson.dumps(new.fencing_tokens).decode(),
                    published_at=naive_utc(new.published_at),
                    document=new.document().decode(),
                )
            )
        return True

    def give_up_old(self, keep: int, lease: Lease) -> None:
        """Let go of all but so many sets: the rows stay, what the sets held may be removed."""
        sets = PUBLISHED_SETS.c
        with self._engine.begin() as connection:
            lease.fence(connection)
            connection.execute(
                update(PUBLISHED_SETS)
                .where(
                    sets.number <= _highest(connection) - keep,
                    sets.document.is_not(None),
                )
                .values(document=None)
            )


_KEPT = (
    select(PUBLISHED_SETS.c.document)
    .where(PUBLISHED_SETS.c.document.is_not(None))
    .order_by(PUBLISHED_SETS.c.number.desc())
)


def _highest(connection: Connection) -> int:
    return connection.execute(select(func.max(PUBLISHED_SETS.c.number))).scalar() or 0

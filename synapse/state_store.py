"""The state store: an SQLAlchemy URL, SQLite by default, PostgreSQL in production."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import MetaData, Table, event, insert, inspect, update
from sqlalchemy.engine import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.schema import CreateIndex
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from synapse.errors import SynapseError
from synapse.system_errors import explain

_WAIT_SECONDS = 60
_SQLITE_CACHE_KB = 16 * 1024


def shown(url: str) -> str:
    """The URL as people may see it: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(no SQLAlchemy URL)"


def unusable(url: str, error: SQLAlchemyError) -> SynapseError:
    """What to raise where the store refuses: a sentence with the way out."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    return SynapseError(
        f"the state store {shown(url)} (SYNAPSE_STATE) cannot be used: "
        + (
            explain(error, shown(url))
            or f"{text}; see that it is there and answers, then run the command again"
        )
    )


def went_away(error: BaseException) -> str | None:
    """Say that the store broke off in the midst of work, and the way out; None for a defect.

    SQLite calls a statement that cannot be right operational, too: of its errors only those count
    that another process or a disk makes.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    text = " ".join(str(error.orig).split())
    if isinstance(error.orig, sqlite3.Error) and "locked" not in text:
        return None
    return (
        f"the state store (SYNAPSE_STATE) does not answer any more: {text}. Readers see a whole "
        "set all the same; see that the store is back, then run the command again"
    )


def open_store(url: str) -> Engine:
    """An engine on the store; writers wait for each other rather than fail.

    Raises SynapseError for a URL that names no engine, or one whose driver is not installed.
    """
    try:
        backend = make_url(url).get_backend_name()
        if backend == "sqlite":
            engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS})
            event.listen(engine, "connect", _widen_cache)
            return engine
        # A pooled connection may have been closed by the server between two hourly runs.
        return create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise SynapseError(
            "SYNAPSE_STATE is no SQLAlchemy URL. Use for example sqlite:////path/state.db or "
            "postgresql://user@host/database."
        ) from error
    except ModuleNotFoundError as error:
        raise SynapseError(
            f"SYNAPSE_STATE names {backend}, whose driver {error.name} is not installed: "
            "pip install 'synapse-lakehouse[postgres]'."
        ) from error


def _widen_cache(connection: Any, _: object) -> None:
    """Let SQLite hold what a transaction of an ingest writes.

    Beyond its usual 2 MB it writes pages to disk, and often the same ones again, before the end.
    """
    connection.execute(f"pragma cache_size = -{_SQLITE_CACHE_KB}")


def make_tables(engine: Engine, tables: MetaData) -> None:
    """Create what is missing, though other processes may be creating the same at this moment.

    A store says that a table exists already, in one of several ways, when another process was
    quicker between the question and the creation: the next question finds it.
    """
    for attempt in Retrying(
        retry=retry_if_exception_type(DatabaseError),
        stop=stop_after_attempt(5),
        wait=wait_random(0, 0.2),
        reraise=True,
    ):
        with attempt:
            if tables.tables.keys() <= set(inspect(engine).get_table_names()):
                return
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":
                    # Else SQLite ends a transaction, and waits for the disk, with each of them.
                    connection.exec_driver_sql("begin immediate")
                tables.create_all(connection)


def make_indexes(engine: Engine, *tables: Table) -> None:
    """Create the indexes that tables of an earlier version lack."""
    looking = inspect(engine)
    for table in tables:
        present = {index["name"] for index in looking.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if index.name not in present:
                with engine.begin() as connection:
                    connection.execute(CreateIndex(index, if_not_exists=True))


def put(
    connection: Connection, table: Table, key: dict[str, object], values: dict[str, object]
) -> None:
    """Update the row with that key, else insert it; another may do the same at this moment."""
    same = [table.c[name] == value for name, value in key.items()]
    if connection.execute(update(table).where(*same).values(**values)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**key, **values))
    except IntegrityError:
        connection.execute(update(table).where(*same).values(**values))

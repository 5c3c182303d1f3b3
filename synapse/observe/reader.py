"""Reading the state store without SQLAlchemy, which takes longer to import than a status to show.

The queries are plain SQL that SQLite and PostgreSQL share, with `:name` for values. Any other
engine is asked through SQLAlchemy, which is merely slower.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from synapse.errors import SynapseError

Row = dict[str, Any]
_WAIT_SECONDS = 60
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///(?P<path>[^?]+)$")
_POSTGRES = re.compile(r"postgresql(\+psycopg)?://(?P<rest>.+)$")


class Reader(Protocol):
    """A connection that only reads. Moments come out as naive UTC datetimes, by `moment`."""

    def rows(self, query: str, **values: object) -> list[Row]:
        """The rows of a query."""
        ...

    def has(self, *tables: str) -> bool:
        """True where all of these tables are there: a part that never ran has made none."""
        ...


def moment(value: Any) -> datetime | None:
    """A moment as any of the engines gives it."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


@contextmanager
def open_reader(url: str) -> Iterator[Reader]:
    """A reader of the store at an SQLAlchemy URL. Raises SynapseError where it does not answer."""
    sqlite, postgres = _SQLITE.match(url), _POSTGRES.match(url)
    if sqlite:
        with _sqlite(unquote(sqlite["path"])) as reader:
            yield reader
    elif postgres:
        with _postgres(f"postgresql://{postgres['rest']}", url) as reader:
            yield reader
    else:
        with _other(url) as reader:
            yield reader


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, query: str, **values: object) -> list[Row]:
        stored = {name: _stored(value) for name, value in values.items()}
        return [dict(row) for row in self._connection.execute(query, stored)]

    def has(self, *tables: str) -> bool:
        found = self.rows("select name from sqlite_master where type = 'table'")
        return {row["name"] for row in found}.issuperset(tables)


def _stored(value: object) -> object:
    """A value as SQLAlchemy stores it in SQLite, so that texts compare as moments do."""
    if isinstance(value, datetime):
        naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value


@contextmanager
def _sqlite(path: str) -> Iterator[Reader]:
    if not Path(path).is_file():
        yield _Nothing()
        return
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS
        )
        connection.row_factory = sqlite3.Row
        yield _Sqlite(connection)
    except sqlite3.Error as error:
        raise _refused(f"sqlite:///{path}", error) from error
    finally:
        if connection is not None:
            connection.close()


class _Nothing:
    """A store that nothing has written yet."""

    def rows(self, query: str, **values: object) -> list[Row]:
        del query, values
        return []

    def has(self, *tables: str) -> bool:
        return not tables


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, query: str, **values: object) -> list[Row]:
        named = re.sub(r":([a-z_]+)", r"%(\1)s", query.replace("%", "%%"))
        rows: list[Row] = self._connection.execute(named, values).fetchall()
        return rows

    def has(self, *tables: str) -> bool:
        found = self.rows(
            "select table_name from information_schema.tables "
            "where table_schema = any (current_schemas(false))"
        )
        return {row["table_name"] for row in found}.issuperset(tables)


@contextmanager
def _postgres(conninfo: str, url: str) -> Iterator[Reader]:
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ModuleNotFoundError as error:
        raise SynapseError(
            "SYNAPSE_STATE names postgresql, whose driver psycopg is not installed: "
            "pip install 'synapse-lakehouse[postgres]'."
        ) from error
    try:
        with psycopg.connect(
            conninfo, row_factory=dict_row, autocommit=True, connect_timeout=_WAIT_SECONDS
        ) as connection:
            yield _Postgres(connection)
    except psycopg.Error as error:
        raise _refused(url, error) from error


class _Other:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, query: str, **values: object) -> list[Row]:
        from sqlalchemy import text

        found: Sequence[Any] = self._connection.execute(text(query), values).all()
        return [dict(row._mapping) for row in found]

    def has(self, *tables: str) -> bool:
        from sqlalchemy import inspect

        return set(inspect(self._connection).get_table_names()).issuperset(tables)


@contextmanager
def _other(url: str) -> Iterator[Reader]:
    from sqlalchemy.exc import SQLAlchemyError

    from synapse.state_store import open_store, unusable

    engine = open_store(url)
    try:
        with engine.connect() as connection:
            yield _Other(connection)
    except SQLAlchemyError as error:
        raise unusable(url, error) from error
    finally:
        engine.dispose()


def _refused(url: str, error: Exception) -> SynapseError:
    shown = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
    text = " ".join(str(error).split())
    return SynapseError(
        f"the state store {shown} (SYNAPSE_STATE) cannot be used: {text}; see that it is there "
        "and answers, then run the command again"
    )

"""What the bridge remembers across restarts: queries, workgroups, prepared statements."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import orjson

Document = dict[str, Any]


class Store:
    """Documents by kind and key in one SQLite file; newest last."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = off")
        self._connection.execute(
            "create table if not exists documents ("
            "number integer primary key autoincrement, kind text, key text, body blob, "
            "unique (kind, key))"
        )

    def put(self, kind: str, key: str, body: Document) -> None:
        """Write a document, in place of an older one of the same key."""
        with self._lock:
            self._connection.execute(
                "insert into documents (kind, key, body) values (?, ?, ?) "
                "on conflict (kind, key) do update set body = excluded.body",
                (kind, key, orjson.dumps(body)),
            )

    def get(self, kind: str, key: str) -> Document | None:
        """A document, or None."""
        with self._lock:
            row = self._connection.execute(
                "select body from documents where kind = ? and key = ?", (kind, key)
            ).fetchone()
        return None if row is None else orjson.loads(row[0])

    def delete(self, kind: str, key: str) -> None:
        """Forget a document."""
        with self._lock:
            self._connection.execute(
                "delete from documents where kind = ? and key = ?", (kind, key)
            )

    def newest(
        self, kind: str, limit: int, before: int | None = None
    ) -> list[tuple[int, str, Document]]:
        """Up to `limit` documents as (number, key, body), newest first, older than `before`."""
        with self._lock:
            rows = self._connection.execute(
                "select number, key, body from documents where kind = ? and number < ? "
                "order by number desc limit ?",
                (kind, 1 << 62 if before is None else before, limit),
            ).fetchall()
        return [(number, key, orjson.loads(body)) for number, key, body in rows]

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "select body from documents where kind = ? order by number", (kind,)
            ).fetchall()
        return [orjson.loads(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

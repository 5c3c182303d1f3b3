"""A hand-made warehouse of three tables that say which run wrote them, and its publication."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import event
from sqlalchemy.engine import Engine

from synapse.publish.copies import SETS
from synapse.publish.model import PublishedSet
from synapse.publish.reading import open_published, published_set
from synapse.publish.service import Publication
from synapse.runner.lease import Lease, lease
from synapse.settings import Settings
from synapse.state_store import open_store

TABLES = ("first", "second", "third")
_WRITING = os.O_WRONLY | os.O_RDWR
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def write_run(settings: Settings, run: str, rows: int = 500) -> None:
    """What a run builds: each table has the run's name in every row."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema if not exists gold")
        for table in TABLES:
            connection.execute(
                f"create or replace table gold.{table} as select range as id, '{run}' as run, "
                "cast(range as decimal(18,4)) / 7 as amount, date '2026-01-01' + range::int as day "
                f"from range({rows})"
            )


def node(name: str) -> dict[str, Any]:
    """A table's node, as dbt's manifest has it."""
    meta = {"classification": "internal"}
    return {
        "name": name,
        "schema": "gold",
        "original_file_path": f"models/{name}.sql",
        "columns": {"run": {"name": "run", "config": {"meta": meta}}},
    }


def publish_tables(
    settings: Settings,
    held: Lease,
    run: str,
    *,
    moving: tuple[str, ...] = TABLES,
    exposed: tuple[str, ...] = TABLES,
    hours: int = 0,
) -> PublishedSet:
    """Publish what a run has built, under its lease."""
    engine = open_store(settings.state)
    try:
        as_of = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=hours)
        return Publication(settings, held, run, as_of).make(
            engine, {name: node(name) for name in moving}, exposed
        )
    finally:
        engine.dispose()


def build_and_publish(settings: Settings, run: str, hours: int = 0) -> PublishedSet:
    """A run that holds the lease, builds all tables and publishes them."""
    with lease(settings.state, run) as held:
        write_run(settings, run)
        return publish_tables(settings, held, run, hours=hours)


def _is_step(path: object, _: object, flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & _WRITING or "/published" in str(path))


def publish_and_die(settings: Settings, run: str, step: int, steps: Path) -> None:
    """Publish, and be killed (SIGKILL) at a step of it; for a process of its own.

    A step is a write (a file opened for writing, a rename, a removal, a statement of the state
    store) or that something published is opened. Step 0 kills nothing and writes to `steps` how
    many there are.
    """
    count = 0

    def see() -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _EVENTS or (name == "open" and _is_step(*arguments)):
            see()

    with lease(settings.state, run) as held:
        sys.addaudithook(audit)
        event.listen(Engine, "before_cursor_execute", lambda *_: see())
        publish_tables(settings, held, run)
        if step == 0:
            done = count
            steps.write_text(str(done))


def publish_and_die_copying(settings: Settings, run: str, copies: int) -> None:
    """Publish, and be killed as soon as that many files of a set are there, whole or not."""

    def there() -> set[Path]:
        # Unlike rglob, walk leaves out a folder that is removed while it looks.
        walked = os.walk(settings.lake / SETS)
        found = {Path(folder, name) for folder, _, names in walked for name in names}
        return {path for path in found if path.suffix == ".parquet"}

    before = there()

    def watch() -> None:
        while len(there() - before) < copies:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

    with lease(settings.state, run) as held:
        threading.Thread(target=watch, daemon=True).start()
        publish_tables(settings, held, run)


def unequal_copies(settings: Settings) -> list[str]:
    """The tables of the published set that do not equal the warehouse's row for row."""
    found = []
    with open_published(settings) as connection:
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        for name, table in published_set(settings).tables.items():
            there, here = f"warehouse.{table.relation}", f"published.{name}"
            types = connection.execute(f"describe {here}").fetchall()
            count = connection.execute(f"select count(*) from {here}").fetchall()
            differ = any(
                connection.execute(
                    f"select * from {one} except all select * from {other}"
                ).fetchall()
                for one, other in ((there, here), (here, there))
            )
            same_shape = {row[0]: row[1] for row in types} == table.columns
            if differ or not same_shape or count != [(table.rows,)]:
                found.append(name)
    return found

"""State stores that go away and come back, and a run that has to live with it."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from synapse.cli import main

# Forked from a process that has loaded everything: a child costs 0.1 s, not 3.
_CHILDREN = multiprocessing.get_context("forkserver")
_CHILDREN.set_forkserver_preload(["synapse_tests.store_faults", "dbt.cli.main"])


@dataclass(frozen=True)
class Store:
    """A state store; down: it goes away; up: it is back, as it was."""

    url: str
    down: Callable[[], None]
    up: Callable[[], None]


def sqlite_store(path: Path) -> Store:
    """A file that is moved away, as when its disk is unmounted or somebody tidies up.

    SQLite then refuses to write through connections that are open, and to open others.
    """
    away = path.with_name("moved")

    def down() -> None:
        path.rename(away)
        path.mkdir()  # or SQLite would make an empty one

    def up() -> None:
        path.rmdir()
        away.rename(path)

    return Store(f"sqlite:///{path}", down, up)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code and what it said."""

    code: int
    said: str


def run_command(
    arguments: list[str],
    store: Store,
    log: Path,
    *,
    at: str | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Outcome:
    """One command of synapse in a process of its own.

    at: what the statement says (a regular expression) before which the store goes away, for the
    rest of the command; or, where `meanwhile` is given, that is called instead, before the
    statement. Fails where no statement says so.
    """
    here, there = _CHILDREN.Pipe()
    environment = {"SYNAPSE_STATE": store.url, "SYNAPSE_PSEUDONYM_KEY": "0" * 32}
    process = _CHILDREN.Process(target=_child, args=(arguments, environment, log, at, there))
    process.start()
    there.close()
    struck = False
    try:
        while here.recv() == "struck":
            struck = True
            (meanwhile or store.down)()
            here.send("go on")
    except EOFError:
        pass
    process.join()
    assert struck == (at is not None), f"{at} was never said: {log.read_text()[-2_000:]}"
    return Outcome(process.exitcode or 0, " ".join(log.read_text().split()))


def _child(
    arguments: list[str], environment: dict[str, str], log: Path, at: str | None, pipe: Connection
) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ.update(environment)
    waiting = [re.compile(at)] if at else []

    def see(*given: object) -> None:
        if waiting and waiting[0].search(str(given[2])):
            waiting.clear()
            pipe.send("struck")
            pipe.recv()

    event.listen(Engine, "before_cursor_execute", see)
    sys.argv = ["synapse", *arguments]
    main()

"""PostgreSQL on this machine: a cluster of its own for the tests, from Debian's packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

_INSTALLED = "/usr/lib/postgresql"


def _programs() -> Path:
    """The folder of initdb and pg_ctl. Raises RuntimeError that says what to install."""
    found = sorted(Path(_INSTALLED).glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(3))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise RuntimeError(
        "PostgreSQL is not installed, and the state store is tested on a real one: "
        "apt-get install postgresql"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    """A cluster that serves one database to anyone here.

    url: of the database, as SQLAlchemy has it. prefix: before each command, since PostgreSQL
    refuses to run as root; Debian's package brings a user for it.
    """

    url: str
    folder: Path
    options: str
    prefix: tuple[str, ...]

    def start(self) -> None:
        """Start it, or start it again."""
        self.call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", self.options, "start")

    def stop(self) -> None:
        """Stop it as a power cut would: connections break, nothing is written first."""
        self.call("pg_ctl", "-w", "-m", "immediate", "stop")

    def call(self, program: str, *arguments: str) -> None:
        """Call a program of PostgreSQL on its data."""
        subprocess.run(
            [*self.prefix, str(_programs() / program), "-D", str(self.folder / "data"), *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster; it ends with the block, stopped before or not."""
    # Not below pytest's folder, which only its owner may enter: the server may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="synapse-postgres-"))
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        prefix = ("runuser", "-u", "postgres", "--")
    port = _free_port()
    made = Cluster(
        f"postgresql://synapse@127.0.0.1:{port}/postgres",
        folder,
        f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off",
        prefix,
    )
    try:
        made.call("initdb", "-A", "trust", "-U", "synapse", "--no-sync")
        made.start()
        try:
            yield made
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a cluster; yields the URL of its database."""
    with cluster() as made:
        yield made.url


def empty_database(server: str) -> str:
    """Make a database on the server; returns its URL."""
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return server.replace("/postgres", f"/{name}")

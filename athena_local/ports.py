"""Ports of this machine for one instance, which no other instance takes."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from athena_local.errors import AthenaLocalError
from athena_local.locks import try_lock

HOST = "127.0.0.1"
# Below the range from which systems give outgoing connections their ports: between choosing a
# port and listening on it, thousands of connections may be opened.
_FIRST, _LAST = 20_000, 30_000
_ATTEMPTS = 200


@contextlib.contextmanager
def reserved_ports(count: int, first: int | None, folder: Path) -> Iterator[list[int]]:
    """Hold consecutive free ports, from a given one or anywhere.

    Other instances are kept away by locks below the folder, as long as this lasts; other
    programs by looking whether somebody listens. Raises AthenaLocalError that names a taken port.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = random.Random()
    for _ in range(_ATTEMPTS):
        start = first if first is not None else chosen.randrange(_FIRST, _LAST, count)
        with contextlib.ExitStack() as locks:
            ports = list(range(start, start + count))
            taken = _take(ports, folder, locks)
            if taken is None:
                yield ports
                return
        if first is not None:
            raise AthenaLocalError(
                f"Port {taken} is taken: choose another --port ({count} ports from it on are "
                "used), or none, and free ones are found."
            )
    raise AthenaLocalError(f"No {count} free ports in a row between {_FIRST} and {_LAST}.")


def _take(ports: list[int], folder: Path, locks: contextlib.ExitStack) -> int | None:
    """The first port that is not to be had; None when all are ours."""
    for port in ports:
        lock = try_lock(folder / f"{port}.lock")
        if lock is None:
            return port
        locks.enter_context(lock)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError):
                return port
    return None

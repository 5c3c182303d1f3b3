"""What lists a folder for an ingest (early_listing.py), as a companion does: companion.py."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Thread

from synapse.ingest.channel import Channel
from synapse.ingest.companion import Failure
from synapse.ingest.early_listing import Finished, Listed
from synapse.lake import LocalLake

_FILES_AT_ONCE = 1_000
# So many of them wait until they are wanted; then this waits.
_WAITING = 100

Piece = Listed | Finished | Failure


def load() -> Callable[[int, str, str], None]:
    """See companion.py."""
    return main


def main(descriptor: int, root: str, folder: str) -> None:
    """List until all is told, or the ingest hangs up."""
    # Ctrl-C reaches every process of a terminal; the ingest says what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    channel = Channel(socket.socket(fileno=descriptor))
    pieces: Queue[Piece] = Queue(_WAITING)
    # On a thread: it need not wait for an ingest that is not ready to take what there is.
    Thread(target=_list, args=(LocalLake(Path(root)), folder, pieces), daemon=True).start()
    try:
        while True:
            piece = pieces.get()
            channel.send(piece)
            if not isinstance(piece, Listed):
                break
    except OSError:
        pass
    os._exit(0)


def _list(lake: LocalLake, folder: str, pieces: Queue[Piece]) -> None:
    try:
        for files in lake.by_folder(folder):
            starts = range(0, len(files), _FILES_AT_ONCE)
            listed = [Listed.of(files[start : start + _FILES_AT_ONCE]) for start in starts]
            files.clear()  # they may have to wait
            for piece in listed:
                pieces.put(piece)
        pieces.put(Finished(lake.passed_over))
    except Exception as error:
        pieces.put(Failure(error))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

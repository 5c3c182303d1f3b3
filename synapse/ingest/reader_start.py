"""Starts a process that reads small files: `python -m synapse.ingest.reader_start FD`.

FD is one end of a socket pair (readers.py). Apart from what the process does, which both ends must
know by the same name.
"""

from __future__ import annotations

import sys

from synapse.lean_arrow import load_lean_arrow


def start() -> None:
    """Load what reading needs, and read."""
    load_lean_arrow()  # which is half of the start of a process that never uses the rest
    from synapse.ingest.reader_process import main

    main(int(sys.argv[1]))


if __name__ == "__main__":
    start()

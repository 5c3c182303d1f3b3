"""Starts a process that reads small files: `python -m synapse.ingest.reader_start FD`.

FD is one end of a socket pair (readers.py). Apart from what the process does, which both ends must
know by the same name.
"""

from __future__ import annotations

import sys


def start() -> None:
    """Load what reading needs, and read."""
    # Arrow loads NumPy wherever it is installed, which is a third of the start of a process that
    # never uses it. None is how Python is told that a module cannot be imported.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    from synapse.ingest.reader_process import main

    main(int(sys.argv[1]))


if __name__ == "__main__":
    start()

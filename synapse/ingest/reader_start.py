"""Starts a process that reads small files (readers.py), as a companion does: companion.py.

Apart from what the process does, which is to be loaded only after Arrow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from synapse.lean_arrow import load_lean_arrow


def load() -> Callable[[int], None]:
    """Load what reading needs; return what reads."""
    load_lean_arrow()  # which is half of the start of a process that never uses the rest
    from synapse.ingest.reader_process import main

    return main


if __name__ == "__main__":
    load()(int(sys.argv[1]))

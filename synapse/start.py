"""Where the `synapse` command begins, before it has loaded anything."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line."""
    # What commands import makes very many objects that stay: to search them for cycles again and
    # again, as Python does every 700 new ones, is a tenth of the time that it takes to start.
    gc.set_threshold(50_000)
    if sys.argv[1:2] == ["ingest"]:
        from synapse.ingest.early_start import begin

        begin(sys.argv[2:])
    from synapse.cli import main as run

    try:
        run()
    finally:
        # Python searches all that is left for cycles before it ends: a tenth of a second after a
        # large ingest, for memory that the system takes back at once.
        gc.freeze()

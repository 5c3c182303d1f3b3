"""Where the `synapse` command begins, before it has loaded anything."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["ingest"]:
        _ingest()
        return
    # What commands import makes very many objects that stay: to search them for cycles again and
    # again, as Python does every 700 new ones, is a tenth of the time that it takes to start.
    gc.set_threshold(50_000)
    _run()


def _run() -> None:
    from synapse.cli import main as run

    run()


def _ingest() -> None:
    """Run `synapse ingest`, which a schedule starts every hour and 70,000 files keep two seconds.

    It makes no cycles to speak of, and Python would take a tenth of a second to look for some and
    to take itself down in good order, object by object, when all is written and closed.
    """
    from synapse.ingest.early_start import begin

    gc.disable()
    begin(sys.argv[2:], forks=True)
    try:
        _run()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)

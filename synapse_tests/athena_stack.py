"""A local Athena for the tests: one for all workers of a test run, ended with it."""

from __future__ import annotations

import os
from pathlib import Path

from athena_local.background import bring_up
from athena_local.instance import Instance
from athena_local.locks import locked


def shared_instance(folder: Path) -> Instance:
    """The instance of this test run; the first who asks starts it, and it ends with the run."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    shared = folder.parent if is_worker else folder
    controller = os.getppid() if is_worker else os.getpid()
    with locked(shared / "athena.lock"):
        return bring_up(shared / "athena", None, controller)

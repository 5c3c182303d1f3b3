"""A scheduler in a process of its own, with the tests' command instead of `synapse run`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from synapse.alerts.after_run import Sentinel
from synapse.schedules import scheduler as module
from synapse.schedules.load import load_schedules
from synapse.schedules.scheduler import Command, Scheduler
from synapse_tests.lakes import lake_settings

CHILD = Path(__file__).with_name("scheduled_child.py")


def main() -> None:
    """Work until told to stop."""
    state, folder = sys.argv[1:]
    module.SWEEP_SECONDS, module.POLL_SECONDS, module.LOOK_SECONDS = 0.5, 0.1, 0.5
    settings = replace(lake_settings(Path(folder)), state=state, business_timezone="UTC")
    command = Command((sys.executable, str(CHILD), state, folder))
    look = Sentinel(settings, Path(folder), say)
    Scheduler(settings, load_schedules(Path(folder)), command, say, look).run()


def say(event: str, **fields: object) -> None:
    """Tell the test's log."""
    sys.stderr.write(f"{event} {fields}\n")


if __name__ == "__main__":
    main()

"""An instance in the background: brought up and down by commands that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from athena_local.downloads import trino_home
from athena_local.errors import AthenaLocalError
from athena_local.folders import cache
from athena_local.instance import Instance, find_instance, last_instance
from athena_local.java_cache import java_cache
from athena_local.signals import stop_on_signals
from athena_local.terminal import say

_STOP_SECONDS = 15


def bring_up(folder: Path, first_port: int | None, while_pid: int | None) -> Instance:
    """Start an instance, or find the one that runs; returns once it serves.

    Raises AthenaLocalError with the reason when it cannot start; then nothing of it is left.
    """
    there = find_instance(folder)
    if there is not None and there.state == "ready":
        return there
    # Here, where somebody watches: the first time it takes minutes.
    java_cache(trino_home(cache(), say), cache(), say)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "athena_local.supervisor", "--dir", str(folder)]
    if first_port is not None:
        command += ["--port", str(first_port)]
    if while_pid is not None:
        command += ["--while-pid", str(while_pid)]
    with (folder / "supervisor.log").open("wb") as log, stop_on_signals():
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return _wait_until_ready(folder, supervisor)
        except BaseException:
            supervisor.terminate()
            supervisor.wait()
            raise


def _wait_until_ready(folder: Path, supervisor: subprocess.Popen[bytes]) -> Instance:
    while True:
        code = supervisor.poll()
        found = last_instance(folder)
        if found is not None and found.pid == supervisor.pid:
            if found.state == "ready" and code is None:
                # It goes on without us, and nobody need wait for it.
                supervisor.returncode = 0
                return found
            if found.state == "failed":
                raise AthenaLocalError(found.reason)
        if code is not None:
            said = (folder / "supervisor.log").read_text(errors="replace").strip()
            raise AthenaLocalError(f"The local Athena did not start (exit code {code}):\n{said}")
        time.sleep(0.1)


def bring_down(folder: Path) -> bool:
    """End the instance of a folder; says whether there was one."""
    instance = find_instance(folder)
    if instance is None:
        return False
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(instance.pid, sign)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if find_instance(folder) is None:
                return True
            time.sleep(0.05)
    raise AthenaLocalError(f"Process {instance.pid} does not end; it holds {folder}.")

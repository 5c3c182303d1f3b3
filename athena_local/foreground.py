"""A command with a local Athena of its own: started before it, ended after it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from athena_local.errors import AthenaLocalError
from athena_local.signals import AskedToStopError
from athena_local.stack import Stack, environment_for, running_stack
from athena_local.terminal import say

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 10


def run_command(command: Sequence[str], folder: Path, first_port: int | None) -> int:
    """Run a command against an instance in a folder; returns its exit code, as a shell gives it.

    Raises AthenaLocalError when the instance does not start, or a part of it ends meanwhile.
    """
    with running_stack(folder, first_port, say) as stack:
        stack.instance.save()
        try:
            process = subprocess.Popen(command, env=environment_for(stack.instance))
        except OSError as error:
            raise AthenaLocalError(f"{command[0]} could not be started: {error}.") from error
        try:
            return _wait(process, stack)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], stack: Stack) -> int:
    while True:
        try:
            code = process.wait(_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            _require_alive(stack, process)
            continue
        except AskedToStopError as asked:
            # At a terminal Ctrl-C has reached the command already; twice would be "at once".
            if not (asked.is_ctrl_c and sys.stdin.isatty()):
                process.send_signal(asked.number)
            raise
        return code if code >= 0 else 128 - code


def _require_alive(stack: Stack, process: subprocess.Popen[bytes]) -> None:
    try:
        stack.require_alive()
    except AthenaLocalError:
        process.terminate()
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give a command that was asked to end the time for it; the rest is not asked."""
    if process.poll() is None:
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

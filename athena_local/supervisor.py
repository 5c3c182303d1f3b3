"""The process behind `athena-local up`: starts the parts, watches them, ends them."""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

from athena_local.errors import AlreadyRunningError, AthenaLocalError
from athena_local.instance import Instance
from athena_local.signals import AskedToStopError, stop_on_signals
from athena_local.stack import running_stack
from athena_local.terminal import say

_SECONDS_BETWEEN_LOOKS = 0.5


def supervise(folder: Path, first_port: int | None, while_pid: int | None) -> int:
    """Run an instance until a signal, the end of another process, or the end of a part."""
    instance = Instance(folder, os.getpid(), first_port or 0)
    try:
        with stop_on_signals(), running_stack(folder, first_port, say) as stack:
            instance = stack.instance
            instance.save()
            while while_pid is None or _exists(while_pid):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                stack.require_alive()
    except AskedToStopError:
        return 0
    except AlreadyRunningError as error:
        say(str(error))  # the state file is the other's
        return 1
    except AthenaLocalError as error:
        say(str(error))
        dataclasses.replace(instance, state="failed", reason=str(error)).save()
        return 1
    return 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Read the command line that `up` writes."""
    parser = argparse.ArgumentParser(prog="python -m athena_local.supervisor")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--while-pid", type=int)
    arguments = parser.parse_args()
    raise SystemExit(supervise(arguments.dir, arguments.port, arguments.while_pid))


if __name__ == "__main__":
    main()

"""A clock that nobody sets: seconds since this machine started, and which start that was.

The wall clock jumps when somebody sets it, when NTP steps and when a machine wakes. What a lease
is judged by may not.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from functools import cache
from pathlib import Path

_LINUX_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def steady_seconds() -> float:
    """Seconds since the machine started, sleep included; the same for all its processes."""
    return time.monotonic() if _LINUX_CLOCK is None else time.clock_gettime(_LINUX_CLOCK)


@cache
def this_boot() -> str:
    """Names the machine and, where the system says, its start: readings compare within one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # A reading of an earlier start passes for one of this start only where it makes a lease
        # look younger than it is: as long as the machine is up, so long is it ago at least.
        return f"{socket.gethostname()}-{uuid.getnode():x}"


@cache
def process_space() -> str:
    """Where a process id means the same: this start of the machine, and the container in it."""
    try:
        return f"{this_boot()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return this_boot()


def process_start(pid: int) -> str | None:
    """When a process of this machine started, as the system counts; None where there is none.

    An id that was given away again shows by it. Where the system has no /proc, "" for any process.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else ""
    state, *rest = stat.rpartition(")")[2].split()
    # A zombie does nothing any more.
    return None if state == "Z" else rest[18]

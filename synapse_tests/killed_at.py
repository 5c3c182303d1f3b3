"""The `synapse` command, killed at a point of its work: `python -m synapse_tests.killed_at …`.

Arguments: STAGE NUMBER DELAY TRACE, then those of synapse. The process kills itself and its whole
group by SIGKILL, DELAY seconds after the NUMBER-th step of the STAGE (delayed, it dies in the midst
of whatever runs then, in C++ as well). NUMBER 0 kills nothing; TRACE is a file that gets the number
of steps of each stage, or -.

A step is a write: a file opened for writing, a rename, a removal, a statement of the state store, a
request to AWS that changes something (how often a query is asked for depends on how long it takes).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from synapse.cli import main

_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR
_OPERATION = re.compile(rb"\r\nx-amz-target: *[^.\r]+[.]([A-Za-z]+)", re.IGNORECASE)


class Death:
    """Counts steps by stage, and kills when it is time."""

    def __init__(self, stage: str, number: int, delay: float) -> None:
        self.steps: Counter[str] = Counter()
        self._stage = "ingest"
        self._at = (stage, number)
        self._delay = delay

    def see(self, name: str, arguments: tuple[Any, ...]) -> None:
        """An audit event of the interpreter."""
        if name == "open":
            path, _, flags = arguments
            # Python's own caches are no work of ours.
            if not isinstance(flags, int) or not flags & _WRITING or ".pyc" in str(path):
                return
        elif name == "http.client.send":
            if not _changes(arguments[1]):
                return
            arguments = ()  # they name no stage
        elif name not in _EVENTS:
            return
        self.step(" ".join(map(str, arguments[:2])))

    def step(self, what: str) -> None:
        """Count one, and find out by it where the work is."""
        # Where nothing was new, nothing lies between.
        if self._stage != "dbt" and "/dbt/" in what and ("/run/" in what or "/compiled/" in what):
            self._stage = "dbt"
        if self._stage == "dbt" and ("/published/" in what or "published_sets" in what):
            self._stage = "publish"
        self.steps[self._stage] += 1
        if (self._stage, self.steps[self._stage]) == self._at:
            if self._delay:
                threading.Thread(target=self._die, daemon=True).start()
            else:
                self._die()
        if self._stage == "ingest" and ".tmp" in what and "/manifest/part-" in what:
            self._stage = "between"

    def _die(self) -> None:
        time.sleep(self._delay)
        os.killpg(os.getpgid(0), signal.SIGKILL)


def _changes(sent: object) -> bool:
    """Whether these bytes begin a request that changes something, by its operation or its verb."""
    if not isinstance(sent, bytes):
        return False
    if operation := _OPERATION.search(sent):
        return not operation[1].startswith((b"Get", b"List", b"BatchGet"))
    return sent.startswith((b"PUT ", b"POST ", b"DELETE "))


def _run(stage: str, number: str, delay: str, trace: str, *arguments: str) -> None:
    death = Death(stage, int(number), float(delay))
    sys.addaudithook(death.see)
    event.listen(Engine, "before_cursor_execute", lambda *given: death.step(given[2]))
    sys.argv = ["synapse", *arguments]
    try:
        main()
    finally:
        if trace != "-":
            Path(trace).write_text(json.dumps(death.steps))


if __name__ == "__main__":
    _run(*sys.argv[1:])

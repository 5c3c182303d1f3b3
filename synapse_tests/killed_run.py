"""A run that is killed at a seeded point (killed_at.py), and what a lake has to show after it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synapse.ingest.ledger import Ledger
from synapse.ingest.manifest import part_names, read_parts
from synapse.ingest.quarantine import entries
from synapse.settings import Settings
from synapse_tests.lakes import PROJECT_DIR

Point = tuple[str, int, float]
"""Stage, number of the step in it (0: none is struck), seconds after it."""

NOWHERE: Point = ("-", 0, 0.0)


def killed_run(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    at: Point = NOWHERE,
    when: Callable[[], bool] | None = None,
    trace: Path | None = None,
) -> int:
    """One command of synapse in a session of its own; its exit code, negative for a signal.

    at, when: the point, or what is so when it is killed. trace: gets the number of steps of each
    stage. Fails where processes outlive it, and where a command that is not killed does not
    succeed.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "synapse_tests.killed_at",
                *map(str, at), str(trace or "-"), *command,
            ],
            cwd=PROJECT_DIR,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        while when is not None and process.poll() is None:
            if when():
                os.killpg(process.pid, signal.SIGKILL)
                break
        code = process.wait()
    assert not survivors(process.pid), "children outlive the run"
    if not at[1] and when is None:
        assert code == 0, log.read_text()[-3_000:]
    return code


def survivors(session: int, seconds: float = 10) -> list[int]:
    """Processes of a session that are still there after some seconds."""
    end = time.monotonic() + seconds
    while found := members(session):
        if time.monotonic() > end:
            return found
        time.sleep(0.1)
    return []


def members(session: int) -> list[int]:
    """The processes of a session, but for those that nobody has waited for."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _session_of(pid) == session]


def _session_of(pid: int) -> int | None:
    try:
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:4]
    except OSError:
        return None
    return None if state == "Z" else int(session)


def seeded_point(
    seeded: random.Random, stage: str, steps: Mapping[str, int], *, is_again: bool, longest: float
) -> Point:
    """A point of a stage. is_again: of a run after the first; longest: seconds after the step."""
    # A later run makes no tables and folders: it has fewer steps than the first. What lies
    # between ingest and dbt is few, and half of it is of that kind. Nor do two first runs have
    # quite as many: what several threads do at once differs by a few steps.
    most = 0.5 if stage == "between" else 0.75 if is_again else 0.9
    share = seeded.uniform(0, most)
    delay = seeded.choice((0.0, seeded.uniform(0, longest)))
    return (stage, max(round(share * steps[stage]), 1), round(delay, 4))


def accounts(settings: Settings) -> tuple[Any, ...]:
    """The ledger's totals, what is quarantined, and what the manifest accepts."""
    with Ledger(settings.state) as ledger:
        totals = {source: vars(counts) for source, counts in ledger.totals().items()}
    for source, counts in totals.items():
        told = counts["accepted"] + counts["duplicate"] + counts["quarantined"]
        assert counts["landed"] == told, f"{source}: {counts}"
    refused = [(entry.id, entry.state, entry.attempts) for entry in entries(settings, state=None)]
    taken: Counter[tuple[Any, ...]] = Counter()
    lake = settings.open_lake()
    for row in read_parts(lake, part_names(lake)).rows:
        named = () if row.path.startswith("consolidated/") else (row.path, row.sha256)
        taken[(row.source, row.kind, row.epoch, row.landed_path, *named)] += row.rows
    return totals, refused, taken

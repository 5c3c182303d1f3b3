"""One ingest in a process of its own, so that its memory can be measured.

Run as `python -m synapse_tests.ingest_child LAKE PROJECT AS_OF`; prints what it did as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from synapse.ingest.service import ingest
from synapse_tests.ingest_lake import AS_OF, Lake


@dataclass(frozen=True)
class ChildReport:
    """Counts by source, and the most memory (resident, MB) that the process ever had."""

    sources: dict[str, dict[str, int]]
    peak_mb: float
    seconds: float


def ingest_in_child(lake: Lake, timeout: float = 600) -> ChildReport:
    """Ingest a lake in a process of its own; its failure is the caller's."""
    command = [sys.executable, "-m", __name__, str(lake.root), str(lake.project), AS_OF.isoformat()]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        # Files of a gigabyte keep a slow disk from syncing the store for longer than a lease lasts:
        # the run ends itself as it must, and is run again as it says.
        if "stops before it loses its lease" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-3_000:]
    report = ChildReport(**json.loads(done.stdout.splitlines()[-1]))
    for source, counts in report.sources.items():
        told = counts["accepted"] + counts["duplicate"] + counts["quarantined"]
        assert counts["landed"] == told, f"{source}: {counts}"
    return report


def _peak_mb() -> float:
    # Not getrusage: what that says includes the process that started this one.
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    assert found is not None, "Linux tells VmHWM"
    return int(found[1]) / 1024


def _main(root: str, project: str, as_of: str) -> None:
    lake = Lake(Path(root), Path(project))
    report = ingest(lake.settings, lake.project, as_of=datetime.fromisoformat(as_of))
    sources: dict[str, Any] = {name: vars(count) for name, count in report.sources.items()}
    told = {"sources": sources, "peak_mb": _peak_mb(), "seconds": report.seconds}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])

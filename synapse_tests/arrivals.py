"""A generated lake as it came to be: its files land again day by day, overwritten ones included."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

from synapse_tests.oracle_truth import read_truth


class Arrivals:
    """Lands the bronze of the generated lake `source` in `target`, one simulated day at a time.

    The truth comes along with the first day, and stays that of the last.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target
        self._by_day: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in read_truth(source, "arrivals"):
            self._by_day[row["arrival_day"]].append(row)
        shutil.copytree(source / "truth", target / "truth")

    def land(self, day: int) -> None:
        """Copy the files that arrived on a day (0 = the first)."""
        for row in self._by_day[day]:
            path = self._target / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._source / row["copy"], path)

    def overwrites(self, day: int) -> bool:
        """Tell whether a file that is there already is overwritten on a day."""
        return any(row["version"] > 1 for row in self._by_day[day])

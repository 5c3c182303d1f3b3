"""Bytes that an hour scans on Athena, at a short history and at one ten times as long.

The real models of silver, and those of gold that an hour builds, on the local Athena (Trino),
whose statistics are the physical bytes that Athena bills: they do not depend on the machine. Both
lakes have the same number of rows a day and end at the same moment; the hour's changes go to keys
of the last 30 days. The bar is 1.2 for all. Then the hour's tests, which judge what landed in it,
and all tests of all rows, as the day runs them; then an hour with changes to older keys besides,
and what each of them costs more. Takes half an hour on two idle cores; figures and what follows
from them are in docs/scale.md.

    python benchmarks/athena_bytes.py [SHORT LONG]        (days; 30 and 300 unless told)
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from athena_local.background import bring_down, bring_up
from benchmarks.support.athena_lake import AthenaLake

# As the selector `hourly` of selectors.yml.
FOLDERS = ("silver", "gold/core", "gold/operations", "gold/real_time", "ops")
MODELS = tuple(f"path:models/{folder}" for folder in FOLDERS)
OF_THE_DAY = (
    "fct_sessions",
    "fct_user_days",
    "dim_users_history",
    "ops_headline_figures",
    "ops_published_figures",
    "ops_restatements",
)
OLD_CHANGES = 20


def main() -> None:
    """Print bytes by node and the ratios."""
    short, long = [int(argument) for argument in sys.argv[1:3]] or (30, 300)
    with tempfile.TemporaryDirectory() as folder:
        instance = bring_up(Path(folder) / "athena", None, os.getpid())
        try:
            os.environ.update(instance.environment())
            lakes = [
                AthenaLake(f"bytes{days}", Path(folder) / str(days), days, MODELS, OF_THE_DAY)
                for days in (short, long)
            ]
            found, judged, judged_all = [], [], []
            for lake in lakes:
                lake.prepare()
                found.append(lake.hour())
                judged.append(lake.tests(all_rows=False))
                judged_all.append(lake.tests(all_rows=True))
            with_old = lakes[1].hour(old_changes=OLD_CHANGES)
        finally:
            bring_down(Path(folder) / "athena")
    less, more = found
    print(f"bytes scanned by an hour {short:>8} days {long:>8} days   ratio (bar 1.2)")
    for node in sorted(more, key=lambda name: -more[name]):
        print(_line(node, less.get(node, 0), more[node]))
    print(_line("all models", sum(less.values()), sum(more.values())))
    hours = [
        sum(lake.values()) + sum(tests.values()) for lake, tests in zip(found, judged, strict=True)
    ]
    print(_line("all models and their tests", *hours))
    for name, (one, other) in {"its tests": judged, "all tests of all rows": judged_all}.items():
        print(_line(f"{name} ({len(other)})", sum(one.values()), sum(other.values())))
    few, many = judged
    print("of its tests, those that grew most")
    for test in sorted(many, key=lambda name: few.get(name, 0) - many[name])[:20]:
        print(_line(test[-38:], few.get(test, 0), many[test]))
    extra = sum(with_old.values()) - sum(more.values())
    print(f"{OLD_CHANGES} changes of older messages: {extra / OLD_CHANGES / 1000:,.0f} kB each")


def _line(name: str, less: int, more: int) -> str:
    ratio = more / less if less else float("nan")
    return f"{name:38} {less / 1e6:10.2f} MB {more / 1e6:10.2f} MB {ratio:7.2f}"


if __name__ == "__main__":
    main()

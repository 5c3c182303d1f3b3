"""What the wrapper costs: `synapse run daily` against dbt alone, which builds the same models.

A generated lake has been run daily up to its last day, whose files have landed and been ingested.
Of copies of it one is run by the wrapper (lease, ledger, ingest's sweep, three invocations of dbt,
one a step, published set, marts), one by dbt alone step by step as the wrapper does it, and one by
dbt alone in a single invocation; each as processes of their own with a warm parse. Physical limit:
dbt's own time, which all of them spend. Bar: 1.1 times dbt alone, and 2 s more, step by step; what
the steps cost is told beside it. Figures are the least of runs made in turn.

    python benchmarks/wrapper_overhead.py [USERS] [DAYS]
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks.support.gold import Cost
from synapse.generate.calendar import DEFAULT_START
from synapse.project import PROFILES_DIR, find_project

REPEATS = 2
WRAPPER, STEPS, ONE = "synapse run daily", "dbt build, by step", "dbt build, in one"
_BIN = Path(sys.executable).parent


def timed(command: list[str | Path], lake: Path) -> Cost:
    """What a command takes as a process of its own; it must succeed."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("SYNAPSE_")}
    environment |= {
        "SYNAPSE_LAKE": str(lake),
        "SYNAPSE_WAREHOUSE": str(lake / "warehouse.duckdb"),
        "SYNAPSE_DUCKDB_THREADS": str(max((os.cpu_count() or 2) - 1, 1)),
        "SYNAPSE_PSEUDONYM_KEY": "the-same-for-both",  # pragma: allowlist secret
        "DBT_PROFILES_DIR": str(PROFILES_DIR),
        "DBT_TARGET_PATH": str(lake / "dbt" / "duckdb"),
        "DBT_LOG_PATH": str(lake / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        cwd=find_project(None),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu)


def hold_back(lake: Path, day: date, aside: Path) -> None:
    """Take the bronze of a date out of the lake."""
    marks = (f"{day:%Y/%m/%d}/", f"year={day:%Y}/month={day:%m}/day={day:%d}/")
    for path in (lake / "bronze").rglob("*"):
        if path.is_file() and any(mark in path.as_posix() for mark in marks):
            kept = aside / path.relative_to(lake)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, kept)


def main() -> None:
    """Print the ratio."""
    users, days = (int(text) for text in (sys.argv[1:3] or ("200", "15")))
    last = DEFAULT_START + timedelta(days=days - 1)
    synapse, dbt = _BIN / "synapse", _BIN / "dbt"
    with tempfile.TemporaryDirectory() as folder:
        lake, aside = Path(folder, "lake"), Path(folder, "aside")
        timed([synapse, "generate", "--users", str(users), "--days", str(days)], lake)
        hold_back(lake, last, aside)
        timed([synapse, "run", "daily", "--date", str(last - timedelta(days=1))], lake)
        shutil.copytree(aside, lake, dirs_exist_ok=True)
        as_of = f"{last + timedelta(days=1)}T03:00:00Z"
        timed([synapse, "ingest", "--as-of", as_of], lake)
        build: list[str | Path] = [
            dbt,
            "build",
            "--exclude-resource-type",
            "unit_test",
            "--selector",
        ]
        commands: dict[str, list[list[str | Path]]] = {
            WRAPPER: [[synapse, "run", "daily", "--as-of", as_of]],
            STEPS: [
                [*build, step] for step in ("data_validation", "user_metrics", "daily_aggregate")
            ],
            ONE: [[*build, "daily"]],
        }
        taken: dict[str, list[Cost]] = {name: [] for name in commands}
        before = lake.rename(Path(folder, "before"))
        for _ in range(REPEATS):
            for name, parts in commands.items():
                # At the same place: elsewhere, dbt would parse everything anew.
                shutil.copytree(before, lake)
                taken[name].append(sum((timed(part, lake) for part in parts), Cost(0, 0)))
                shutil.rmtree(lake)
    least = {
        name: Cost(min(one.wall for one in runs), min(one.cpu for one in runs))
        for name, runs in taken.items()
    }
    print(f"{users:,} users, {days} days; the next day's run, least of {REPEATS}")
    for name, one in least.items():
        print(f"  {name:20} {one}")
    for name in (STEPS, ONE):
        more = least[WRAPPER] - least[name]
        print(
            f"  the wrapper against {name}: {least[WRAPPER].per(least[name])}, "
            f"{more.wall:+.2f} s by clock"
        )


if __name__ == "__main__":
    main()

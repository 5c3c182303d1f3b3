"""Small JSON files: `synapse ingest` against only reading the bytes, and against its peers.

Lands FILES files of about 1 KB as the S3 sink of Kafka Connect lays them out, each with RECORDS
events, one a line (1: a file for each event, as a sink with flush.size=1 writes them), then runs
each contender as a process of its own, in turn, on the same files:

    read            Python opens and reads every file: the physical limit, nothing less can be done
    synapse ingest  lists, reads, hashes, checks each record against its JSON Schema, converts,
                    accounts for every file in the ledger, and writes sorted, typed Parquet
    polars          scan_ndjson over the folder, written to Parquet; pyarrow: read_json file by file
    duckdb          read_json over a glob, written to Parquet; stopped at 100 times our time

Peers validate nothing and account for nothing. All files are read once, untimed, before each turn,
so that every contender finds them in memory, whatever the one before it left there: it is their
work that is compared, not the disk. Peak memory is the proportional set size of the contender and
its children, looked at twice a second, because looking stops who is looked at. Printed are the
median seconds by the clock, each contender's ratio to `synapse ingest`, and its processor seconds,
which busy neighbours disturb less.

On 2 idle cores, 70,000 files (medians of 4): 3.1 s of `synapse ingest` (4.7 processor seconds, peak
299 MB), 1.1 s of reading, 16.6 s of polars (25.7, 2,753 MB): 2.9 times reading, and polars 5.3
times as long. From day to day such a machine takes a fifth less or more. pyarrow: 45 s. 700,000
files (--peers, none named): peak 370 MB.

    python benchmarks/small_files.py [--files N] [--records N] [--repeat N] [--peers NAME ...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil

START = datetime(2026, 3, 1)
PARTITIONS = 8
NAMES = ("app_opened", "message_sent", "feature_used", "api_request", "screen_viewed")
TOPIC = "bronze/kconnect/topics/app-events"

READ = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            stream.read()
"""
POLARS = """
import sys, polars
polars.scan_ndjson(sys.argv[1] + "/**/*.json").collect().write_parquet(sys.argv[2])
"""
PYARROW = """
import os, sys, pyarrow, pyarrow.json, pyarrow.parquet
tables = [
    pyarrow.json.read_json(os.path.join(folder, name))
    for folder, _, names in os.walk(sys.argv[1])
    for name in names
]
whole = pyarrow.concat_tables(tables, promote_options="permissive")
pyarrow.parquet.write_table(whole, sys.argv[2])
"""
DUCKDB = """
import sys, duckdb
duckdb.sql(f"copy (from read_json('{sys.argv[1]}/**/*.json')) to '{sys.argv[2]}' (format parquet)")
"""
# DuckDB is run once, being stopped.
REPEATED = {"polars": POLARS, "pyarrow": PYARROW}


@dataclass(frozen=True)
class Measured:
    """Seconds by the clock and of the processors, and peak proportional set size in MB.

    is_stopped: it did not end in its time.
    """

    seconds: float
    processor: float
    megabytes: float
    is_stopped: bool = False


def land(lake: Path, files: int, records: int) -> int:
    """Write the files of one simulated day; return their bytes."""
    chance = random.Random(7)
    offsets = [0] * PARTITIONS
    made: set[Path] = set()
    size = 0
    for number in range(files):
        moment = START + timedelta(days=1) * (number / files)
        folder = lake / TOPIC / f"year={moment:%Y}/month={moment:%m}/day={moment:%d}"
        folder /= f"hour={moment:%H}"
        if folder not in made:
            folder.mkdir(parents=True)
            made.add(folder)
        partition = number % PARTITIONS
        data = b"".join(event(chance, moment, 1_000 // records) for _ in range(records))
        size += len(data)
        name = f"app-events+{partition}+{offsets[partition]:010d}.json"
        (folder / name).write_bytes(data)
        offsets[partition] += records
    return size


def event(chance: random.Random, moment: datetime, size: int) -> bytes:
    """One line of about so many bytes."""
    at = moment + timedelta(microseconds=chance.randrange(1_000_000))
    record: dict[str, Any] = {
        "event_id": f"{chance.getrandbits(128):032x}",
        "event_name": chance.choice(NAMES),
        "user_id": chance.randrange(1, 200_000),
        "anonymous_id": f"{chance.getrandbits(64):016x}",
        "occurred_at": f"{at:%Y-%m-%dT%H:%M:%S.%f}-03:00",
        "platform": chance.choice(("android", "ios", "web", "whatsapp")),
        "app_version": "5.12.3",
        "region": chance.choice(("SP", "RJ", "MG", "BA")),
        "country": "BR",
        "properties": {
            "feature": chance.choice(("summary", "translate", "voice", "image")),
            "status": chance.choice((200, 200, 200, 404, 500)),
            "path": "/v1/assistants/answers",
        },
    }
    rest = size - len(orjson.dumps(record))
    if rest > 20:
        record["properties"]["trace"] = f"{chance.getrandbits(4 * rest):x}"[: rest - 12]
    return orjson.dumps(record) + b"\n"


def measure(
    command: Sequence[str], environment: dict[str, str] | None = None, limit: float | None = None
) -> Measured:
    """Run a command to its end, or for `limit` seconds."""
    began, before = time.perf_counter(), processor_seconds()
    process = psutil.Popen(
        list(command),
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, proportional_set_size(process))
        if limit is not None and time.perf_counter() - began > limit:
            process.kill()
            process.wait()
            used = processor_seconds() - before
            return Measured(time.perf_counter() - began, used, peak / 1e6, is_stopped=True)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(0.5)  # not asleep: its end is what is measured
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command[:3])} failed with exit code {process.returncode}")
    return Measured(seconds, processor_seconds() - before, peak / 1e6)


def processor_seconds() -> float:
    """What processes that have ended, and those that they waited for, took so far."""
    times = os.times()
    return times.children_user + times.children_system


def proportional_set_size(process: psutil.Process) -> int:
    """Bytes of a process and all below it, shared pages counted once."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            # The kernel's own sum: psutil reads every mapping, which takes a hundred times as long.
            for line in Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    except (psutil.Error, OSError):
        pass  # it has just ended
    return total


def warm_up(bronze: str) -> None:
    """Bring the files to memory."""
    subprocess.run([sys.executable, "-c", READ, bronze], check=True)


def ingest(lake: Path) -> Measured:
    """Ingest the lake as if for the first time."""
    for folder in ("manifest", "consolidated", "quarantine"):
        shutil.rmtree(lake / folder, ignore_errors=True)
    (lake / "state.db").unlink(missing_ok=True)
    synapse = str(Path(sys.executable).with_name("synapse"))
    return measure([synapse, "ingest", "--lake", str(lake)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=70_000)
    parser.add_argument("--records", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    known = [*REPEATED, "duckdb"]
    parser.add_argument("--peers", nargs="*", choices=known, default=known, metavar="NAME")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="synapse-small-files-") as folder:
        lake, output = Path(folder) / "lake", str(Path(folder) / "out.parquet")
        size = land(lake, asked.files, asked.records)
        os.sync()  # nobody's turn is to be disturbed by what landing left to write
        print(
            f"{asked.files:,} files of {asked.records} record(s), {size / 1e6:.1f} MB, "
            f"{os.cpu_count()} cores"
        )
        bronze = str(lake / TOPIC)
        peers = {name: script for name, script in REPEATED.items() if name in asked.peers}
        scripts = {"read": READ} | peers
        runs: dict[str, list[Measured]] = {}
        for _ in range(asked.repeat):
            # In turn, so that a slow minute of the machine falls on all of them.
            warm_up(bronze)
            runs.setdefault("synapse ingest", []).append(ingest(lake))
            for name, script in scripts.items():
                command = [sys.executable, "-c", script, bronze, output]
                warm_up(bronze)
                runs.setdefault(name, []).append(measure(command))
        ours = statistics.median(run.seconds for run in runs["synapse ingest"])
        if "duckdb" in asked.peers:
            command = [sys.executable, "-c", DUCKDB, bronze, output]
            warm_up(bronze)
            runs["duckdb"] = [measure(command, limit=100 * ours)]
        for name, several in runs.items():
            seconds = statistics.median(run.seconds for run in several)
            processor = statistics.median(run.processor for run in several)
            peak = max(run.megabytes for run in several)
            more = ">" if several[0].is_stopped else " "
            print(
                f"{name:15} {more}{seconds:8.2f} s  {more}{seconds / ours:7.2f} x synapse ingest  "
                f"{processor:8.2f} s of processor  {peak:7.0f} MB"
            )
        read = statistics.median(run.seconds for run in runs["read"])
        print(f"synapse ingest takes {ours / read:.2f} times as long as only reading (bar: 4)")


if __name__ == "__main__":
    main()

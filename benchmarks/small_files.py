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
work that is compared, not the disk. Memory is measured in a turn of its own, the first, which is
not timed, because looking stops who is looked at: the largest proportional set size of a contender
and its children, looked at ten times a second. Printed are the median seconds by the clock of the
other turns, each contender's ratio to `synapse ingest`, and its processor seconds, which busy
neighbours disturb less.

On 2 idle cores, 70,000 files, four series of four or five turns: 2.0 to 2.5 s of `synapse ingest`
(3.1 to 3.7 processor seconds, peak 303 MB), 0.8 to 0.9 s of reading, 12 s of polars (21, 2,759 MB):
2.4 to 2.8 times reading, and polars 5.7, 5.9, 5.8 and 5.1 times as long. What else the machine's
host does moves ours more than polars', which waits for the kernel. pyarrow: 45 s. 700,000 files
(--peers, none named): 1.4 times reading, peak 364 MB.

    python benchmarks/small_files.py [--files N] [--records N] [--repeat N] [--peers NAME ...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
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
PEERS = {"polars": POLARS, "pyarrow": PYARROW, "duckdb": DUCKDB}
STOPPED = "duckdb"  # run once, for as long as is enough to say that it is not done
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Measured:
    """One turn: seconds by the clock and of the processors. is_stopped: it did not end in time."""

    seconds: float
    processor: float
    is_stopped: bool = False


@dataclass(frozen=True)
class Contender:
    """What is compared. prepare: called before each turn."""

    name: str
    command: tuple[str, ...]
    prepare: Callable[[], object]

    def turn(self, limit: float | None = None) -> Measured:
        """Run to the end, or for `limit` seconds."""
        self.prepare()
        before, began = processor_seconds(), time.perf_counter()
        process, is_stopped = self._start(), False
        try:
            process.wait(limit)
        except psutil.TimeoutExpired:
            is_stopped = True
            process.kill()
            process.wait()
        seconds = time.perf_counter() - began
        if not is_stopped:
            self._require_success(process)
        return Measured(seconds, processor_seconds() - before, is_stopped)

    def peak(self) -> int:
        """Run to the end; return the most bytes that it and its children held."""
        self.prepare()
        process, peak = self._start(), 0
        while process.poll() is None:
            peak = max(peak, proportional_set_size(process))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.1)
        self._require_success(process)
        return peak

    def _start(self) -> psutil.Popen:
        # As it is installed: what has been compiled is kept for the next start.
        kept = {name: text for name, text in os.environ.items() if name != _UNCOMPILED}
        return psutil.Popen(self.command, env=kept, stdout=subprocess.DEVNULL)

    def _require_success(self, process: psutil.Popen) -> None:
        if process.returncode != 0:
            raise SystemExit(f"{self.name} failed with exit code {process.returncode}")


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


def clear(lake: Path) -> None:
    """Leave of the lake what has landed, as if it had never been ingested."""
    for folder in ("manifest", "consolidated", "quarantine"):
        shutil.rmtree(lake / folder, ignore_errors=True)
    (lake / "state.db").unlink(missing_ok=True)


def contenders(lake: Path, output: str) -> dict[str, Contender]:
    """All of them, by name."""
    bronze = str(lake / TOPIC)
    synapse = str(Path(sys.executable).with_name("synapse"))

    def prepare() -> None:
        clear(lake)
        warm_up(bronze)

    ours = Contender("synapse ingest", (synapse, "ingest", "--lake", str(lake)), prepare)
    others = [
        Contender(name, (sys.executable, "-c", script, bronze, output), prepare)
        for name, script in {"read": READ, **PEERS}.items()
    ]
    return {one.name: one for one in (ours, *others)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=70_000)
    parser.add_argument("--records", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[*PEERS], metavar="NAME")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="synapse-small-files-") as folder:
        lake = Path(folder) / "lake"
        size = land(lake, asked.files, asked.records)
        os.sync()  # nobody's turn is to be disturbed by what landing left to write
        print(
            f"{asked.files:,} files of {asked.records} record(s), {size / 1e6:.1f} MB, "
            f"{os.cpu_count()} cores"
        )
        wanted = ("synapse ingest", "read", *asked.peers)
        known = contenders(lake, str(Path(folder) / "out.parquet"))
        repeated = [known[name] for name in wanted if name != STOPPED]
        peaks = {one.name: one.peak() for one in repeated}
        # In turn, so that a slow minute of the machine falls on all of them.
        turns = [{one.name: one.turn() for one in repeated} for _ in range(asked.repeat)]
        runs = {one.name: [turn[one.name] for turn in turns] for one in repeated}
        ours = median(run.seconds for run in runs["synapse ingest"])
        if STOPPED in wanted:
            runs[STOPPED] = [known[STOPPED].turn(limit=100 * ours)]
        for name, several in runs.items():
            seconds = median(run.seconds for run in several)
            processor = median(run.processor for run in several)
            more = ">" if several[0].is_stopped else " "
            held = f"{peaks[name] / 1e6:7.0f} MB" if name in peaks else ""
            print(
                f"{name:15} {more}{seconds:8.2f} s  {more}{seconds / ours:7.2f} x synapse ingest  "
                f"{processor:8.2f} s of processor  {held}"
            )
        read = median(run.seconds for run in runs["read"])
        print(f"synapse ingest takes {ours / read:.2f} times as long as only reading (bar: 4)")


if __name__ == "__main__":
    main()

"""A full rebuild of 10 million changes against hand-written DuckDB that does the same windows.

Ours: `dbt run --full-refresh` of base_, stg_ and hist_dms__messages over an ingested lake, digests,
lineage, exact ties and dbt included. By hand: current state and SCD2 straight from the same files,
one window each and nothing else, which is right only for this well-behaved lake. Both have as many
threads of DuckDB and take turns, each turn a process of its own, as a run is (in one process either
pays for the memory that the other left), which begins with nothing left for the disk to write. What
is told is the median of their turns, with the start of dbt, which no change makes longer, and
without it. The bar is half the speed.
Physical limit: every change must be decoded, ordered within its key and written twice, which is
what the query by hand does; ours also writes the change log that every later merge reads.

    python benchmarks/cdc_rebuild.py [CHANGES [TURNS]]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.support.messages_lake import (
    MODELS,
    Lake,
    peak_memory_mb,
    reset_peak_memory,
)

FILES = 20
START = "start of dbt"
COLUMNS = (
    "message_id, conversation_id, user_id, role, content, model, token_count, sentiment, "
    "sent_at, created_at, updated_at"
)
CURRENT = """
    create table current_state as
    select {columns}, "Op" = 'D' as is_deleted, dms_change_seq, dms_committed_at::timestamp as at
    from {files}
    qualify row_number() over (partition by message_id order by dms_change_seq desc) = 1
"""
HISTORY = """
    create table history as
    select * exclude (op)
    from (
        select
            {columns},
            "Op" as op,
            dms_committed_at::timestamp as valid_from,
            lead(dms_committed_at::timestamp) over key_order as valid_to,
            row_number() over key_order as version
        from {files}
        window key_order as (partition by message_id order by dms_change_seq)
    )
    where op <> 'D'
"""


def land(lake: Lake, changes: int) -> None:
    """Land 40 % of the changes as a full load, 30 % as inserts, 27 % updates and 3 % deletes."""
    loaded = changes * 4 // 10
    lake.land_load(loaded)
    each = changes * 6 // 10 // FILES
    for file in range(FILES):
        first = file * each
        lake.land_changes(
            f"{file:06d}000",
            first,
            f"""
            select
                i as number,
                case when i % 2 = 0 then 'I' when i % 20 = 1 then 'D' else 'U' end as op,
                case when i % 2 = 0 then {loaded} + ({first} + i) // 2
                    else (hash({first} + i) % ({loaded} + {first} // 2))::bigint end as id,
                {file} + 1 as version
            from range({each}) as numbers(i)
            """,
        )


@dataclass(frozen=True)
class Turn:
    """Seconds of a turn by the clock, of its parts, and of the processor; MB at its peak."""

    seconds: float
    parts: dict[str, float]
    processor: float
    memory: float


def in_a_process(work: Callable[[Path], tuple[float, dict[str, float]]], folder: Path) -> Turn:
    """Do the work on the lake in the folder in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as alone:
        return alone.submit(measured, work, folder).result()


def measured(work: Callable[[Path], tuple[float, dict[str, float]]], folder: Path) -> Turn:
    """Do the work, which returns its seconds and those of its parts, from a quiet start."""
    os.sync()
    reset_peak_memory()
    processor = time.process_time()
    seconds, parts = work(folder)
    return Turn(seconds, parts, time.process_time() - processor, peak_memory_mb())


def with_dbt(folder: Path) -> tuple[float, dict[str, float]]:
    """Rebuild the three models; returns seconds of it all, of dbt's start and of each model."""
    began = time.perf_counter()
    lake = Lake.of(folder)
    lake.dbt.parse()
    start = time.perf_counter() - began
    seconds, models = lake.build("--full-refresh")
    return start + seconds, {START: start, **models}


def by_hand(folder: Path) -> tuple[float, dict[str, float]]:
    """Build both tables by hand; returns seconds of both, and of each."""
    files = sorted(str(path) for path in Lake.of(folder).table.rglob("*.parquet"))
    database = folder / "by_hand.duckdb"
    database.unlink(missing_ok=True)
    seconds = {}
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"set threads = {os.environ['SYNAPSE_DUCKDB_THREADS']}")
        connection.execute("set enable_progress_bar = false")
        for name, query in (("current", CURRENT), ("history", HISTORY)):
            began = time.perf_counter()
            source = f"read_parquet({files}, union_by_name = true)"
            connection.execute(query.format(columns=COLUMNS, files=source))
            seconds[name] = time.perf_counter() - began
    return sum(seconds.values()), seconds


def told(name: str, turns: list[Turn]) -> float:
    """Print the turns of one; returns the median of their seconds."""
    for turn in turns:
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in turn.parts.items())
        print(f"{name:8s}{turn.seconds:6.1f} s   {parts}; peak {turn.memory:.0f} MB")
    return statistics.median(turn.seconds for turn in turns)


def main() -> None:
    """Print the ratios."""
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    threads = os.cpu_count() or 1
    os.environ["SYNAPSE_DUCKDB_THREADS"] = str(threads)
    hand: list[Turn] = []
    ours: list[Turn] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lake = Lake.at(folder)
        land(lake, changes)
        ingested = lake.ingest()
        for _ in range(turns):
            hand.append(in_a_process(by_hand, folder))
            ours.append(in_a_process(with_dbt, folder))
    print(f"{changes:,} changes, {threads} threads; ingest before it took {ingested:.1f} s")
    hands, whole = told("by hand", hand), told("ours", ours)
    rebuild = statistics.median(turn.seconds - turn.parts[START] for turn in ours)
    by_processor = statistics.median(t.processor for t in hand) / statistics.median(
        t.processor for t in ours
    )
    of_window = statistics.median(t.parts["current"] for t in hand) / statistics.median(
        t.parts[MODELS[1]] for t in ours
    )
    print(f"speed of the rebuild              {hands / rebuild:5.2f} of by hand (bar 0.5)")
    print(f"with the start of dbt             {hands / whole:5.2f}")
    print(f"the same in processor seconds     {by_processor:5.2f}")
    print(f"speed of stg_ against its window  {of_window:5.2f}")


if __name__ == "__main__":
    main()

"""A full rebuild of 10 million changes against hand-written DuckDB that does the same windows.

Ours: `dbt run --full-refresh` of base_, stg_ and hist_dms__messages over an ingested lake, digests,
lineage, exact ties and dbt included. By hand: current state and SCD2 straight from the same files,
one window each and nothing else, which is right only for this well-behaved lake. Both have as many
threads of DuckDB, run in this one process and begin with nothing left for the disk to write. The
bar is half the speed.
Physical limit: every change must be decoded, ordered within its key and written twice, which is
what the query by hand does; ours also writes the change log that every later merge reads.

    python benchmarks/cdc_rebuild.py [CHANGES]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.support.messages_lake import (
    MODELS,
    Lake,
    peak_memory_mb,
    reset_peak_memory,
)

FILES = 20
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


def by_hand(folder: Path, lake: Lake, threads: int) -> tuple[float, float]:
    """Build both tables by hand; returns seconds of the current state and of the history."""
    files = sorted(str(path) for path in lake.table.rglob("*.parquet"))
    with duckdb.connect(str(folder / "by_hand.duckdb")) as connection:
        connection.execute(f"set threads = {threads}")
        seconds = []
        for query in (CURRENT, HISTORY):
            began = time.perf_counter()
            source = f"read_parquet({files}, union_by_name = true)"
            connection.execute(query.format(columns=COLUMNS, files=source))
            seconds.append(time.perf_counter() - began)
    return seconds[0], seconds[1]


def main() -> None:
    """Print the ratios."""
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    threads = os.cpu_count() or 1
    os.environ["SYNAPSE_DUCKDB_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.at(Path(folder) / "lake")
        land(lake, changes)
        ingested = lake.ingest()
        os.sync()
        reset_peak_memory()
        processor = time.process_time()
        current, history = by_hand(Path(folder), lake, threads)
        hand_processor = time.process_time() - processor
        hand_memory = peak_memory_mb()
        (Path(folder) / "by_hand.duckdb").unlink()
        os.sync()
        reset_peak_memory()
        processor = time.process_time()
        whole, models = lake.build("--full-refresh")
        own_processor = time.process_time() - processor
        own_memory = peak_memory_mb()
    hand = current + history
    print(f"{changes:,} changes, {threads} threads; ingest before it took {ingested:.1f} s")
    print(f"by hand     {hand:8.1f} s   current {current:.1f} s, history {history:.1f} s")
    print(
        f"ours        {whole:8.1f} s   " + ", ".join(f"{m[:4]} {models[m]:.1f} s" for m in MODELS)
    )
    print(f"speed of the whole                {hand / whole:5.2f} of by hand (bar 0.5)")
    print(f"the same in processor seconds     {hand_processor / own_processor:5.2f}")
    print(f"speed of stg_ against its window  {current / models[MODELS[1]]:5.2f}")
    print(f"peak memory                       {own_memory:.0f} MB, by hand {hand_memory:.0f} MB")


if __name__ == "__main__":
    main()

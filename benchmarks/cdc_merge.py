"""An hourly delta of 20,000 changes, merged into 1 million messages and into 10 million.

Real files, the real `synapse ingest` and the real dbt models base_, stg_ and hist_dms__messages. Of
the delta's changes 95 % are of recent keys (new ones, and updates and deletes of the last 100,000),
5 % update keys from all of the table. Printed is the ratio of the large table to the small one: of
the whole (ingest and dbt, its fixed cost included), of the SQL alone as run_results has it, and of
the processor's seconds, which do not depend on what else the machine does. The bar is 1.5.
Physical limit: the delta has to be found among the keys (one pass over a column of 8-byte keys,
which grows with the table), and the 1,000 old keys lie in as many places of every column.

    python benchmarks/cdc_merge.py [SMALL LARGE]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.messages_lake import MODELS, Lake, peak_memory_mb, reset_peak_memory

CHANGES = 20_000
RECENT = 100_000
# Now and then DuckDB puts blocks together as it commits; of few merges that would be the median.
REPEATS = 9


@dataclass
class Measured:
    """A lake, and what each of its merges took."""

    lake: Lake
    rows: int
    whole: list[float] = field(default_factory=list)
    sql: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    models: list[dict[str, float]] = field(default_factory=list)
    memory_mb: float = 0.0
    bronze_read: tuple[int, int] = (0, 0)

    @classmethod
    def prepare(cls, folder: Path, rows: int) -> Measured:
        """Land, ingest and build the table as it stands before the first delta."""
        measured = cls(Lake.at(folder), rows)
        measured.lake.land_load(rows)
        measured.lake.ingest()
        measured.lake.build()
        return measured

    def merge(self, number: int) -> None:
        """Land a delta and measure what it takes."""
        path = self.lake.land_changes(
            f"{number:06d}000", number * CHANGES, delta(self.rows, number)
        )
        reset_peak_memory()
        processor = time.process_time()
        ingested = self.lake.ingest()
        built, seconds = self.lake.build()
        self.processor.append(time.process_time() - processor)
        self.whole.append(ingested + built)
        self.sql.append(sum(seconds[model] for model in MODELS))
        self.models.append(seconds)
        self.memory_mb = max(self.memory_mb, peak_memory_mb())
        sql = self.lake.compiled(MODELS[0])
        landed = [file for file in self.lake.table.rglob("*.parquet") if file.name in sql]
        assert landed == [path], "base read another file than the delta"
        in_all = sum(file.stat().st_size for file in self.lake.table.rglob("2026*.parquet"))
        self.bronze_read = path.stat().st_size, in_all


def delta(rows: int, number: int) -> str:
    """Return SQL of a delta's changes to a table that began with `rows` messages."""
    return f"""
        select
            i as number,
            case when i % 20 in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10) then 'I'
                 when i % 20 = 19 then 'D' else 'U' end as op,
            case
                when i % 20 = 0 then (hash(i, {number}) % {rows})::bigint
                when i % 20 <= 10 then {rows} + {number} * {CHANGES // 2} + i // 20 * 10 + i % 20
                else {rows} - 1 - (hash(i, {number}, 1) % {RECENT})::bigint
            end as id,
            {number} as version
        from range({CHANGES}) as numbers(i)
    """


def main() -> None:
    """Print the ratios."""
    sizes = [int(argument) for argument in sys.argv[1:3]] or [1_000_000, 10_000_000]
    with tempfile.TemporaryDirectory() as folder:
        small, large = (Measured.prepare(Path(folder) / str(rows), rows) for rows in sizes)
        for number in range(1, REPEATS + 1):
            for table in (small, large):
                table.merge(number)
    print(f"{CHANGES:,} changes into   {small.rows:>12,}   {large.rows:>12,}   ratio (bar 1.5)")
    for label, attribute in (
        ("ingest and dbt", "whole"),
        ("SQL of three models", "sql"),
        ("processor seconds", "processor"),
    ):
        less, more = (statistics.median(getattr(table, attribute)) for table in (small, large))
        print(f"{label:20} {less:12.2f} s {more:12.2f} s {more / less:7.2f}")
    for model in MODELS:
        less, more = (
            statistics.median(seconds[model] for seconds in table.models)
            for table in (small, large)
        )
        print(f"  {model:18} {less:12.2f} s {more:12.2f} s {more / less:7.2f}")
    print(f"peak memory          {small.memory_mb:12.0f} MB {large.memory_mb:11.0f} MB")
    read, day = large.bronze_read
    print(
        f"bronze read by base: {read / 1e6:.1f} MB, the delta; the day's files: {day / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()

"""Lakes of millions of `messages` changes, as DMS lands them, and the real models built on them.

The rows are made by DuckDB straight into Parquet: every value is a function of a row's number, so
one size gives the same bytes every time.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson

from synapse.ingest.service import ingest
from synapse.project import find_project
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

MODELS = ("base_dms__messages", "stg_dms__messages", "hist_dms__messages")
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
LOADED_AT = "2026-01-01 00:00:00"
ROWS_PER_FILE = 500_000

# A row of messages as version `version` of message `id`; its text is as long as people's are.
_VALUES = """
    id as message_id,
    id // 12 as conversation_id,
    (hash(id // 12) % 200000)::bigint as user_id,
    case when id % 2 = 0 then 'user' else 'assistant' end as role,
    substr(repeat(md5(concat(id, ':', version)), 5), 1, 20 + (hash(id) % 120)::integer) as content,
    case when id % 2 = 1 then 'assistant-small' end as model,
    (20 + hash(id, version) % 400)::bigint as token_count,
    (((hash(id) % 20001)::integer - 10000) / 10000)::decimal(6, 4) as sentiment,
    timestamp '2025-01-01' + to_seconds(id * 3) as sent_at,
    timestamp '2025-01-01' + to_seconds(id * 3) as created_at,
    timestamp '2025-01-01' + to_seconds(id * 3) + to_minutes(version) as updated_at
"""


@dataclass(frozen=True)
class Lake:
    """A lake with its project; measures what is done to it."""

    settings: Settings
    dbt: DbtProject

    @classmethod
    def of(cls, folder: Path) -> Lake:
        """Open the lake that is in the folder."""
        settings = Settings.load(lake=folder)
        return cls(settings, DbtProject(settings, find_project()))

    @classmethod
    def at(cls, folder: Path) -> Lake:
        """Make an empty lake in the folder."""
        lake = cls.of(folder)
        lake.table.mkdir(parents=True)
        lake.dbt.parse()  # once, as an installation has done it
        return lake

    @property
    def table(self) -> Path:
        """Where DMS lands the table."""
        return self.settings.lake / "bronze" / "dms" / "synapse" / "messages"

    def land_load(self, rows: int) -> None:
        """Land a full load of `rows` messages, numbered from 0."""
        starts = range(0, rows, ROWS_PER_FILE)
        for number, start in enumerate(starts, start=1):
            write_parquet(
                self.table / f"LOAD{number:08X}.parquet",
                f"select 'I' as \"Op\", '{LOADED_AT}.000000' as dms_committed_at, "
                f"'' as dms_change_seq, {_VALUES} "
                f"from (select i as id, 0 as version "
                f"from range({start}, {min(start + ROWS_PER_FILE, rows)}) as numbers(i))",
            )

    def land_changes(self, name: str, first_sequence: int, changes: str) -> Path:
        """Land a file of changes. changes: SQL of `number` (from 0), `op`, `id` and `version`.

        Within the file the rows are in no order, as DMS leaves them.
        """
        moment = f"timestamp '{LOADED_AT}' + to_milliseconds(60000 + ({first_sequence} + number))"
        path = self.table / "2026" / "01" / "02" / f"20260102-{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(
            path,
            f"select op as \"Op\", strftime({moment}, '%Y-%m-%d %H:%M:%S.%f') as dms_committed_at, "
            f"lpad(cast({first_sequence} + number as varchar), 35, '0') as dms_change_seq, "
            f"{_VALUES} from ({changes}) order by hash(number)",
        )
        return path

    def ingest(self) -> float:
        """Ingest what has landed; returns the seconds it took."""
        began = time.perf_counter()
        report = ingest(self.settings, find_project(), as_of=AS_OF)
        assert report.quarantined == 0, report
        write_run_context(self.settings, run_id=report.run_id, as_of=AS_OF, is_backfill=False)
        return time.perf_counter() - began

    def build(self, *arguments: str) -> tuple[float, dict[str, float]]:
        """Run the three models; returns seconds in all, and of each model by itself."""
        began = time.perf_counter()
        result = self.dbt.invoke(["run", "--select", *MODELS, *arguments])
        whole = time.perf_counter() - began
        assert result.succeeded, result.failures
        ran = orjson.loads((self.dbt.target_path / "run_results.json").read_bytes())["results"]
        return whole, {node["unique_id"].rsplit(".", 1)[1]: node["execution_time"] for node in ran}

    def compiled(self, model: str) -> str:
        """Return the SQL that dbt last ran for the model."""
        return next((self.dbt.target_path / "compiled").rglob(f"{model}.sql")).read_text()


def write_parquet(path: Path, query: str) -> None:
    """Write a query's rows as one file, as DMS does."""
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{path}' (format parquet, compression snappy)")


def reset_peak_memory() -> None:
    """Start this process' peak of resident memory anew (Linux only)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Return the peak of this process' resident memory in MB since it was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")

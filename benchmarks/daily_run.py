"""Rows that gold reads in a daily run after one new day, with a short history and with a long one.

Two lakes of the same product (benchmarks/support/daily_lake.py) with as many messages, app events
and payments a day differ in how many days they hold. Both are built whole; then one day lands, with
a message and an event of the history's middle, silver takes it up, and gold is run with DuckDB's
profiler on: for each model the rows that its scans read are added up, over every statement that dbt
makes of it, scans of the statement's own temporary tables left out. A model is independent of the
history where its rows grow by less than INDEPENDENT while the days grow LONG_DAYS / SHORT_DAYS
times. Physical limit: the rows of the new day. Rows are counted by blocks (DuckDB skips blocks of
122,880 rows, or reads them), which is why a day should not be too small. Why models are not
independent is told in docs/scale.md.

    python benchmarks/daily_run.py [MESSAGES_A_DAY [SHORT_DAYS LONG_DAYS]]
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import orjson
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from benchmarks.support.daily_lake import MIDNIGHT, DailyLake
from benchmarks.support.gold import settings_in
from benchmarks.support.messages_lake import peak_memory_mb
from synapse.deps import ensure_packages
from synapse.ingest.service import ingest
from synapse.project import find_project
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject

MESSAGES_A_DAY, SHORT_DAYS, LONG_DAYS = 1_000, 30, 240
INDEPENDENT = 1.5
_NODE = re.compile(r'"node_id": "model\.[^".]+\.([^"]+)"')


@dataclass
class RowsRead:
    """Rows that the scans of each dbt node read, by table; filled while `counting`."""

    by_node: dict[str, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Profile every statement that dbt executes in this process."""
        plain: Any = DuckDBCursorWrapper.execute

        def profiled(wrapper: Any, sql: str, bindings: object = None) -> Any:
            node = _NODE.search(sql)
            if node is None or bindings is not None:
                return plain(wrapper, sql, bindings)
            wrapper._cursor.execute("pragma enable_profiling = 'no_output'")
            for statement in wrapper._cursor.extract_statements(sql):
                plain(wrapper, statement)
                profile = wrapper._cursor.get_profiling_information()
                self._add(node[1], orjson.loads(profile) if profile else {})
            return wrapper

        with patch.object(DuckDBCursorWrapper, "execute", profiled):
            yield

    def _add(self, node: str, operator: dict[str, Any]) -> None:
        table = (operator.get("extra_info") or {}).get("Table", "")
        if table and "__dbt_tmp" not in table:
            self.by_node[node][table.split(".", 1)[-1]] += operator["operator_rows_scanned"]
        for child in operator.get("children", ()):
            self._add(node, child)


def rows_read(a_day: int, days: int) -> dict[str, dict[str, int]]:
    """Rows that each model of gold reads, by table, when one day follows so many."""
    read, began = RowsRead(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings, project = settings_in(folder), find_project()
        ensure_packages(project)
        dbt = DbtProject(settings, project)
        lake = DailyLake(settings.lake, a_day, days)
        for number, land in enumerate((lake.land_history, lake.land_day)):
            land()
            as_of = MIDNIGHT + timedelta(days=number, hours=1)
            report = ingest(settings, project, as_of=as_of)
            assert report.quarantined == 0, report
            write_run_context(settings, run_id=report.run_id, as_of=as_of, is_backfill=False)
            run(dbt, "seed")
            run(dbt, "run", "--select", "path:models/silver")
            tell(began, f"{days} days, step {number + 1}: silver", settings.lake)
            with read.counting() if number else contextlib.nullcontext():
                run(dbt, "run", "--select", "path:models/gold")
            tell(began, f"{days} days, step {number + 1}: gold", settings.lake)
    return read.by_node


def run(dbt: DbtProject, *arguments: str) -> None:
    """Run dbt, quietly; it must succeed."""
    with contextlib.redirect_stdout(None):
        result = dbt.invoke(arguments)
    assert result.succeeded, result.failures


def tell(began: float, what: str, lake: Path) -> None:
    """Say on standard error how far it is, after how long and at which cost of the machine."""
    gigabytes = sum(path.stat().st_size for path in lake.rglob("*") if path.is_file()) / 1e9
    print(
        f"{time.perf_counter() - began:6.0f} s  {what}; {gigabytes:.1f} GB on disk, "
        f"at most {peak_memory_mb() / 1000:.1f} GB of memory",
        file=sys.stderr,
    )


def main() -> None:
    """Print the table."""
    given = [int(text) for text in sys.argv[1:4]]
    a_day, short, long = (*given, *(MESSAGES_A_DAY, SHORT_DAYS, LONG_DAYS)[len(given) :])
    print(f"DuckDB {duckdb.__version__}, {a_day:,} messages a day, after {short} and {long} days")
    before, after = (rows_read(a_day, days) for days in (short, long))
    print("| model | rows read, short | long | ratio | independent | most of them from |")
    print("|---|---|---|---|---|---|")
    independent = 0
    for model in sorted(after):
        few, many = sum(before[model].values()), sum(after[model].values())
        ratio = many / max(few, 1)
        independent += ratio < INDEPENDENT
        most = max(after[model], key=lambda table: after[model][table], default="-")
        print(
            f"| `{model}` | {few:,} | {many:,} | {ratio:.1f} "
            f"| {'yes' if ratio < INDEPENDENT else 'no'} | `{most}` |"
        )
    print(f"{independent} of {len(after)} models read as much after {long} days as after {short}")


if __name__ == "__main__":
    main()

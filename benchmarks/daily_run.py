"""Rows that gold reads in a daily run after one new day, with a short history and with a long one.

Two lakes of the same product (users, conversations, messages) with as many messages a day differ in
how many days they hold. Both are built whole; then one day lands, silver takes it up, and gold is
run with DuckDB's profiler on: for each model the rows that its scans read are added up, over every
statement that dbt makes of it, scans of the statement's own temporary tables left out. A model is
independent of the history where its rows grow by less than INDEPENDENT while the days grow
LONG_DAYS / SHORT_DAYS times. Physical limit: the rows of the new day. Rows are counted by blocks
(DuckDB skips blocks of 122,880 rows, or reads them), which is why a day should not be too small.
Why models are not independent is told in docs/scale.md.

    python benchmarks/daily_run.py [MESSAGES_A_DAY [SHORT_DAYS LONG_DAYS]]
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import orjson
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from benchmarks.support.gold import settings_in
from benchmarks.support.messages_lake import write_parquet
from synapse.deps import ensure_packages
from synapse.ingest.service import ingest
from synapse.project import find_project
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

MESSAGES_A_DAY, SHORT_DAYS, LONG_DAYS = 1_000, 30, 240
MESSAGES_A_CONVERSATION = 12
ROWS_A_FILE = 500_000
INDEPENDENT = 1.5
# Midnight in Sao Paulo: the history ends here, and the new day begins.
MIDNIGHT = datetime(2026, 1, 1, 3, tzinfo=UTC)
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


def messages(first: int, last: int, a_day: int, start: datetime) -> str:
    """SQL of the messages with numbers [first, last), spread evenly over the days from start on."""
    users = 4 * a_day // MESSAGES_A_CONVERSATION
    at = f"timestamp '{start:%Y-%m-%d %H:%M:%S}' + to_microseconds(i * {86_400_000_000 // a_day})"
    return f"""
        select i as message_id, i // {MESSAGES_A_CONVERSATION} as conversation_id,
        (hash(i // {MESSAGES_A_CONVERSATION}) % {users})::bigint as user_id,
        case when i % 2 = 0 then 'user' else 'assistant' end as role,
        substr(repeat(md5(i::varchar), 3), 1, 20 + (hash(i) % 60)::integer) as content,
        case when i % 2 = 1 then 'assistant-small' end as model,
        (20 + hash(i) % 400)::bigint as token_count,
        (((hash(i) % 20001)::integer - 10000) / 10000)::decimal(6, 4) as sentiment,
        {at} as sent_at, {at} as created_at, {at} as updated_at
        from range({first}, {last}) as numbers(i)
    """


def conversations(first: int, last: int, a_day: int, start: datetime) -> str:
    """SQL of the conversations of the same messages."""
    return f"""
        select conversation_id, any_value(user_id) as user_id, 'whatsapp' as channel,
        'pt-BR' as language, 'ended' as status, min(sent_at) as started_at,
        max(sent_at) as ended_at, min(sent_at) as created_at, max(sent_at) as updated_at
        from ({messages(first, last, a_day, start)}) group by conversation_id
    """


def users(a_day: int, days: int, start: datetime) -> str:
    """SQL of everybody, who signed up at some time of the history."""
    at = f"timestamp '{start:%Y-%m-%d %H:%M:%S}' + to_days((hash(u, 1) % {days})::integer)"
    return f"""
        select u as user_id, 'Person ' || u as full_name, null::varchar as cpf,
        'person' || u || '@example.com' as email, null::varchar as phone,
        ['SP', 'RJ', 'MG', 'BA'][1 + u % 4] as region, 'BR' as country, 'pt-BR' as language,
        ['organic', 'referral', 'ads'][1 + u % 3] as acquisition_channel, 'active' as status,
        false as is_internal, {at} as created_at, {at} as updated_at
        from range({4 * a_day // MESSAGES_A_CONVERSATION}) as people(u)
    """


def land(settings: Settings, a_day: int, days: int) -> None:
    """Land full loads of the history."""
    start = MIDNIGHT - timedelta(days=days)
    stamp = f"'{MIDNIGHT:%Y-%m-%d %H:%M:%S}.000000' as dms_committed_at, '' as dms_change_seq"
    loads = {
        "users": [users(a_day, days, start)],
        "conversations": [conversations(0, a_day * days, a_day, start)],
        "messages": [
            messages(first, min(first + ROWS_A_FILE, a_day * days), a_day, start)
            for first in range(0, a_day * days, ROWS_A_FILE)
        ],
    }
    for table, parts in loads.items():
        for number, rows in enumerate(parts, start=1):
            path = folder_of(settings, table) / f"LOAD{number:08X}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(path, f"select 'I' as \"Op\", {stamp}, * from ({rows})")


def land_day(settings: Settings, a_day: int, days: int) -> None:
    """Land the changes of the day after the history."""
    start, first = MIDNIGHT - timedelta(days=days), a_day * days
    for table, rows in (
        ("conversations", conversations(first, first + a_day, a_day, start)),
        ("messages", messages(first, first + a_day, a_day, start)),
    ):
        path = (
            folder_of(settings, table) / f"{MIDNIGHT:%Y/%m/%d}/{MIDNIGHT:%Y%m%d}-230000000.parquet"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(
            path,
            "select 'I' as \"Op\", strftime(created_at, '%Y-%m-%d %H:%M:%S.%f') as "
            "dms_committed_at, lpad(cast(row_number() over () as varchar), 35, '0') as "
            f"dms_change_seq, * from ({rows})",
        )


def folder_of(settings: Settings, table: str) -> Path:
    """Where DMS lands a table."""
    return settings.lake / "bronze" / "dms" / "synapse" / table


def rows_read(a_day: int, days: int) -> dict[str, dict[str, int]]:
    """Rows that each model of gold reads, by table, when one day follows so many."""
    read = RowsRead()
    with tempfile.TemporaryDirectory() as folder:
        settings, project = settings_in(folder), find_project()
        ensure_packages(project)
        dbt = DbtProject(settings, project)
        for number, lands in enumerate((land, land_day)):
            lands(settings, a_day, days)
            as_of = MIDNIGHT + timedelta(days=number, hours=1)
            report = ingest(settings, project, as_of=as_of)
            assert report.quarantined == 0, report
            write_run_context(settings, run_id=report.run_id, as_of=as_of, is_backfill=False)
            run(dbt, "seed")
            run(dbt, "run", "--select", "path:models/silver")
            with read.counting() if number else contextlib.nullcontext():
                run(dbt, "run", "--select", "path:models/gold")
    return read.by_node


def run(dbt: DbtProject, *arguments: str) -> None:
    """Run dbt, quietly; it must succeed."""
    with contextlib.redirect_stdout(None):
        result = dbt.invoke(arguments)
    assert result.succeeded, result.failures


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

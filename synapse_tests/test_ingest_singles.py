"""Files of one record each: read a job at a time, they give what they give one by one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from synapse.ingest import reading
from synapse.ingest.singles import read_singles
from synapse_tests.ingest_lake import DOCUMENTS, EVENTS, Lake, event, new_lake

PLAIN = [
    event(1),
    event(2, user_id=None),
    event(3, user_id=str(2**53 + 1), occurred_at="2026-03-02T01:00:00.123456+03:00"),
    event(4, properties=None),
    {key: value for key, value in event(5).items() if key != "user_id"},
]
DOCUMENT = {
    "_id": "c1",
    "userId": 7,
    "createdAt": "2026-03-01T00:00:00Z",
    "messages": [
        {"role": "user", "content": "hi", "timestamp": "2026-03-01T00:00:01Z"},
        {"role": "assistant", "content": "yes?", "timestamp": "2026-03-01T00:00:02Z"},
    ],
    "metadata": {"tags": ["b", "a"]},
}
# One of these among plain files, and their whole job is looked at file by file.
ODD = {
    "nothing": None,
    "no JSON": b'{"event_id": ',
    "no event": b'{"event_name": "login"}',
    "a day that no calendar has": orjson.dumps(event(9, occurred_at="2026-02-30T00:00:00Z")),
    "an integer of more than 64 bits": orjson.dumps(event(9)).replace(
        b'{"b":1,"a":2}', b'{"b":100000000000000000000}'
    ),
    "a number that no key has room for": orjson.dumps(event(9)).replace(
        b'"user_id":9', b'"user_id":"9999999999999999999"'
    ),
    "two records": orjson.dumps(event(9)) + b"\n" + orjson.dumps(event(10)),
    "an array": orjson.dumps([event(9)]),
    "nothing in it": b"",
    "nested too deep": orjson.dumps(event(9)).replace(b"1,", b"[" * 300 + b"]" * 300 + b","),
}


def landed(lake: Lake, odd: bytes | None) -> Lake:
    """Land plain files, each with an end of line and without, and one that is odd."""
    for number, record in enumerate(PLAIN):
        end = b"\n" if number % 2 else b""
        lake.land(f"{EVENTS}/app-events+0+{number:010d}.json", orjson.dumps(record) + end)
    if odd is not None:
        lake.land(f"{EVENTS}/app-events+1+0000000000.json", odd)
    lake.land(f"{DOCUMENTS}/conversations+0+0000000000.json", orjson.dumps(DOCUMENT))
    return lake


def outcome(lake: Lake) -> dict[str, Any]:
    """All that an ingest leaves: rows, counts, what was refused and what became of each file."""
    report = lake.ingest()
    ledger = sqlite3.connect(lake.root / "state.db")

    def of_ledger(query: str) -> list[Any]:
        return sorted(map(str, ledger.execute(query)))

    parts = sorted((lake.root / "consolidated").rglob("*.parquet"))
    return {
        "counts": report.sources,
        "rows": [pq.read_table(part).to_pylist() for part in parts],
        "refused": of_ledger(
            "select path, number, rule, sentence, byte_start, byte_end from ingest_quarantine"
        ),
        "files": of_ledger(
            "select name, path, sha256, size, state, landed, accepted, duplicate, quarantined, "
            "kafka_partition, kafka_offset from ingest_files"
        ),
        "offsets": of_ledger("select * from ingest_offsets"),
    }


@pytest.mark.parametrize("odd", ODD)
def test_a_job_gives_what_its_files_give_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    together = outcome(landed(new_lake(tmp_path / "together"), ODD[odd]))
    monkeypatch.setattr(reading, "read_singles", lambda *_: None)
    one_by_one = outcome(landed(new_lake(tmp_path / "one_by_one"), ODD[odd]))
    assert together == one_by_one
    assert sum(len(rows) for rows in together["rows"]) >= len(PLAIN) + 2  # messages


def test_plain_files_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def watched(*arguments: Any) -> Any:
        taken.append(read_singles(*arguments))
        return taken[-1]

    monkeypatch.setattr(reading, "read_singles", watched)
    landed(new_lake(tmp_path), None).ingest()
    assert [len(one[0]) for one in taken if one is not None] == [len(PLAIN), 1]


def test_lean_arrow_leaves_numpy_and_the_docstrings_to_others() -> None:
    """What a process loads later must not find what was hidden from Arrow while it loaded."""
    script = (
        "from synapse.lean_arrow import load_lean_arrow; load_lean_arrow()\n"
        "import sys; assert 'numpy' not in sys.modules\n"
        "assert 'pyarrow._s3fs' not in sys.modules\n"
        "import pyarrow._s3fs\n"
        "import numpy, duckdb, pyarrow as pa, pyarrow.compute as pc\n"
        "from pyarrow.vendored.docscrape import NumpyDocString as doc\n"
        "assert doc('Sum.\\n')['Summary'] == ['Sum.']\n"
        "rows = pa.table({'a': [2, 1]})\n"
        "assert duckdb.sql('select a from rows').to_arrow_table().num_rows == 2\n"
        "assert pc.sort_indices(rows, [('a', 'ascending')]).to_pylist() == [1, 0]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

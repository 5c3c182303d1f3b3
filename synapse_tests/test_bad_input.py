"""What people get wrong gets one sentence and an exit code; what lands wrong stops nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synapse import cli
from synapse.runner.lease import lease
from synapse_tests.lakes import PROJECT_DIR, copy_project, lake_settings

DATE = "2026-03-31"
AT = datetime(2026, 3, 2, 12)


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What it said on the error stream, on one line."""
        return " ".join(self.err.split())


Synapse = Callable[..., Outcome]


@pytest.fixture
def synapse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Synapse:
    """Call the command line in this process, far from the caller's project and environment."""
    for name in ("SYNAPSE_LAKE", "SYNAPSE_WAREHOUSE", "SYNAPSE_STATE", "SYNAPSE_TARGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["synapse", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return Outcome(code if isinstance(code, int) else 1, said.out, said.err)

    return call


def files_of(folder: Path) -> set[str]:
    """Return every file below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def write_users(path: Path, ids: list[int], **columns: pa.Array) -> None:
    """Write a plain full load (or change) file of users."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        **columns,
        "user_id": pa.array(ids, pa.int64()),
        "region": pa.array(["SP"] * len(ids)),
        "is_internal": pa.array([False] * len(ids)),
        "created_at": pa.array([AT] * len(ids), pa.timestamp("us")),
        "updated_at": pa.array([AT] * len(ids), pa.timestamp("us")),
    }
    pq.write_table(pa.table(table), path)


def users_folder(lake: Path) -> Path:
    """Return where users land."""
    return lake / "bronze" / "dms" / "synapse" / "users"


@pytest.fixture
def small_lake(tmp_path: Path) -> Path:
    """Three users, landed and not ingested."""
    lake = tmp_path / "small-lake"
    write_users(users_folder(lake) / "LOAD00000001.parquet", [1, 2, 3])
    return lake


# --- what people get wrong ----------------------------------------------------------------------


def test_a_lake_that_is_not_there(synapse: Synapse, tmp_path: Path) -> None:
    lake = tmp_path / "no-such-lake"
    outcome = synapse("run", "daily", "--lake", lake, "--date", DATE)
    assert outcome.code == 1
    assert str(lake) in outcome.sentence
    assert "Traceback" not in outcome.err
    assert not lake.exists(), f"half-written: {files_of(lake)}"


@pytest.mark.parametrize("command", [("ingest",), ("run", "daily")])
def test_an_empty_lake(synapse: Synapse, tmp_path: Path, command: tuple[str, ...]) -> None:
    lake = tmp_path / "empty-lake"
    lake.mkdir()
    outcome = synapse(*command, "--lake", lake)
    assert outcome.code == 1
    assert str(lake) in outcome.sentence
    assert not files_of(lake), "half-written"


def test_a_lake_that_is_a_file(synapse: Synapse, tmp_path: Path) -> None:
    lake = tmp_path / "a-file"
    lake.write_text("not a lake")
    outcome = synapse("run", "daily", "--lake", lake)
    assert (outcome.code, str(lake) in outcome.sentence) == (1, True)
    assert lake.read_text() == "not a lake"


@pytest.fixture
def occupied(small_lake: Path) -> Iterator[Path]:
    """Hold the warehouse in another process, as an open notebook would."""
    warehouse = small_lake / "warehouse.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"
    yield warehouse
    holder.communicate("\n", timeout=30)


def test_an_occupied_warehouse(synapse: Synapse, occupied: Path, small_lake: Path) -> None:
    before = files_of(small_lake)
    outcome = synapse("run", "daily", "--lake", small_lake, "--project-dir", PROJECT_DIR)
    assert outcome.code == 1
    assert str(occupied) in outcome.sentence
    assert "another process" in outcome.sentence
    assert files_of(small_lake) == before, "half-written"


def test_a_warehouse_that_is_none(synapse: Synapse, small_lake: Path) -> None:
    warehouse = small_lake / "warehouse.duckdb"
    warehouse.write_text("this was a DuckDB file once, before something happened to it" * 99)
    outcome = synapse("run", "daily", "--lake", small_lake, "--project-dir", PROJECT_DIR)
    assert (outcome.code, str(warehouse) in outcome.sentence) == (1, True)
    assert not (small_lake / "manifest").exists()


@pytest.mark.parametrize(
    ("seed", "text", "named"),
    [
        ("funnels.csv", "funnel_name,step_number\nsignup,1\n", "event_name"),
        (
            "funnels.csv",
            "funnel_name,step_number,step_name,event_name,window_hours\nf,1,One,login,soon\n",
            "line 2",
        ),
        (
            "funnels.csv",
            "funnel_name,step_number,step_name,event_name,window_hours\n"
            "f,1,One,login,24\nf,3,Two,login,24\n",
            "funnel f",
        ),
        ("tracking_plan.csv", "event_name,is_active_signal\nlogin,true\nlogin,true\n", "line 3"),
        ("tracking_plan.csv", "event_name,is_active_signal\nlogin,perhaps\n", "line 2"),
        (
            "model_prices.csv",
            "model,valid_from,input_price_cents_per_million,output_price_cents_per_million\n"
            "m,yesterday,1,1\n",
            "line 2",
        ),
    ],
)
def test_a_broken_configuration_seed(
    synapse: Synapse, small_lake: Path, tmp_path: Path, seed: str, text: str, named: str
) -> None:
    project = copy_project(tmp_path / "project")
    path = project / "seeds" / seed
    path.write_text(text)
    before = files_of(small_lake)
    outcome = synapse("run", "daily", "--lake", small_lake, "--project-dir", project)
    assert outcome.code == 1
    assert str(path) in outcome.sentence
    assert named in outcome.sentence
    assert files_of(small_lake) == before, "half-written"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "fortnightly"),
        ("run", "daily", "--date", "2026-02-30"),
        ("run", "daily", "--as-of", "yesterday"),
        ("run", "daily", "--date", DATE, "--as-of", "2026-03-01T00:00:00Z"),
        ("run", "daily", "--target", "oracle"),
        ("run", "daily", "--project-dir", "."),
        ("generate", "--users", "0"),
        ("generate", "--hazards", "nasty"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_bad_usage_exits_with_2(
    synapse: Synapse, small_lake: Path, arguments: tuple[str, ...]
) -> None:
    lake = () if arguments == ("no-such-command",) else ("--lake", small_lake)
    before = files_of(small_lake)
    outcome = synapse(*arguments, *lake)
    assert outcome.code == 2
    assert outcome.err
    assert "Traceback" not in outcome.err
    assert files_of(small_lake) == before, "half-written"


def test_another_run_holds_the_lease(synapse: Synapse, small_lake: Path) -> None:
    with lease(lake_settings(small_lake).state, "the-other-run"):
        outcome = synapse("run", "daily", "--lake", small_lake, "--project-dir", PROJECT_DIR)
    assert outcome.code == 3
    assert "the-other-run" in outcome.sentence
    assert not (small_lake / "manifest").exists()


def test_generating_into_an_occupied_lake(synapse: Synapse, small_lake: Path) -> None:
    before = files_of(small_lake)
    outcome = synapse("generate", "--lake", small_lake, "--users", "5", "--days", "1")
    assert (outcome.code, "bronze" in outcome.sentence) == (1, True)
    assert files_of(small_lake) == before


# --- what lands wrong ---------------------------------------------------------------------------


@pytest.fixture
def messy_lake(tmp_path: Path) -> Path:
    """Three good users among everything that may land wrong."""
    lake = tmp_path / "messy-lake"
    users = users_folder(lake)
    write_users(users / "LOAD00000001.parquet", [1, 2, 3])
    change = {
        "Op": pa.array(["U", "X"]),
        "dms_committed_at": pa.array(["2026-03-03 12:00:00.000000"] * 2),
        "dms_change_seq": pa.array([f"{n:035d}" for n in (1, 2)]),
    }
    write_users(users / "2026" / "03" / "03" / "20260303-120000000.parquet", [2, 3], **change)
    corrupt = users / "2026" / "03" / "04" / "20260304-120000000.parquet"
    corrupt.parent.mkdir(parents=True)
    corrupt.write_bytes(b"PAR1 and then the connection broke")
    keyless = users / "2026" / "03" / "05" / "20260305-120000000.parquet"
    write_users(keyless, [4], **{k: v.slice(0, 1) for k, v in change.items()})
    pq.write_table(pq.read_table(keyless).drop(["user_id"]), keyless)
    unknown = lake / "bronze" / "dms" / "synapse" / "invoices" / "LOAD00000001.parquet"
    write_users(unknown, [1])
    events = lake / "bronze/kconnect/topics/app-events/year=2026/month=03/day=03/hour=12"
    events.mkdir(parents=True)
    good = {
        "event_id": str(uuid4()),
        "event_name": "login",
        "user_id": 1,
        "anonymous_id": None,
        "occurred_at": "2026-03-03T09:00:00-03:00",
        "platform": "web",
        "app_version": "1",
        "region": "SP",
        "country": "BR",
        "properties": {},
    }
    lines = [json.dumps(good), '{"event_id": "cut o', json.dumps({**good, "event_id": None})]
    (events / "app-events+0+0000000000.json").write_text("\n".join(lines) + "\n")
    return lake


def test_what_lands_wrong_is_refused_and_the_rest_goes_on(
    synapse: Synapse, messy_lake: Path
) -> None:
    bronze = files_of(messy_lake / "bronze")
    arguments = ("run", "daily", "--lake", messy_lake, "--project-dir", PROJECT_DIR)
    outcome = synapse(*arguments, "--date", DATE)
    assert outcome.code == 0, outcome.err + outcome.out
    said = " ".join(outcome.out.split())
    assert "quarantined" in said
    assert "synapse.invoices" in said.replace("/", ".")
    assert files_of(messy_lake / "bronze") == bronze, "bronze is never changed"
    with duckdb.connect(str(messy_lake / "warehouse.duckdb"), read_only=True) as warehouse:
        users = warehouse.execute("select user_id from gold.dim_users order by all").fetchall()
        active = warehouse.execute("select user_id, activity_date::varchar from gold.fct_user_days")
        assert users == [(1,), (2,), (3,)]
        assert active.fetchall() == [(1, "2026-03-03")]


def test_the_quarantine_says_what_where_and_why(synapse: Synapse, messy_lake: Path) -> None:
    arguments = ("--lake", messy_lake, "--project-dir", PROJECT_DIR)
    report = json.loads(synapse("ingest", *arguments, "--json").out)
    assert report["landed"] == report["accepted"] + report["duplicate"] + report["quarantined"]
    # An unknown Op, a corrupt file, a file without its key, a cut line, an event without an id.
    listed = synapse("quarantine", "list", "--lake", messy_lake, "--json")
    assert listed.code == 0, listed.err
    refused = json.loads(listed.out)
    text = json.dumps(refused)
    assert len(refused) == 5, text
    for name in ("20260303-120000000", "20260304-120000000", "20260305-120000000", "app-events+0"):
        assert name in text
    again = json.loads(synapse("ingest", *arguments, "--json").out)
    assert again["landed"] == 0, "what was refused is refused once"
    assert len(json.loads(synapse("quarantine", "list", "--lake", messy_lake, "--json").out)) == 5

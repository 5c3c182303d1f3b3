"""What an analyst and CI run: plain dbt on an ingested lake, every warning an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import orjson
import pytest

from synapse.generate.service import generate
from synapse.ingest.service import ingest
from synapse.project import PROFILES_DIR
from synapse.runner.service import run
from synapse.settings import Settings
from synapse_tests.lakes import PROJECT_DIR, is_full_proof, lake_settings

USERS, DAYS = (400, 60) if is_full_proof() else (150, 36)


@dataclass(frozen=True)
class CleanLake:
    """A lake of well-behaved bronze, ingested as of the end of its last date."""

    settings: Settings
    as_of: datetime
    end_date: date


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> CleanLake:
    settings = lake_settings(tmp_path_factory.mktemp("clean") / "lake")
    made = generate(settings.lake, users=USERS, days=DAYS, seed=11, append=False, hazards="none")
    as_of = datetime.fromisoformat(made.as_of)
    report = ingest(settings, PROJECT_DIR, as_of=as_of)
    assert report.quarantined == report.duplicate == 0
    return CleanLake(settings, as_of, made.end_date)


def dbt(lake: CleanLake, *arguments: str) -> tuple[int, str, Counter[tuple[str, str]]]:
    """Run dbt as on a terminal; return exit code, what it said, and nodes by kind and status."""
    target = lake.settings.lake / "target"
    environment = {
        **os.environ,
        "DBT_PROFILES_DIR": str(PROFILES_DIR),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
        "SYNAPSE_LAKE": str(lake.settings.lake),
        "SYNAPSE_WAREHOUSE": str(lake.settings.warehouse),
        "SYNAPSE_PSEUDONYM_KEY": "a-key-for-tests-of-32-characters",  # pragma: allowlist secret
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    results = orjson.loads((target / "run_results.json").read_bytes())["results"]
    nodes = Counter((result["unique_id"].split(".")[0], result["status"]) for result in results)
    return done.returncode, done.stdout[-4000:], nodes


def test_every_model_test_and_unit_test_passes_with_every_warning_an_error(
    lake: CleanLake,
) -> None:
    code, said, nodes = dbt(lake, "--warn-error", "build")
    assert code == 0, said
    well = {"success", "pass", "no-op"}
    assert {status for _, status in nodes} <= well, nodes
    declared = sum(
        len(re.findall("\n  - name: r[0-9]", path.read_text()))
        for path in (PROJECT_DIR / "models").rglob("*.yml")
        if "\nunit_tests:" in path.read_text()
    )
    assert nodes["unit_test", "pass"] >= declared > 0, "not every unit test ran"
    assert nodes["snapshot", "success"] == 2


def test_a_run_in_the_middle_of_a_day_passes_every_test(lake: CleanLake, tmp_path: Path) -> None:
    """People and events of the date that has not ended are there, and no report counts them."""
    settings = lake_settings(tmp_path / "lake")
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "bronze").symlink_to(lake.settings.lake / "bronze")
    noon = datetime.fromisoformat(f"{lake.end_date}T15:00:00+00:00")
    for schedule in ("hourly", "daily"):
        report = run(settings, PROJECT_DIR, schedule=schedule, as_of=noon)
        assert report.status == "succeeded", report.dbt.failures
        assert not report.dbt.warnings


def test_columns_are_compressed_as_the_project_says_not_as_the_engine_tries(
    lake: CleanLake,
) -> None:
    """Numbers and times are packed, identities and free text plain, in a table that was swapped."""
    models = [f"{layer}_dms__messages" for layer in ("base", "stg", "hist")]
    for _ in range(2):
        code, said, _ = dbt(lake, "run", "--full-refresh", "--select", *models)
        assert code == 0, said
    stored: dict[str, set[str]] = {}
    with duckdb.connect(str(lake.settings.warehouse), read_only=True) as connection:
        for model in models:
            for column, compression in connection.execute(
                "select distinct column_name, compression "
                f"from pragma_storage_info('silver.{model}') "
                "where segment_type <> 'VALIDITY' and compression <> 'Constant'"
            ).fetchall():
                stored.setdefault(column, set()).add(compression)
    assert stored["content"] == stored["_change_id"] == {"Uncompressed"}
    assert stored["conversation_id"] == stored["sent_at"] == {"BitPacking"}
    assert stored["role"] == {"Dictionary"}, "what the project says nothing of, the engine chooses"

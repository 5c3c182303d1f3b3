"""What `synapse new` writes passes lint, parses without a warning, and its unit test is green."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from synapse.cli import app
from synapse.declarations import load_declarations
from synapse.metrics.query import MetricQueries, Request
from synapse.project import PROFILES_DIR
from synapse.runner.dbt import DbtProject
from synapse_tests.conftest import DailySteps
from synapse_tests.lakes import PROJECT_DIR, copy_lake, copy_project

REPORT = ("rpt_greetings", "--theme", "engagement", "--from", "fct_sessions",
          "--by", "platform", "--by", "session_date", "--rule", "R9")  # fmt: skip
BIN = Path(sys.executable).parent


def new(project: Path, *arguments: str) -> str:
    """Run the command; returns what it said, whatever its exit code."""
    result = CliRunner().invoke(app, ["new", *arguments, "--project-dir", str(project)])
    return result.output if result.exit_code == 0 else f"refused: {result.exception}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one new model, two metrics and two sources."""
    folder = tmp_path_factory.mktemp("scaffold")
    project = copy_project(folder / "project")
    for name in ("dbt-bouncer.yml", ".sqlfluff"):
        shutil.copy2(PROJECT_DIR / name, project / name)
    shutil.copytree(PROJECT_DIR / "bouncer_checks", project / "bouncer_checks")
    landed = folder / "LOAD00000001.parquet"
    columns = {
        "Op": pa.array(["I"]),
        "dms_committed_at": pa.array(["2026-03-01 00:00:00"]),
        "invoice_id": pa.array([1], pa.int64()),
        "line": pa.array([1], pa.int32()),
        "amount": pa.array([None], pa.decimal128(12, 2)),
        "paid_at": pa.array([None], pa.timestamp("us")),
        "note": pa.array(["x"]),
    }
    pq.write_table(pa.table(columns), landed)
    for arguments in (
        ("model", *REPORT),
        ("metric", "rejoined_users", "--from", "rpt_user_growth", "--column", "rejoined_users"),
        ("metric", "greetings", "--from", "rpt_greetings", "--column", "row_count"),
        ("metric", "segment_users", "--from", "rpt_user_segments", "--column", "user_count"),
        ("source", "invoices", "--key", "invoice_id", "--key", "line", "--like", str(landed)),
        ("source", "coupons", "--key", "code", "--column", "code:varchar"),
    ):
        said = new(project, *arguments)
        assert "wrote " in said, said
    return project


def run(project: Path, *command: str) -> None:
    """Run a tool of the environment in the project; it must succeed."""
    environment = os.environ | {
        "DBT_PROFILES_DIR": str(PROFILES_DIR),
        "DBT_TARGET_PATH": "build/lint/target",
        "DBT_LOG_PATH": "build/lint/logs",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "SYNAPSE_LAKE": "build/lint/no-lake",
        "SYNAPSE_WAREHOUSE": ":memory:",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]


def test_all_of_it_parses_without_a_warning_and_keeps_the_conventions(project: Path) -> None:
    run(project, "dbt", "--quiet", "--warn-error", "parse")
    run(project, "dbt-bouncer", "run", "--config-file", "dbt-bouncer.yml", "--show-all-failures")


def test_sqlfluff_has_nothing_to_say(project: Path) -> None:
    written = [
        "models/gold/engagement/rpt_greetings.sql",
        *(f"models/silver/{layer}_dms__invoices.sql" for layer in ("base", "stg", "hist")),
    ]
    run(project, "sqlfluff", "lint", "--templater", "jinja", "--ignore", "templating", *written)


def test_a_source_is_declared_as_its_file_has_it(project: Path) -> None:
    tables = {table.name: table for table in load_declarations(project).tables}
    assert tables["invoices"].key == ("invoice_id", "line")
    assert {column.name: column.data_type for column in tables["invoices"].columns} == {
        "invoice_id": "bigint",
        "line": "integer",
        "amount": "decimal(12,2)",
        "paid_at": "timestamp",
        "note": "varchar",
    }
    assert [column.name for column in tables["coupons"].columns] == ["code"]


def test_the_model_and_its_unit_test_build_and_its_metric_answers(
    project: Path, steps: DailySteps, tmp_path: Path
) -> None:
    settings = copy_lake(steps.settings.lake, tmp_path / "lake")
    dbt = DbtProject(settings, project, target_path=tmp_path / "target")
    built = dbt.invoke(["build", "--select", "rpt_greetings"])
    assert built.succeeded, built.failures
    # The model (with the hook at the run's start), its two tests and its unit test.
    assert built.statuses == {"success": 2, "pass": 3}
    queries = MetricQueries(settings, project)
    ((greetings, sessions),) = queries.query(Request(["greetings", "sessions"])).rows
    assert greetings == sessions > 0


def test_metrics_join_the_semantic_model_of_their_report(project: Path) -> None:
    declared = yaml.safe_load((project / "models" / "metrics" / "growth.yml").read_text())
    (growth,) = [one for one in declared["semantic_models"] if one["name"] == "user_growth"]
    assert "rejoined_users_measure" in {measure["name"] for measure in growth["measures"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model", *REPORT), "exists already"),
        (("model", "greetings", *REPORT[1:]), "begins with rpt_"),
        (("model", "rpt_Greetings", *REPORT[1:]), "must be lower_case"),
        (("model", "rpt_new", *REPORT[1:-1], "R99"), "no rule R99"),
        (
            ("model", "rpt_new", "--theme", "nowhere", *REPORT[3:]),
            "conversations, conversion, core, engagement",
        ),
        (
            ("model", "rpt_new", *REPORT[1:5], "--by", "platfrom", "--rule", "R9"),
            "has no column 'platfrom'",
        ),
        (
            ("metric", "dau", "--from", "rpt_user_growth", "--column", "left_users"),
            "exists already",
        ),
        (("metric", "x", "--from", "rpt_user_growth", "--column", "left"), "has no column 'left'"),
        (
            ("metric", "x", "--from", "rpt_user_growth", "--column", "left_users", "--agg", "mode"),
            "none of sum",
        ),
        (("source", "users", "--key", "id", "--column", "id:bigint"), "declared already"),
        (("source", "x", "--key", "no", "--column", "id:bigint"), "--key must name columns"),
        (("source", "x", "--key", "id", "--column", "id"), "write NAME:TYPE"),
        (("source", "x", "--key", "id", "--like", "/dev/null"), "no Parquet file"),
    ],
)
def test_what_cannot_be_begun_is_said_and_nothing_is_written(
    project: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in (project / "models").rglob("*") if path.is_file()}
    assert said in new(project, *arguments)
    after = {path: path.read_bytes() for path in (project / "models").rglob("*") if path.is_file()}
    assert after == before

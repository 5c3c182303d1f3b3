"""The DAGs that Airflow makes of schedules.yml, parsed by a real Airflow in its own environment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synapse.schedules.load import load_schedules
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE

FOLDER = PROJECT_DIR / "infra" / "airflow"
ENVIRONMENT = PROJECT_DIR / "build" / "airflow"


@pytest.fixture(scope="module")
def airflow() -> Path:
    """Python of an environment with the packages of its lock, each checked by hash."""
    lock = FOLDER / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / ".stamp"
    python = ENVIRONMENT / "venv" / "bin" / "python"
    ENVIRONMENT.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENT / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            shutil.rmtree(python.parents[1], ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
            uv = str(Path(sys.executable).with_name("uv"))
            command = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
            subprocess.run([*command, str(lock)], check=True, timeout=600)
            stamp.write_text(digest)
    return python


def parse(python: Path, folder: Path, project: Path) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SYNAPSE", "AIRFLOW"))}
    environment |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SYNAPSE_PROJECT": str(project),
    }
    out = folder / "found.json"
    done = subprocess.run(
        [python, FOLDER / "parse.py", out],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def found(airflow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(airflow, tmp_path_factory.mktemp("airflow"), PROJECT_DIR)


def test_airflow_finds_one_dag_for_each_schedule_at_its_times(found: dict[str, Any]) -> None:
    assert found["errors"] == {}
    schedules = load_schedules(PROJECT_DIR).by_name
    assert set(found["dags"]) == {f"synapse_{name}" for name in schedules}
    for name, schedule in schedules.items():
        dag = found["dags"][f"synapse_{name}"]
        # Not the timetable of data intervals, which starts a run one interval late.
        assert dag["timetable"] == "CronTriggerTimetable"
        assert (dag["cron"], dag["timezone"]) == (schedule.cron, TIMEZONE)
        assert dag["catchup"] == (schedule.catch_up == "all")


def test_each_dag_runs_its_schedule_once_and_outlives_its_time_out(found: dict[str, Any]) -> None:
    for name, schedule in load_schedules(PROJECT_DIR).by_name.items():
        (command,) = found["dags"][f"synapse_{name}"]["commands"]
        assert command.startswith(f"synapse run {name} ")
        assert "--occurrence" in command, "so that another scheduler beside it runs nothing twice"
        (timeout,) = found["dags"][f"synapse_{name}"]["timeouts"]
        assert timeout > schedule.timeout.total_seconds()


def test_a_schedule_that_is_no_schedule_is_an_import_error(airflow: Path, tmp_path: Path) -> None:
    text = (PROJECT_DIR / "schedules.yml").read_text().replace("timeout: 50m", "timeout: soon")
    (tmp_path / "schedules.yml").write_text(text)
    errors = parse(airflow, tmp_path, tmp_path)["errors"]
    assert "'soon' is no duration" in next(iter(errors.values()))

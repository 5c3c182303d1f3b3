"""Every package test that the stand-ins offer has a case that passes and one that fails.

The cases are data tests of standins_project, named passes_… or fails_… after the verdict that the
packages document. They run on whatever `ensure_packages` can get: on a machine that reaches the
dbt hub the same cases hold the real packages to the same verdicts.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from synapse.deps import PACKAGES_DIR, STANDINS_DIR, ensure_packages

ROOT = Path(__file__).parent.parent
CASES = Path(__file__).parent / "standins_project"
PROFILE = {
    "standins_project": {
        "target": "duckdb",
        "outputs": {
            "duckdb": {
                "type": "duckdb",
                "path": "standins.duckdb",
                "threads": 1,
                "settings": {"TimeZone": "UTC"},
            }
        },
    }
}


def case_names() -> list[str]:
    """Names of the data tests, read from the YAML so that pytest lists each one."""
    text = "".join(path.read_text("utf-8") for path in sorted((CASES / "models").glob("*.yml")))
    return re.findall(r"name: ((?:passes|fails)_\w+)", text)


def dbt(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Run dbt as a process of its own, with every warning an error."""
    executable = str(Path(sys.executable).with_name("dbt"))
    return subprocess.run(
        [executable, "--no-use-colors", "--warn-error", command],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Status of each case after one build of the project."""
    project = tmp_path_factory.mktemp("standins") / "project"
    shutil.copytree(CASES, project)
    shutil.copytree(ROOT / STANDINS_DIR, project / STANDINS_DIR)
    for name in ("packages.yml", "package-lock.yml"):
        shutil.copy(ROOT / name, project / name)
    (project / "profiles.yml").write_text(yaml.safe_dump(PROFILE), "utf-8")
    ensure_packages(project)
    built = dbt("run", project)
    assert built.returncode == 0, built.stdout + built.stderr
    tested = dbt("test", project)
    results = json.loads((project / "target" / "run_results.json").read_text("utf-8"))["results"]
    statuses = {result["unique_id"].split(".")[2]: result for result in results}
    broken = {name: r["message"] for name, r in statuses.items() if r["status"] == "error"}
    assert not broken, tested.stdout
    return {name: result["status"] for name, result in statuses.items()}


@pytest.mark.parametrize("name", case_names())
def test_verdict_is_the_documented_one(verdicts: dict[str, str], name: str) -> None:
    expected = "pass" if name.startswith("passes_") else "fail"
    assert verdicts[name] == expected


def test_every_stand_in_test_has_a_passing_and_a_failing_case() -> None:
    macros = (ROOT / STANDINS_DIR).glob("dbt_*/macros/*.sql")
    offered = {
        f"{path.parts[-3]}.{name}"
        for path in macros
        for name in re.findall(r"{% test (\w+)\(", path.read_text("utf-8"))
    }
    assert len(offered) > 30
    uses: dict[str, set[str]] = {name: set() for name in offered}
    for path in (CASES / "models").glob("*.yml"):
        pairs = re.findall(r"- (dbt_\w+\.\w+):\s+name: (passes|fails)_", path.read_text("utf-8"))
        for test, verdict in pairs:
            uses[test].add(verdict)
    assert {test: seen for test, seen in uses.items() if seen != {"passes", "fails"}} == {}


def test_the_root_project_asks_for_no_package_test_without_a_case() -> None:
    used = {
        name
        for folder in ("models", "seeds", "snapshots")
        for path in (ROOT / folder).rglob("*.yml")
        for name in re.findall(r"(dbt_(?:expectations|utils)\.\w+)", path.read_text("utf-8"))
    }
    cases = "".join(path.read_text("utf-8") for path in (CASES / "models").glob("*.yml"))
    assert sorted(name for name in used if f"- {name}:" not in cases) == []


def test_packages_dir_is_not_part_of_the_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert f"{PACKAGES_DIR}/" in ignored

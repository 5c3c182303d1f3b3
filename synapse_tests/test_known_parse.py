"""One parse serves every lake of a machine, and is what a parse for that lake alone would be."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synapse.runner.dbt import DbtProject
from synapse.runner.known_parse import installed_target
from synapse.settings import Settings
from synapse_tests.lakes import PROJECT_DIR, copy_project, lake_settings

# When it was parsed, and where: the two projects are copies of each other.
PASSING = ("created_at", "root_path")


def parsed(settings: Settings, project: Path) -> tuple[dict[str, Any], int]:
    """The manifest of a project for a lake, and how many of its files dbt read for it."""
    shutil.rmtree(settings.lake, ignore_errors=True)
    settings.lake.mkdir()
    dbt = DbtProject(settings, project)
    manifest = dbt.manifest()
    performance = json.loads((dbt.target_path / "perf_info.json").read_text())
    return manifest, sum(one["parsed_path_count"] for one in performance["projects"])


def told(manifest: Any) -> Any:
    """The manifest without what passes."""
    if isinstance(manifest, dict):
        return {name: told(value) for name, value in manifest.items() if name not in PASSING}
    return [told(value) for value in manifest] if isinstance(manifest, list) else manifest


@pytest.fixture(scope="module")
def uninstalled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is before its installation."""
    project = copy_project(tmp_path_factory.mktemp("uninstalled") / "project")
    shutil.rmtree(installed_target(project))
    return project


def test_the_installations_parse_becomes_that_of_another_lake(
    tmp_path: Path, uninstalled: Path
) -> None:
    settings = lake_settings(tmp_path / "lake")
    adopted, few = parsed(settings, PROJECT_DIR)
    whole, every_file = parsed(settings, uninstalled)
    assert few < every_file / 10
    for part in ("nodes", "sources", "exposures", "metrics", "semantic_models", "child_map"):
        assert told(adopted[part]) == told(whole[part])
    assert str(settings.lake) in str(adopted["sources"])


def test_a_warehouse_of_another_name_is_parsed_for_itself(
    tmp_path: Path, uninstalled: Path
) -> None:
    """The catalog's name, which is its file's, is a part of every relation."""
    other = replace(lake_settings(tmp_path / "lake"), warehouse=tmp_path / "lake" / "other.duckdb")
    manifest, read = parsed(other, PROJECT_DIR)
    _, every_file = parsed(other, uninstalled)
    assert read == every_file
    assert {node["database"] for node in manifest["nodes"].values()} == {"other"}


def test_no_macro_asks_where_the_warehouse_is() -> None:
    asked = re.compile(r"target[.](path|settings|threads|attach)|target\[")
    folders = ("models", "macros", "snapshots", "tests", "dbt_packages", "dbt_standins")
    found = [
        path
        for folder in folders
        for path in (PROJECT_DIR / folder).rglob("*")
        if path.suffix in (".sql", ".yml") and asked.search(path.read_text())
    ]
    assert not found

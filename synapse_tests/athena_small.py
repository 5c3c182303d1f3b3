"""A small dbt project on the local Athena, with the macros and settings of the real one."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from athena_local.instance import Instance
from synapse.runner.dbt import DbtProject, DbtResult
from synapse.runner.history import RunHistory
from synapse.settings import Settings
from synapse_tests.athena_client import Client
from synapse_tests.lakes import PROJECT_DIR

# Macros of the real project that work without its models.
_MACROS = (
    "ops/query_comment.sql",
    "ops/keep_dropped_data.sql",
    "ops/generate_schema_name.sql",
    "dialect/schema_name.sql",
)


@dataclass(frozen=True)
class SmallProject:
    """A project, its deployment on the local Athena, and a client to look at it."""

    settings: Settings
    folder: Path
    client: Client
    prefix: str

    @property
    def workgroup(self) -> str:
        """The workgroup that its queries run in."""
        return self.prefix.rstrip("_")

    def model(self, name: str, sql: str) -> None:
        """Write a model, or another in its place."""
        (self.folder / "models" / f"{name}.sql").write_text(sql)

    def invoke(self, *arguments: str, run_id: str | None = None) -> DbtResult:
        """One command of dbt."""
        return DbtProject(self.settings, self.folder).invoke(list(arguments), run_id=run_id)

    @contextmanager
    def run(self, run_id: str, schedule: str = "daily") -> Iterator[None]:
        """What happens in the block belongs to a run of the history."""
        history = RunHistory(self.settings.state)
        history.start(run_id, schedule, datetime.now(UTC))
        try:
            yield
        finally:
            history.finish(run_id, "succeeded", accepted=1000)
            history.close()

    def rows(self, sql: str) -> list[list[str | None]]:
        """The rows of a query, without its header."""
        return self.client.run(sql, WorkGroup=self.workgroup).values


@contextmanager
def small_project(athena: Instance, folder: Path, name: str) -> Iterator[SmallProject]:
    """A project without models, in databases and a workgroup of its own."""
    prefix = f"{name}{secrets.token_hex(3)}_"
    environment = {
        **athena.environment(),
        "SYNAPSE_SCHEMA_PREFIX": prefix,
        "SYNAPSE_ATHENA_WORKGROUP": prefix.rstrip("_"),
        "SYNAPSE_PSEUDONYM_KEY": "0123456789abcdef" * 2,
        "SYNAPSE_HOME": str(folder / "home"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = Client(environment, f"{prefix}gold")
        client.athena.create_work_group(Name=prefix.rstrip("_"))
        settings = Settings.load(lake=f"s3://synapse-data/{prefix.rstrip('_')}", target="athena")
        settings.lake.mkdir(parents=True)
        project = folder / "project"
        _write(project)
        yield SmallProject(settings, project, client, prefix)


def _write(project: Path) -> None:
    real: dict[str, Any] = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
    kept = {
        name: real[name]
        for name in ("name", "version", "config-version", "profile", "flags", "query-comment")
    }
    models = {"+table_type": "iceberg", "+unique_tmp_table_suffix": True, "+schema": "gold"}
    kept["models"] = {"synapse": models}
    (project / "models").mkdir(parents=True)
    (project / "tests").mkdir()
    (project / "dbt_project.yml").write_text(yaml.safe_dump(kept))
    for name in _MACROS:
        target = project / "macros" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT_DIR / "macros" / name, target)

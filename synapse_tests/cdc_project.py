"""A dbt project with nothing in it but the tables that a proof declares, and how to build it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from synapse.ingest.service import IngestReport, ingest
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings
from synapse_tests.lakes import copy_project

MACROS = {"base": "base", "stg": "current", "hist": "history"}


@dataclass(frozen=True)
class CdcTable:
    """What models/bronze says about one table; `cdc` holds whatever is not the key."""

    name: str
    key: Sequence[str]
    columns: Mapping[str, str]
    cdc: Mapping[str, Any] = field(default_factory=dict)


def bare_project(folder: Path) -> Path:
    """Copy the project without its own tables and models: macros and the lake's sources stay."""
    project = copy_project(folder)
    own = ("models/silver", "models/gold", "models/ops", "models/metrics")
    for part in (*own, "snapshots", "tests", "seeds", "analyses"):
        for path in sorted((project / part).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    (project / "models" / "silver").mkdir(exist_ok=True)
    (project / "models" / "exposures.yml").unlink()
    return project


def declare(project: Path, schema: str, tables: Sequence[CdcTable]) -> None:
    """Write the declarations and the three-line models of the tables into a project."""
    listed = []
    for table in tables:
        listed.append(
            {
                "name": table.name,
                "config": {"meta": {"cdc": {"key": list(table.key), **table.cdc}}},
                "columns": [{"name": n, "data_type": kind} for n, kind in table.columns.items()],
            }
        )
        for prefix, macro in MACROS.items():
            model = project / "models" / "silver" / f"{prefix}_dms__{table.name}.sql"
            model.write_text(f"{{{{ cdc_{macro}('{table.name}') }}}}\n")
    source = {
        "name": "dms_synapse",
        "schema": "bronze",
        "config": {"meta": {"source_schema": schema}},
        "tables": listed,
    }
    declaration = project / "models" / "bronze" / "_dms__sources.yml"
    declaration.write_text(yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False))


def build(lake: Settings, project: Path, now: datetime, *arguments: str) -> IngestReport:
    """Ingest as of `now` (naive UTC) and build silver; every model must succeed."""
    instant = now.replace(tzinfo=UTC)
    report = ingest(lake, project, as_of=instant)
    run_id = f"proof-{now:%Y%m%d%H%M}"
    write_run_context(lake, run_id=run_id, as_of=instant, is_backfill=False)
    result = DbtProject(lake, project).invoke(["run", *arguments], run_id=run_id)
    assert result.succeeded, "\n".join(result.failures)
    return report

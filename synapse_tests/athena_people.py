"""A small lake on the local Athena's S3, and the part of the real project that knows its people.

The models are the project's own; the schedule is one of its own, for a whole run takes minutes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pytest
import yaml

from athena_local.instance import Instance
from synapse.athena.deployment import is_temporary
from synapse.publish.reading import published_set
from synapse.settings import Settings
from synapse.warehouse_compare import EXEMPT_COLUMNS, TableDifference, compare_tables
from synapse_tests.athena_equality import glue_catalog
from synapse_tests.lakes import copy_project

if TYPE_CHECKING:
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef

SCHEDULE = "people"
BUCKET = "synapse-data"
_OWNER = {"name": "Tests", "email": "tests@synapse.example"}


def people_project(folder: Path, models: Sequence[str], **more: str) -> Path:
    """The real project, of which one schedule builds these models and what they read.

    One exposure reads them, so that they are published. more: schedules that each build one
    further model, by name: its SQL.
    """
    project = copy_project(folder)
    for name, sql in more.items():
        (project / "models" / f"{name}.sql").write_text(sql)
    parts = {SCHEDULE: [{"method": "fqn", "value": name, "parents": True} for name in models]}
    parts |= {name: [{"method": "fqn", "value": name}] for name in more}
    schedules = {
        "version": 1,
        "table_groups": {"lake": "All of it."},
        "schedules": {name: _schedule(name) for name in parts},
    }
    selectors = {
        "selectors": [
            {
                "name": name,
                # Without tests: each costs a second, and they are proved elsewhere.
                "definition": {"union": [each | {"indirect_selection": "empty"} for each in union]},
            }
            for name, union in parts.items()
        ]
    }
    exposure = {
        "name": SCHEDULE,
        "type": "dashboard",
        "owner": _OWNER,
        "depends_on": [f"ref('{name}')" for name in models],
    }
    for file, document in (
        ("schedules.yml", schedules),
        ("selectors.yml", selectors),
        ("models/exposures.yml", {"version": 2, "exposures": [exposure]}),
    ):
        (project / file).write_text(yaml.safe_dump(document))
    return project


def _schedule(selector: str) -> dict[str, Any]:
    return {
        "description": "What a test runs.",
        "owner": "tests",
        "cron": "0 1 * * *",
        "ingest": "sweep",
        "selectors": [selector],
        "table_groups": ["lake"],
        "timeout": "30m",
        "budget": {"cents": 50},
        "sla": "4h",
    }


@dataclass(frozen=True)
class Deployment:
    """One lake and its databases, on which nothing but its own runs writes."""

    name: str
    environment: dict[str, str]
    settings: Settings

    @property
    def remote(self) -> str:
        """Where its lake lies."""
        return f"s3://{BUCKET}/{self.name}"

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Each table of silver and gold, without what a run writes of itself."""
        catalog = glue_catalog()
        for schema in ("silver", "gold"):
            database = f"{self.name}_{schema}"
            for _, table in sorted(catalog.list_tables(database)):
                if is_temporary(table):
                    continue  # of a killed run; `synapse maintain` removes them
                rows = catalog.load_table((database, table)).scan().to_arrow()
                kept = sorted(set(rows.column_names) - EXEMPT_COLUMNS)
                yield f"{schema}.{table}", rows.select(kept)

    def published(self) -> dict[str, int]:
        """The tables that readers see, with their number of rows."""
        found = published_set(self.settings)
        return {name: table.rows for name, table in found.tables.items()}

    def queries(self) -> list[QueryExecutionTypeDef]:
        """Each query that was ever sent in its workgroup, the newest first."""
        client = boto3.client("athena")
        pages = client.get_paginator("list_query_executions").paginate(WorkGroup=self.name)
        return [
            client.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            for page in pages
            for query in page["QueryExecutionIds"]
        ]

    def at_work(self, text: str = "") -> list[str]:
        """The queries that Athena works on, by id. text: what they say somewhere."""
        return [
            query["QueryExecutionId"]
            for query in self.queries()
            if query["Status"]["State"] in ("QUEUED", "RUNNING") and text in query["Query"]
        ]


def deploy(athena: Instance, bronze: Path, home: Path) -> Deployment:
    """Upload bronze to a lake of its own, with databases and a workgroup of its own.

    The environment of the tests has to lead to the local Athena.
    """
    name = f"people{secrets.token_hex(3)}"
    environment = {name: v for name, v in os.environ.items() if not name.startswith("SYNAPSE_")}
    environment |= athena.environment() | {
        "SYNAPSE_SCHEMA_PREFIX": f"{name}_",
        "SYNAPSE_ATHENA_WORKGROUP": name,
        # Every lake makes a key of its own, and pseudonyms would differ.
        "SYNAPSE_PSEUDONYM_KEY": "0123456789abcdef" * 2,
        "SYNAPSE_HOME": str(home),
    }
    boto3.client("athena").create_work_group(Name=name)
    s3 = boto3.client("s3")

    def upload(path: Path) -> None:
        key = f"{name}/bronze/{path.relative_to(bronze).as_posix()}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, [path for path in bronze.rglob("*") if path.is_file()]))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        settings = Settings.load(lake=f"s3://{BUCKET}/{name}", target="athena")
    settings.lake.mkdir(parents=True)
    return Deployment(name, environment, settings)


def differing(left: Deployment, right: Deployment, exempt: Collection[str] = ()) -> list[str]:
    """What is not the same in two deployments: tables, columns or rows."""
    here, there = (
        {name: rows for name, rows in each.tables() if name not in exempt} for each in (left, right)
    )
    assert here, f"{left.name} has no tables to compare"
    found = [TableDifference(name, "only in one") for name in here.keys() ^ there.keys()]
    compared = (compare_tables(name, here[name], there[name]) for name in here.keys() & there)
    return [str(each) for each in (*found, *compared) if each is not None]

"""On Athena readers stay on the commits that passed, whatever later runs and upkeep do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from athena_local.instance import Instance
from synapse.athena.iceberg_tables import GlueIceberg, glue_tables
from synapse.athena.maintain import maintain_athena
from synapse.athena.pins import published_database, vacuum_would_break
from synapse.athena.policies import Policy
from synapse.publish.model import Pin, PublishedSet
from synapse.publish.reading import published_set, published_sql
from synapse.publish.service import KEPT_SETS, Publication
from synapse.runner.lease import lease
from synapse.state_store import open_store
from synapse_tests.athena_small import SmallProject, small_project
from synapse_tests.publishing import node

MERGED = """
{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id',
    meta={'maintain': {'compact': false, 'snapshot_days': 0}}) }}
select number as id, '%s' as run from unnest(sequence(1, %d)) as numbers (number)
"""
REPLACED = "{{ config(materialized='table') }} select '%s' as run"
TABLES = ("merged", "replaced")


@pytest.fixture(scope="module")
def project(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    with small_project(athena, tmp_path_factory.mktemp("publish"), "seen") as project:
        yield project


def build(project: SmallProject, run: str, rows: int) -> None:
    project.model("merged", MERGED % (run, rows))
    project.model("replaced", REPLACED % run)
    result = project.invoke("run")
    assert result.succeeded, result.failures


def publish(project: SmallProject, run: str) -> PublishedSet:
    engine = open_store(project.settings.state)
    moving = {name: {**node(name), "schema": f"{project.prefix}gold"} for name in TABLES}
    try:
        with lease(project.settings.state, run) as held:
            publication = Publication(project.settings, held, run, datetime.now(UTC))
            return publication.make(engine, moving, TABLES)
    finally:
        engine.dispose()


def seen(project: SmallProject) -> list[set[str | None]]:
    """The runs that readers see in each table."""
    found = published_set(project.settings)
    runs = []
    for query in published_sql(project.settings, found):
        assert " for version as of " in query
        runs.append({row[0] for row in project.rows(query.replace("*", "run", 1))})
    assert [table.rows for table in found.tables.values()] == [
        int(project.rows(f"select count(*) from ({query})")[0][0] or 0)
        for query in published_sql(project.settings, found)
    ]
    return runs


def test_readers_stay_on_what_passed(project: SmallProject) -> None:
    build(project, "first", 3)
    publish(project, "first")
    assert seen(project) == [{"first"}, {"first"}]
    # A run that is at work, or has failed: one table has a new commit, the other is a new table.
    build(project, "second", 5)
    assert seen(project) == [{"first"}, {"first"}]
    # Upkeep would expire the snapshot of the first at once (snapshot_days: 0), and waits.
    kept = maintain_athena(project.settings, project.folder)
    assert {table.table.split(".")[1]: table.is_held for table in kept.tables} == {
        "merged": True, "replaced": False,
    }  # fmt: skip
    assert seen(project) == [{"first"}, {"first"}]
    publish(project, "second")
    assert seen(project) == [{"second"}, {"second"}]
    for number in range(KEPT_SETS):
        publish(project, f"again {number}")
    entries = list(glue_tables(boto3.client("glue"), [published_database()]))
    assert len(entries) == KEPT_SETS * len(TABLES)
    assert seen(project) == [{"second"}, {"second"}]


def test_vacuum_waits_only_where_it_would_break_a_reader() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    folder = "s3://data/gold/t"

    def table(number: int) -> GlueIceberg:
        place = {"StorageDescriptor": {"Location": folder}}
        return GlueIceberg("gold", "t", metadata(number), "1", place)

    def metadata(number: int, of: str = folder) -> str:
        return f"{of}/metadata/{number:05d}-0f.metadata.json"

    def breaks(at: str, days: float, current: int) -> bool:
        pin = Pin(
            database="published", table="t__s", of="gold.t", metadata_location=at,
            snapshot_id=1, snapshot_at=now - timedelta(days=days),
        )  # fmt: skip
        return vacuum_would_break(table(current), Policy(snapshot_days=5), [pin], now)

    assert not breaks(metadata(1), 4.9, current=2)
    assert breaks(metadata(1), 5.0, current=2)
    assert not breaks(metadata(2), 9.0, current=2), "the newest snapshot never expires"
    assert not breaks(metadata(1, "s3://data/gold/before"), 9.0, current=2), "another build"
    assert not breaks(metadata(1), 1.0, current=90)
    assert breaks(metadata(1), 1.0, current=91), "of so many metadata files the oldest would go"

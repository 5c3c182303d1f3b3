"""Every query of a run is in the cost ledger with its bytes, against Athena's own list of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from athena_local.instance import Instance
from synapse.athena.costs import record_costs
from synapse.athena.executions import NO_NODE
from synapse.cost.ledger import QUERIES
from synapse.cost.report import add_up, read_costs, total
from synapse_tests.athena_small import SmallProject, small_project

RUN = uuid.uuid4().hex
BIG = """
select number as id, number % 7 as part, to_hex(sha256(to_utf8(cast(number as varchar)))) as text
from unnest(sequence(1, 5000)) as numbers (number)
cross join unnest(sequence(1, 3)) as times (time)
"""
INCREMENTAL = """
{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}
select id, count(*) as times from {{ ref('big') }} group by id
"""
BROKEN = "{{ config(materialized='table') }} select 1 / (id - id) as x from {{ ref('big') }}"


def ledger(project: SmallProject) -> list[Any]:
    engine = create_engine(project.settings.state)
    with engine.connect() as connection:
        rows = list(connection.execute(select(QUERIES)))
    engine.dispose()
    return rows


def executions(project: SmallProject) -> list[dict[str, Any]]:
    """All that Athena knows of the workgroup, asked one by one."""
    athena = project.client.athena
    pages = athena.get_paginator("list_query_executions").paginate(WorkGroup=project.workgroup)
    ids = [query_id for page in pages for query_id in page["QueryExecutionIds"]]
    answers = [athena.get_query_execution(QueryExecutionId=query_id) for query_id in ids]
    return [dict(answer["QueryExecution"]) for answer in answers]


@pytest.fixture(scope="module")
def project(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """A project that was built twice by one run, with a failure, a cancellation and strangers."""
    folder = tmp_path_factory.mktemp("cost")
    with small_project(athena, folder, "cost") as project:
        project.model("big", "{{ config(materialized='table') }}" + BIG)
        project.model("counts", INCREMENTAL)
        project.model("broken", BROKEN)
        (project.folder / "tests" / "no_big_ids.sql").write_text(
            "select id from {{ ref('big') }} where id > 4990"
        )
        with project.run(RUN):
            first = project.invoke("run", run_id=RUN)
            assert [failure.split(":")[0] for failure in first.failures] == ["broken"], first
            assert not project.invoke("test", run_id=RUN).succeeded
            project.invoke("run", "--select", "counts", "big", run_id=RUN)
            group = project.workgroup
            own = '-- /* {"app": "synapse", "run_id": "%s", "node_id": "model.synapse.long"} */\n'
            cancelled = project.client.start(
                own % RUN
                + "select count(*) from big as a, big as b, big as c where a.id + b.id > c.id",
                WorkGroup=group,
            )
            project.client.athena.stop_query_execution(QueryExecutionId=cancelled)
            project.client.wait(cancelled)
            # An analyst's query, and one of another deployment's run.
            project.client.run("select count(*), min(text) from big", WorkGroup=group)
            project.client.run(own % "somebody-else" + "select max(id) from big", WorkGroup=group)
        yield project


def test_nothing_is_missed_and_nothing_of_others_is_taken(project: SmallProject) -> None:
    record_costs(project.settings)
    everything = executions(project)
    strangers = {
        one["QueryExecutionId"]
        for one in everything
        if "min(text)" in one["Query"] or "somebody-else" in one["Query"]
    }
    assert len(strangers) == 2
    expected = {
        one["QueryExecutionId"]: one["Statistics"]["DataScannedInBytes"]
        for one in everything
        if one["QueryExecutionId"] not in strangers
    }
    found = {row.query_id: row.scanned_bytes for row in ledger(project)}
    assert found == expected
    assert len(expected) >= 12
    assert total(read_costs(project.settings.state)).scanned_bytes == sum(expected.values()) > 0


def test_each_kind_of_query_is_there_with_its_node(project: SmallProject) -> None:
    record_costs(project.settings)
    rows = ledger(project)
    assert {row.run_id for row in rows} == {RUN}
    assert {row.state for row in rows} == {"SUCCEEDED", "FAILED", "CANCELLED"}
    by_node: dict[str, list[Any]] = {}
    for row in rows:
        by_node.setdefault(row.node_id, []).append(row)
    assert {"model.synapse.big", "model.synapse.counts", "test.synapse.no_big_ids"} <= set(by_node)
    # The temporary table of the merge, and the merge.
    kinds = {row.substatement for row in by_node["model.synapse.counts"]}
    assert {"CREATE_TABLE_AS_SELECT", "MERGE"} <= kinds
    assert any(row.state == "FAILED" for row in by_node["model.synapse.broken"])
    # ALTER … RENAME carries no comment, and costs nothing.
    assert by_node[NO_NODE]
    assert sum(row.charged_mb for row in by_node[NO_NODE]) == 0
    assert all(row.charged_mb == 0 for row in rows if row.state == "FAILED")


def test_recorded_again_the_ledger_stays_as_it_was(project: SmallProject) -> None:
    record_costs(project.settings)
    before = ledger(project), read_costs(project.settings.state)
    record_costs(project.settings)
    assert (ledger(project), read_costs(project.settings.state)) == before
    lines = add_up(before[1], "model")
    assert {line.key for line in lines} >= {"big", "counts", "broken", "no_big_ids", "long"}
    assert sum(line.cost_usd for line in lines) == total(before[1]).cost_usd > 0

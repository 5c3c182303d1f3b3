"""A run that takes over ends what the run before it left at work in Athena, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from athena_local.instance import Instance
from synapse.athena.abandoned_queries import stop_queries
from synapse.errors import SynapseError
from synapse.runner.history import RunHistory
from synapse_tests.athena_small import SmallProject, small_project

OURS = '-- /* {"app": "synapse", "run_id": "%s", "node_id": "model.synapse.long"} */\n'
ENDLESS = """
select count(*) from unnest(sequence(1, 10000)) as a (x)
cross join unnest(sequence(1, 10000)) as b (y)
cross join unnest(sequence(1, 10000)) as c (z)
where x + y > z
"""


@pytest.fixture(scope="module")
def project(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    with small_project(athena, tmp_path_factory.mktemp("left"), "left") as project:
        yield project


def begun(project: SmallProject) -> str:
    """A run that is at work, as far as the history knows."""
    run_id = uuid.uuid4().hex
    history = RunHistory(project.settings.state)
    history.start(run_id, "daily", datetime.now(UTC))
    history.close()
    return run_id


def state(project: SmallProject, query_id: str) -> str:
    told = project.client.athena.get_query_execution(QueryExecutionId=query_id)
    return str(told["QueryExecution"]["Status"]["State"])


def test_only_the_queries_of_the_runs_named_are_cancelled(project: SmallProject) -> None:
    dead, alive = begun(project), begun(project)
    group = project.workgroup
    left = project.client.start(OURS % dead + ENDLESS, WorkGroup=group)
    kept = project.client.start(OURS % alive + ENDLESS, WorkGroup=group)
    analysts = project.client.start(ENDLESS, WorkGroup=group)
    try:
        assert stop_queries(project.settings, [dead]) == [left]
        assert state(project, left) == "CANCELLED"
        assert {state(project, kept), state(project, analysts)} <= {"QUEUED", "RUNNING"}
        assert stop_queries(project.settings, [dead]) == []
    finally:
        for query_id in (kept, analysts):
            project.client.athena.stop_query_execution(QueryExecutionId=query_id)


def test_runs_that_nobody_knows_have_no_queries(project: SmallProject) -> None:
    assert stop_queries(project.settings, [uuid.uuid4().hex]) == []


def test_where_athena_refuses_the_permissions_are_named(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begun(project)
    monkeypatch.setenv("SYNAPSE_ATHENA_WORKGROUP", "nowhere")
    with pytest.raises(SynapseError, match=r"athena:StopQueryExecution.*'nowhere'"):
        stop_queries(project.settings, [run_id])

"""Upkeep changes files, never rows; it goes by the declared policy and stops at what is needed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from athena_local.instance import Instance
from synapse.athena import maintain
from synapse.athena.maintain import maintain_athena
from synapse.athena.policies import Policy, read_policies
from synapse.athena.statements import StatementError, until_done
from synapse.cost.report import add_up, read_costs
from synapse.errors import LeaseHeldError, SynapseError
from synapse.runner.lease import lease
from synapse_tests.athena_small import SmallProject, small_project

APPENDED = """
{{ config(
    materialized='incremental', incremental_strategy='append',
    meta={'maintain': {'snapshot_days': 0}}
) }}
select
    number as id,
    to_hex(sha256(to_utf8('{{ invocation_id }}' || cast(number as varchar)))) as text
from unnest(sequence(1, 8000)) as numbers (number)
"""
LEFT_ALONE = "{{ config(meta={'maintain': {'compact': false}}) }}" + APPENDED.replace(
    ",\n    meta={'maintain': {'snapshot_days': 0}}", ""
)


@pytest.fixture(scope="module")
def project(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """Two tables of several small files each, one of which may be compacted."""
    with small_project(athena, tmp_path_factory.mktemp("maintain"), "keep") as project:
        project.model("pieces", APPENDED)
        project.model("left_alone", LEFT_ALONE)
        project.model("replaced", "{{ config(materialized='table') }} select 1 as id")
        for _ in range(4):
            result = project.invoke("run")
            assert result.succeeded, result.failures
        yield project


def contents(project: SmallProject) -> dict[str, list[list[str | None]]]:
    return {
        name: project.rows(f"select count(*), sum(id), to_hex(checksum({column})) from {name}")
        for name, column in (("pieces", "text"), ("left_alone", "text"), ("replaced", "id"))
    }


def test_rows_stay_and_files_get_fewer_where_the_policy_says_so(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(project)
    left = f"{project.prefix}gold.pieces__dbt_tmp_of_a_killed_run"
    folder = f"{os.environ['SYNAPSE_ATHENA_DATA']}{left.replace('.', '/')}/{uuid.uuid4()}"
    project.rows(
        f"create table {left} with (table_type = 'ICEBERG', is_external = false, "
        f"location = '{folder}') as select 1 as id"
    )
    assert maintain_athena(project.settings, project.folder, only=["replaced"]).temporary == []
    assert before["pieces"][0][0] == "32000"
    # Folders of replaced builds go at once, not after a day; and what killed runs left.
    monkeypatch.setattr(maintain, "_YOUNG", -maintain._YOUNG)
    report = maintain_athena(project.settings, project.folder)
    assert contents(project) == before
    tables = {item.table.split(".")[1]: item for item in report.tables}
    assert set(tables) == {"pieces", "left_alone", "replaced"}
    assert not [item.failure for item in report.tables if item.failure]
    pieces, alone = tables["pieces"], tables["left_alone"]
    assert (pieces.data_files_before, pieces.data_files_after) == (4, 1)
    # With expiry of everything old, the four small files are gone from S3 too.
    assert pieces.snapshots_before >= 4
    assert pieces.snapshots_after == 1
    assert pieces.bytes_after < pieces.bytes_before
    assert pieces.files_after < pieces.files_before
    assert alone.data_files_before == alone.data_files_after == 4
    # What every run builds anew needs neither.
    assert (tables["replaced"].rounds, alone.rounds, pieces.rounds) == (0, 1, 2)
    assert alone.snapshots_after >= 4
    # Three builds of the table have been replaced; nothing needs them, and the fourth is read.
    # What a killed run made for itself goes, too.
    assert report.temporary == [left]
    assert len(report.orphans) == 4
    assert all("/replaced/" in one or "__dbt_tmp_" in one for one in report.orphans)
    assert report.orphan_bytes > 0
    lines = add_up(read_costs(project.settings.state), "schedule")
    assert {line.key for line in lines} >= {"maintain", "dbt"}
    again = maintain_athena(project.settings, project.folder, only=["pieces"])
    assert again.orphans == []
    assert again.tables[0].data_files_after == 1
    assert contents(project) == before


def test_a_run_at_work_is_not_disturbed(project: SmallProject) -> None:
    with lease(project.settings.state, "a-run"), pytest.raises(LeaseHeldError):
        maintain_athena(project.settings, project.folder)


def test_an_unknown_table_is_told(project: SmallProject) -> None:
    with pytest.raises(SynapseError, match="no_such_table"):
        maintain_athena(project.settings, project.folder, only=["no_such_table"])


def manifest(meta: object, materialized: str = "incremental") -> dict[str, Any]:
    node = {
        "resource_type": "model", "schema": "Lake_gold", "alias": "fct_messages",
        "name": "fct_messages", "config": {"meta": meta, "materialized": materialized},
    }  # fmt: skip
    return {"nodes": {"model.synapse.fct_messages": node}}


def test_a_policy_is_read_from_meta_and_defaults_to_athenas() -> None:
    read = read_policies(manifest({"maintain": {"snapshot_days": 0.5}}))
    assert read == {
        ("lake_gold", "fct_messages"): (
            "model.synapse.fct_messages",
            Policy(compact=True, snapshot_days=0.5, min_snapshots=1),
        )
    }
    (whole,) = read_policies(manifest({}, "table")).values()
    assert whole[1] == Policy(compact=False)
    told = manifest({"maintain": {"compact": True}}, "table")
    assert read_policies(told)["lake_gold", "fct_messages"][1].compact
    assert Policy(snapshot_days=0.5).properties["vacuum_max_snapshot_age_seconds"] == "43200"
    assert Policy().properties["vacuum_max_snapshot_age_seconds"] == "432000"


@pytest.mark.parametrize(
    "wrong", [{"snapshot_day": 3}, {"min_snapshots": 0}, {"snapshot_days": "soon"}, "weekly"]
)
def test_a_wrong_policy_names_the_model_and_the_key(wrong: object) -> None:
    with pytest.raises(SynapseError, match=r"model\.synapse\.fct_messages: meta\.maintain\."):
        read_policies(manifest({"maintain": wrong}))


def test_athena_is_asked_again_until_it_is_done() -> None:
    answers = ["ICEBERG_VACUUM_MORE_RUNS_NEEDED: run again", "ICEBERG_VACUUM_MORE_RUNS_NEEDED", ""]

    def send() -> None:
        if reason := answers.pop(0):
            raise StatementError(reason)

    assert until_done(send) == 3
    answers = ["ICEBERG_COMMIT_ERROR: somebody else"]
    with pytest.raises(StatementError, match="COMMIT"):
        until_done(send)
    answers = ["MORE_RUNS_NEEDED"] * 1000
    with pytest.raises(StatementError, match="still asks"):
        until_done(send)

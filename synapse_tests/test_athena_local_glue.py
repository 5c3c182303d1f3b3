"""Glue's front over HTTP, before a real moto: what AWS does and moto alone does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from synapse_tests.aws_parts import client, moto_and_glue

WRITERS = 12


@dataclass(frozen=True)
class Glue:
    """Two ways to one catalogue, and a database of the test's own in it."""

    front: Any
    moto: Any
    database: str

    def create(self, name: str, *partition_keys: str) -> dict[str, Any]:
        """Make a table; returns its input, as updates take it."""
        table = {
            "Name": name,
            "StorageDescriptor": {"Columns": [{"Name": "x", "Type": "bigint"}]},
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in partition_keys],
            "Parameters": {"writer": "none"},
        }
        self.front.create_table(DatabaseName=self.database, TableInput=table)
        return table

    def get(self, name: str) -> dict[str, Any]:
        """The table as it is now."""
        found = self.front.get_table(DatabaseName=self.database, Name=name)
        return dict(found["Table"])


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with moto_and_glue(tmp_path_factory.mktemp("glue")) as urls:
        yield urls


@pytest.fixture
def glue(endpoints: tuple[str, str]) -> Glue:
    moto, front = endpoints
    database = f"db_{uuid.uuid4().hex[:8]}"
    client("glue", front).create_database(DatabaseInput={"Name": database})
    return Glue(client("glue", front), client("glue", moto), database)


def statistics(column: str, rows: int) -> dict[str, Any]:
    return {
        "ColumnName": column,
        "ColumnType": "bigint",
        "AnalyzedTime": 1_700_000_000,
        "StatisticsData": {
            "Type": "LONG",
            "LongColumnStatisticsData": {"NumberOfNulls": 0, "NumberOfDistinctValues": rows},
        },
    }


def distinct(found: dict[str, Any]) -> list[int]:
    return [
        each["StatisticsData"]["LongColumnStatisticsData"]["NumberOfDistinctValues"]
        for each in found["ColumnStatisticsList"]
    ]


def test_of_concurrent_updates_of_one_version_exactly_one_is_taken(glue: Glue) -> None:
    table = glue.create("t")
    version = glue.get("t")["VersionId"]

    def update(writer: int) -> str:
        try:
            glue.front.update_table(
                DatabaseName=glue.database,
                TableInput={**table, "Parameters": {"writer": str(writer)}},
                VersionId=version,
            )
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return f"taken {writer}"

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = sorted(pool.map(update, range(WRITERS)))
    (taken,) = [outcome for outcome in outcomes if outcome.startswith("taken")]
    assert outcomes.count("ConcurrentModificationException") == WRITERS - 1
    assert f"taken {glue.get('t')['Parameters']['writer']}" == taken


def test_counting_under_a_version_loses_no_step(glue: Glue) -> None:
    table = glue.create("counter")
    table["Parameters"] = {"count": "0"}
    glue.front.update_table(DatabaseName=glue.database, TableInput=table)

    def add(_step: int) -> None:
        while True:
            now = glue.get("counter")
            count = str(int(now["Parameters"]["count"]) + 1)
            try:
                glue.front.update_table(
                    DatabaseName=glue.database,
                    TableInput={**table, "Parameters": {"count": count}},
                    VersionId=now["VersionId"],
                )
            except glue.front.exceptions.ConcurrentModificationException:
                continue
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(30)))
    assert glue.get("counter")["Parameters"]["count"] == "30"


def test_an_update_without_a_version_is_always_taken(glue: Glue) -> None:
    table = glue.create("t")
    for writer in ("a", "b"):
        glue.front.update_table(
            DatabaseName=glue.database, TableInput={**table, "Parameters": {"writer": writer}}
        )
    assert glue.get("t")["Parameters"]["writer"] == "b"


def test_an_update_of_a_missing_table_says_so(glue: Glue) -> None:
    with pytest.raises(glue.front.exceptions.EntityNotFoundException):
        glue.front.update_table(
            DatabaseName=glue.database, TableInput={"Name": "none"}, VersionId="1"
        )


def test_statistics_of_a_table_are_kept_by_column(glue: Glue) -> None:
    glue.create("t")
    where = {"DatabaseName": glue.database, "TableName": "t"}
    glue.front.update_column_statistics_for_table(
        **where, ColumnStatisticsList=[statistics("x", 7), statistics("y", 8)]
    )
    glue.front.update_column_statistics_for_table(
        **where, ColumnStatisticsList=[statistics("x", 9)]
    )
    found = glue.front.get_column_statistics_for_table(**where, ColumnNames=["X", "y", "z"])
    assert distinct(found) == [9, 8]
    assert [(each["ColumnName"], each["Error"]["ErrorCode"]) for each in found["Errors"]] == [
        ("z", "EntityNotFoundException")
    ]
    glue.front.delete_column_statistics_for_table(**where, ColumnName="y")
    glue.front.delete_column_statistics_for_table(**where, ColumnName="never-there")
    found = glue.front.get_column_statistics_for_table(**where, ColumnNames=["x", "y"])
    assert distinct(found) == [9]


def test_statistics_of_a_partition_are_its_own(glue: Glue) -> None:
    glue.create("t", "day")
    where = {"DatabaseName": glue.database, "TableName": "t"}
    for number, day in enumerate(("2026-01-01", "2026-01-02")):
        glue.front.create_partition(**where, PartitionInput={"Values": [day]})
        glue.front.update_column_statistics_for_partition(
            **where, PartitionValues=[day], ColumnStatisticsList=[statistics("x", number)]
        )
    for number, day in enumerate(("2026-01-01", "2026-01-02")):
        found = glue.front.get_column_statistics_for_partition(
            **where, PartitionValues=[day], ColumnNames=["x"]
        )
        assert distinct(found) == [number]
    with pytest.raises(glue.front.exceptions.EntityNotFoundException):
        glue.front.get_column_statistics_for_partition(
            **where, PartitionValues=["2026-01-03"], ColumnNames=["x"]
        )


def test_a_table_made_anew_has_no_statistics_of_the_old_one(glue: Glue) -> None:
    glue.create("t")
    where = {"DatabaseName": glue.database, "TableName": "t"}
    glue.front.update_column_statistics_for_table(
        **where, ColumnStatisticsList=[statistics("x", 7)]
    )
    glue.front.delete_table(DatabaseName=glue.database, Name="t")
    with pytest.raises(glue.front.exceptions.EntityNotFoundException):
        glue.front.get_column_statistics_for_table(**where, ColumnNames=["x"])
    glue.create("t")
    found = glue.front.get_column_statistics_for_table(**where, ColumnNames=["x"])
    assert found["ColumnStatisticsList"] == []


def test_an_empty_expression_means_all_partitions(glue: Glue) -> None:
    glue.create("t", "day")
    where = {"DatabaseName": glue.database, "TableName": "t"}
    for day in ("2026-01-01", "2026-01-02"):
        glue.front.create_partition(**where, PartitionInput={"Values": [day]})
    found = glue.front.get_partitions(**where, Expression="")["Partitions"]
    assert len(found) == 2
    found = glue.front.get_partitions(**where, Expression="day = '2026-01-02'")["Partitions"]
    assert [each["Values"] for each in found] == [["2026-01-02"]]


def test_all_else_is_handed_on_as_it_is(glue: Glue) -> None:
    glue.create("t", "day")
    asked = {"DatabaseName": glue.database, "Name": "t"}
    assert glue.front.get_table(**asked)["Table"] == glue.moto.get_table(**asked)["Table"]
    refusals = []
    for each in (glue.front, glue.moto):
        with pytest.raises(ClientError) as refused:
            each.get_table(DatabaseName=glue.database, Name="none")
        refusals.append(refused.value.response["Error"])
    assert refusals[0] == refusals[1]

"""Concurrent commits to one Iceberg table: through Trino, Glue's front, moto, and S3."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trino

from athena_local import aws
from athena_local.instance import Instance

WRITERS = 4
COMMITS = 5


def query(instance: Instance, statement: str) -> list[list[Any]]:
    with trino.dbapi.connect(  # type: ignore[no-untyped-call]
        host="127.0.0.1", port=instance.trino_port, user="test", catalog="iceberg"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return [list(row) for row in cursor.fetchall()]


def until_taken(instance: Instance, statement: str) -> int:
    """Run it until it is not refused for a conflict; returns how often it was."""
    for refused in itertools.count():
        try:
            query(instance, statement)
        except trino.exceptions.TrinoQueryError as error:
            if error.error_name != "ICEBERG_COMMIT_ERROR":
                raise
        else:
            return refused
    raise AssertionError


@pytest.fixture
def schema(athena: Instance) -> Iterator[str]:
    name = f"commits_{uuid.uuid4().hex[:8]}"
    query(athena, f"create schema {name} with (location = 's3://{aws.DATA_BUCKET}/{name}/')")
    yield name
    query(athena, f"drop schema {name} cascade")


def test_appends_of_many_writers_conflict_and_all_arrive(athena: Instance, schema: str) -> None:
    query(athena, f"create table {schema}.t (writer bigint, step bigint)")

    def write(writer: int) -> None:
        for step in range(COMMITS):
            until_taken(athena, f"insert into {schema}.t values ({writer}, {step})")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    rows = query(athena, f"select writer, step from {schema}.t order by 1, 2")
    assert rows == [[writer, step] for writer in range(WRITERS) for step in range(COMMITS)]


def test_an_update_whose_rows_changed_meanwhile_is_refused(athena: Instance, schema: str) -> None:
    """Counting by read-modify-write loses nothing: whoever read an older state is refused."""
    query(athena, f"create table {schema}.t as select bigint '0' as n")

    def add(_writer: int) -> int:
        change = f"update {schema}.t set n = n + 1"
        return sum(until_taken(athena, change) for _ in range(COMMITS))

    with ThreadPoolExecutor(2) as pool:
        refused = sum(pool.map(add, range(2)))
    assert query(athena, f"select n from {schema}.t") == [[2 * COMMITS]]
    assert refused > 0


def test_statistics_that_trino_writes_are_read_again(athena: Instance, schema: str) -> None:
    table = f"awsdatacatalog.{schema}.h"
    query(athena, f"create table {table} as select * from (values 1, 2, 2) as t (x)")
    query(athena, f"analyze {table}")
    found = query(athena, f"show stats for {table}")
    assert [row[2] for row in found if row[0] == "x"] == [2.0]
    query(athena, f"drop table {table}")

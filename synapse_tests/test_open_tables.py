"""What dbt wrote on Athena is read by engines that know nothing of it: pyiceberg and DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlparse

import duckdb
import pytest
from duckdb_extensions import import_extension

from athena_local.instance import Instance
from synapse_tests.athena_equality import glue_catalog
from synapse_tests.athena_small import SmallProject, small_project

# Every type that the project's contracts name, NULLs, and text that is not ASCII.
TYPES = """
{{ config(
    materialized='incremental', incremental_strategy='merge', unique_key='id',
    partitioned_by=['day(at)']
) }}
select
    number as id,
    cast(number %% 3 as integer) as small,
    case when number %% 4 = 0 then null else concat('ação ', cast(number as varchar)) end as text,
    cast(number as decimal(18, 4)) / 8 as amount,
    cast(number as double) / 4 as ratio,
    number %% 2 = 0 as is_even,
    date_add('day', number %% 5, date '2026-06-01') as day,
    cast(date_add('second', number, timestamp '2026-06-01 23:59:30.123456') as timestamp(6)) as at,
    '%s' as run
from unnest(sequence(%d, %d)) as numbers (number)
"""


@pytest.fixture(scope="module")
def project(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """A table of three commits, with rows that were updated and rows that were deleted."""
    with small_project(athena, tmp_path_factory.mktemp("open"), "open") as project:
        for run, first, last in (("first", 1, 60), ("second", 41, 100)):
            project.model("typed", TYPES % (run, first, last))
            result = project.invoke("run")
            assert result.succeeded, result.failures
        project.client.run("delete from typed where id % 10 = 7", WorkGroup=project.workgroup)
        yield project


def expected() -> list[tuple[object, ...]]:
    """The rows, computed without any engine."""
    return [
        (
            number,
            number % 3,
            None if number % 4 == 0 else f"ação {number}",
            Decimal(number) / 8,
            number / 4,
            number % 2 == 0,
            date(2026, 6, 1 + number % 5),
            datetime(2026, 6, 1, 23, 59, 30, 123456) + timedelta(seconds=number),
            "first" if number <= 40 else "second",
        )
        for number in range(1, 101)
        if number % 10 != 7
    ]


def test_pyiceberg_reads_the_rows_that_athena_wrote(project: SmallProject) -> None:
    table = glue_catalog().load_table((f"{project.prefix}gold", "typed"))
    assert len(table.metadata.snapshots) >= 3
    rows = table.scan().to_arrow().to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == expected()


def test_duckdb_reads_the_rows_that_athena_wrote(project: SmallProject) -> None:
    table = glue_catalog().load_table((f"{project.prefix}gold", "typed"))
    for extension in ("httpfs", "avro", "iceberg"):
        import_extension(extension)
    with duckdb.connect() as connection:
        for extension in ("httpfs", "avro", "iceberg"):
            connection.execute(f"load {extension}")
        endpoint = urlparse(project.client.s3.meta.endpoint_url).netloc
        connection.execute(
            "create secret (type s3, key_id 'testing', secret 'testing', region 'sa-east-1', "
            f"endpoint '{endpoint}', use_ssl false, url_style 'path')"
        )
        rows = connection.execute(
            f"select * from iceberg_scan('{table.metadata_location}') order by id"
        ).fetchall()
    assert rows == expected()


def test_athena_itself_says_the_same(project: SmallProject) -> None:
    (row,) = project.rows("select count(*), sum(id), count(text), max(run) from typed")
    numbers = [item[0] for item in expected()]
    texts = [item for item in expected() if item[2] is not None]
    assert row == [str(len(numbers)), str(sum(numbers)), str(len(texts)), "second"]  # type: ignore[arg-type]

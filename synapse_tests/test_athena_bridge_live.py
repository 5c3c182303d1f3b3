"""Athena's statements and answers against the real parts: Trino, Glue, S3, boto3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from athena_local.instance import Instance
from synapse_tests.athena_client import DATA, STAGING, Client, QueryError


@pytest.fixture(scope="module")
def client(athena: Instance) -> Iterator[Client]:
    client = Client(athena.environment(), f"bridge_{uuid.uuid4().hex[:8]}")
    client.run(f"CREATE DATABASE `{client.database}` LOCATION '{DATA}/{client.database}/'")
    yield client
    client.run(f"DROP DATABASE `{client.database}` CASCADE")


@pytest.fixture
def table(client: Client, request: pytest.FixtureRequest) -> str:
    del client
    return f"t_{request.node.name.split('[')[0].removeprefix('test_')[:40]}_{uuid.uuid4().hex[:4]}"


def iceberg(client: Client, table: str, query: str, extra: str = "") -> None:
    place = f"{DATA}/{client.database}/{table}"
    client.run(
        f"CREATE TABLE {table} WITH (table_type='iceberg', is_external=false, "
        f"location='{place}', format='parquet'{extra}) AS {query}"
    )


def objects(client: Client, prefix: str) -> list[str]:
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    found = client.s3.list_objects_v2(Bucket=bucket, Prefix=key)
    return [one["Key"] for one in found.get("Contents", [])]


def test_a_select_answers_header_types_and_file(client: Client) -> None:
    result = client.run(
        "SELECT 1 AS a, 1.5 AS b, CAST(NULL AS varchar) AS c, '' AS d, 'x\"y' AS e, "
        "CAST(1 AS decimal(9,2)) AS f, X'00ff' AS g, ARRAY[ROW('k', 2)] AS h, "
        "TIMESTAMP '2024-01-01 00:00:00' AS i"
    )
    assert result.columns == [
        ("a", "integer"),
        ("b", "double"),
        ("c", "varchar"),
        ("d", "varchar"),
        ("e", "varchar"),
        ("f", "decimal"),
        ("g", "varbinary"),
        ("h", "array"),
        ("i", "timestamp"),
    ]
    row = ["1", "1.5", None, "", 'x"y', "1.00", "00 ff", "[{field0=k, field1=2}]"]
    row.append("2024-01-01 00:00:00.000")
    assert result.rows == [["a", "b", "c", "d", "e", "f", "g", "h", "i"], row]
    location = result.execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"{STAGING}/tests/{result.execution['QueryExecutionId']}.csv"
    key = location.removeprefix(f"{STAGING}/")
    body = client.s3.get_object(Bucket=STAGING.removeprefix("s3://"), Key=key)["Body"].read()
    assert body.decode().splitlines()[1].startswith('"1","1.5",,"","x""y","1.00"')
    assert objects(client, location) == [key, f"{key}.metadata"]


def test_pages_follow_each_other(client: Client) -> None:
    query_id = client.start("SELECT n FROM UNNEST(sequence(1, 2500)) t (n) ORDER BY n")
    client.wait(query_id)
    pages = client.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
    rows = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert rows == ["n", *(str(n) for n in range(1, 2501))]


@pytest.mark.parametrize(
    ("sql", "reason", "error_type"),
    [
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.", 1006),
        ("SELECT x", "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", 1006),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero", 1000),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: ", 1000),
        ("DROP TABLE nowhere", "FAILED: SemanticException", 1006),
        ("SHOW TABLES IN nowhere", "FAILED: SemanticException", 1006),
    ],
)
def test_a_failed_query_says_why(client: Client, sql: str, reason: str, error_type: int) -> None:
    with pytest.raises(QueryError) as caught:
        client.run(sql)
    status = caught.value.execution["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith(reason)
    assert status["AthenaError"]["ErrorCategory"] == 2
    assert status["AthenaError"]["ErrorType"] == error_type


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "mismatched input 'SELEC'"),
        ("SELECT FROM WHERE", "mismatched input"),
        ("ALTER TABLE t ADD COLUMNS a", "mismatched input 'a'"),
        ("TRUNCATE TABLE t", "not supported: TRUNCATE"),
        ("SELECT '" + "x" * 262_144 + "'", "less than or equal to 262144"),
    ],
)
def test_what_cannot_be_parsed_is_refused_at_once(client: Client, sql: str, said: str) -> None:
    with pytest.raises(ClientError, match="InvalidRequestException") as caught:
        client.start(sql)
    assert said in str(caught.value)


def test_an_unknown_operation_is_named(client: Client) -> None:
    with pytest.raises(ClientError, match="operation ListEngineVersions is not supported"):
        client.athena.list_engine_versions()


def test_the_same_token_is_the_same_query(client: Client) -> None:
    token = uuid.uuid4().hex
    first = client.start("SELECT 1", ClientRequestToken=token)
    assert client.start("SELECT 1", ClientRequestToken=token) == first
    with pytest.raises(ClientError, match="Idempotent parameters"):
        client.start("SELECT 2", ClientRequestToken=token)


def test_a_stopped_query_is_cancelled(client: Client) -> None:
    slow = "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x), UNNEST(sequence(1, 10000)) b (y)"
    query_id = client.start(f"{slow}, UNNEST(sequence(1, 10000)) c (z) WHERE x * y * z % 7 = 3")
    running = client.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
    assert running["Status"]["State"] == "RUNNING"
    with pytest.raises(ClientError, match="not yet finished"):
        client.athena.get_query_results(QueryExecutionId=query_id)
    client.athena.stop_query_execution(QueryExecutionId=query_id)
    status = client.wait(query_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == (
        "CANCELLED",
        "Query cancelled by user",
    )


def test_iceberg_changes(client: Client, table: str) -> None:
    iceberg(client, table, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t (id, v)")
    assert client.run(f"INSERT INTO {table} VALUES (3, NULL)").update_count == 1
    merged = client.run(
        f"MERGE INTO {table} t USING (VALUES (2, 'B'), (4, 'd')) s (id, v) ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)"
    )
    assert merged.update_count == 2
    assert client.run(f"UPDATE {table} SET v = 'z' WHERE id = 1").update_count == 1
    assert client.run(f"DELETE FROM {table} WHERE id = 4").update_count == 1
    assert client.run(f"SELECT * FROM {table} ORDER BY id").values == [
        ["1", "z"],
        ["2", "B"],
        ["3", None],
    ]


def test_iceberg_remembers(client: Client, table: str) -> None:
    iceberg(client, table, "SELECT 1 AS id")
    snapshot = client.run(f'SELECT snapshot_id FROM "{table}$snapshots"').values[0][0]
    client.run(f"INSERT INTO {table} VALUES 2")
    then = f"SELECT id FROM {table} FOR VERSION AS OF {snapshot}"
    assert client.run(then).values == [["1"]]
    # A moment must be past: that of the last commit is, the query's own is not.
    last = client.run(f'SELECT CAST(max(committed_at) AS varchar) FROM "{table}$snapshots"')
    now = f"SELECT count(*) FROM {table} FOR TIMESTAMP AS OF TIMESTAMP '{last.values[0][0]}'"
    assert client.run(now).values == [["2"]]
    for name in ("history", "files", "partitions", "manifests"):
        assert client.run(f'SELECT count(*) FROM "{table}${name}"').values


def test_iceberg_schema_evolves(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}"
    client.run(
        f"CREATE TABLE `{table}` (`id` int, ts timestamp, s struct<a:int,b:array<string>>) "
        f"PARTITIONED BY (day(ts), bucket(4, id)) LOCATION '{place}' "
        "TBLPROPERTIES ('table_type'='ICEBERG', 'vacuum_max_snapshot_age_seconds'='60')"
    )
    client.run(f"ALTER TABLE {table} ADD COLUMNS (added double, other string)")
    client.run(f"ALTER TABLE {table} CHANGE COLUMN id key bigint")
    client.run(f"ALTER TABLE {table} DROP COLUMN other")
    client.run(f"ALTER TABLE {table} SET TBLPROPERTIES ('vacuum_min_snapshots_to_keep'='2')")
    columns = [row[0] for row in client.run(f"DESCRIBE {table}").rows]
    assert [str(one).split() for one in columns] == [
        ["key", "bigint"],
        ["ts", "timestamp"],
        ["s", "struct<a:int,b:array<string>>"],
        ["added", "double"],
    ]
    with pytest.raises(QueryError, match="Unsupported table property key: colour"):
        client.run(f"ALTER TABLE {table} SET TBLPROPERTIES ('colour'='red')")
    client.run(f"ALTER TABLE `{table}` RENAME TO `{client.database}`.`{table}_2`")
    assert client.run(f"SELECT count(*) FROM {table}_2").values == [["0"]]


def test_dropping_an_iceberg_table_deletes_its_data(client: Client, table: str) -> None:
    iceberg(client, table, "SELECT 1 AS id")
    place = f"{DATA}/{client.database}/{table}/"
    assert objects(client, place)
    client.run(f"DROP TABLE IF EXISTS `{client.database}`.`{table}`")
    assert objects(client, place) == []
    assert client.run(f"SHOW TABLES '{table}'").rows == []


def test_dropping_a_hive_table_keeps_its_data(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}"
    client.run(f"CREATE TABLE {table} WITH (external_location='{place}') AS SELECT 1 AS id")
    client.run(f"DROP TABLE {table}")
    assert objects(client, f"{place}/")


def test_optimize_and_vacuum(client: Client, table: str) -> None:
    properties = ", vacuum_max_snapshot_age_seconds=1, vacuum_min_snapshots_to_keep=2"
    iceberg(client, table, "SELECT 1 AS id", properties)
    for number in range(2, 5):
        client.run(f"INSERT INTO {table} VALUES {number}")
    files = f'SELECT count(*) FROM "{table}$files"'
    snapshots = f'SELECT count(*) FROM "{table}$snapshots"'
    assert client.run(files).values == [["4"]]
    client.run(f"OPTIMIZE {table} REWRITE DATA USING BIN_PACK")
    assert client.run(files).values == [["1"]]
    assert client.run(snapshots).values == [["5"]]
    query = f"SELECT date_diff('second', max(committed_at), now()) FROM \"{table}$snapshots\""
    while int(str(client.run(query).values[0][0])) < 2:
        pass
    client.run(f"VACUUM {table}")
    assert client.run(snapshots).values == [["2"]]
    assert client.run(f"SELECT sum(id) FROM {table}").values == [["10"]]


def test_an_iceberg_table_wants_six_digits(client: Client, table: str) -> None:
    with pytest.raises(QueryError, match=r'Timestamp precision \(3\).*Use "timestamp\(6\)"'):
        iceberg(client, table, "SELECT CAST(now() AS timestamp) AS at")
    with pytest.raises(QueryError, match=r'Use "timestamp\(6\) with time zone".*Column: at'):
        iceberg(client, table, "WITH x AS (SELECT 1 AS n, now() AS at) SELECT * FROM x -- here")
    with pytest.raises(QueryError, match="Incorrect timestamp precision for timestamp"):
        client.run(f"CREATE TABLE {table} AS SELECT CAST(now() AS timestamp(6)) AS at")


@pytest.mark.parametrize("kind", ["hive", "iceberg"])
def test_a_hundred_partitions_are_the_most(client: Client, table: str, kind: str) -> None:
    query = "SELECT n AS a, n AS p FROM UNNEST(sequence(1, {})) t (n)"
    if kind == "hive":
        make: Any = lambda name, rows: client.run(  # noqa: E731
            f"CREATE TABLE {name} WITH (partitioned_by=ARRAY['p']) AS {query.format(rows)}"
        )
    else:
        make = lambda name, rows: iceberg(  # noqa: E731
            client, name, query.format(rows), ", partitioning=ARRAY['p']"
        )
    make(table, 100)
    with pytest.raises(QueryError, match="TOO_MANY_OPEN_PARTITIONS"):
        make(f"{table}_2", 101)


def test_csv_and_text_tables(client: Client, table: str) -> None:
    place = f"{client.database}/{table}"
    bucket = DATA.removeprefix("s3://")
    client.s3.put_object(Bucket=bucket, Key=f"{place}/a.csv", Body=b'id,v\n1,"a, b"\n2,\n')
    client.run(
        f"CREATE EXTERNAL TABLE `{table}` (`id` string, `v` string) "
        "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' "
        f"LOCATION '{DATA}/{place}' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    assert client.run(f"SELECT * FROM {table} ORDER BY id").values == [["1", "a, b"], ["2", ""]]
    client.run(
        f"CREATE EXTERNAL TABLE {table}_text (id int, v string) ROW FORMAT DELIMITED "
        f"FIELDS TERMINATED BY '|' LOCATION '{DATA}/{place}_text'"
    )
    client.run(f"INSERT INTO {table}_text VALUES (1, 'x'), (2, NULL)")
    assert client.run(f"SELECT * FROM {table}_text ORDER BY id").values == [["1", "x"], ["2", None]]


def test_partitions_of_a_hive_table(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}"
    for day in ("2024-01-01", "2024-01-02"):
        client.run(f"UNLOAD (SELECT 1 AS id) TO '{place}/day={day}/' WITH (format='PARQUET')")
    client.run(
        f"CREATE EXTERNAL TABLE {table} (id int) PARTITIONED BY (day string) "
        f"STORED AS PARQUET LOCATION '{place}/'"
    )
    assert client.run(f"SELECT count(*) FROM {table}").values == [["0"]]
    repaired = client.run(f"MSCK REPAIR TABLE {table}").rows
    assert [f"Repair: Added partition to metastore {table}:day=2024-01-02"] in repaired
    assert client.run(f"SHOW PARTITIONS {table}").rows == [["day=2024-01-01"], ["day=2024-01-02"]]
    client.run(f"ALTER TABLE {table} DROP PARTITION (day='2024-01-01')")
    client.run(
        f"ALTER TABLE {table} ADD IF NOT EXISTS PARTITION (day='x') "
        f"LOCATION '{place}/day=2024-01-01/'"
    )
    assert client.run(f"SELECT day FROM {table} ORDER BY day").values == [["2024-01-02"], ["x"]]
    assert client.run(f'SELECT count(*) FROM "{table}$partitions"').values == [["2"]]


def test_projected_partitions_are_pruned(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}"
    for day in ("2024/01/01", "2024/01/02", "2024/01/03"):
        client.run(
            f"UNLOAD (SELECT rand() AS r FROM UNNEST(sequence(1, 1000)) t (n)) "
            f"TO '{place}/{day}/' WITH (format='PARQUET')"
        )
    client.run(
        f"CREATE EXTERNAL TABLE {table} (r double) PARTITIONED BY (`day` string) "
        f"STORED AS PARQUET LOCATION '{place}/' TBLPROPERTIES ('projection.enabled'='true', "
        "'projection.day.type'='date', 'projection.day.format'='yyyy/MM/dd', "
        "'projection.day.range'='2024/01/01,2024/01/05', "
        f"'storage.location.template'='{place}/${{day}}/')"
    )
    everything = client.run(f"SELECT count(*), sum(r) FROM {table}")
    one_day = client.run(f"SELECT count(*), sum(r) FROM {table} WHERE day = '2024/01/02'")
    assert everything.values[0][0] == "3000"
    assert one_day.values[0][0] == "1000"
    assert 0 < one_day.bytes_scanned * 2 < everything.bytes_scanned


def test_a_view_is_registered_with_its_columns(client: Client, table: str) -> None:
    client.run(
        f"CREATE OR REPLACE VIEW {table} AS SELECT 1 AS a, 'x' AS b, "
        "CAST(ROW(1) AS ROW(c integer)) AS d, TIMESTAMP '2024-01-01 00:00:00' AS e"
    )
    known = client.glue.get_table(DatabaseName=client.database, Name=table)["Table"]
    columns = [(one["Name"], one["Type"]) for one in known["StorageDescriptor"]["Columns"]]
    assert columns == [
        ("a", "int"),
        ("b", "varchar(1)"),
        ("d", "struct<c:int>"),
        ("e", "timestamp"),
    ]
    assert client.run(f"SELECT a, b FROM {table}").values == [["1", "x"]]
    assert client.run(f"SHOW VIEWS '{table}'").rows == [[table]]
    assert client.run(f"SHOW CREATE VIEW {table}").rows[0] == [
        f"CREATE VIEW {client.database}.{table} AS"
    ]
    with pytest.raises(QueryError, match="Cannot drop a view with DROP TABLE"):
        client.run(f"DROP TABLE {table}")
    client.run(f"DROP VIEW IF EXISTS {table}")
    assert client.run(f"SHOW VIEWS '{table}'").rows == []


def test_unload_writes_files_and_no_table(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}/"
    query = f"UNLOAD (SELECT 1 AS a, 'p' AS b) TO '{place}' WITH (format='JSON')"
    result = client.run(query)
    assert result.execution["SubstatementType"] == "UNLOAD"
    assert objects(client, place)
    assert client.run("SHOW TABLES 'unload*'").rows == []
    with pytest.raises(QueryError, match="HIVE_PATH_ALREADY_EXISTS"):
        client.run(query)


def test_parameters_and_prepared_statements(client: Client) -> None:
    name = f"p_{uuid.uuid4().hex[:6]}"
    answer = client.run("SELECT ? AS a, '?' AS b", ExecutionParameters=["'it''s'"])
    assert answer.values == [["it's", "?"]]
    client.run(f"PREPARE {name} FROM SELECT ? + ? AS total")
    assert client.run(f"EXECUTE {name} USING 1, 41").values == [["42"]]
    assert client.run(f"EXECUTE {name}", ExecutionParameters=["2", "3"]).values == [["5"]]
    known = client.athena.get_prepared_statement(StatementName=name, WorkGroup="primary")
    assert known["PreparedStatement"]["QueryStatement"] == "SELECT ? + ? AS total"
    with pytest.raises(ClientError, match="expected 2 but found 1"):
        client.start(f"EXECUTE {name} USING 1")
    client.run(f"DEALLOCATE PREPARE {name}")
    with pytest.raises(ClientError, match=f"PreparedStatement {name} was not found"):
        client.start(f"EXECUTE {name} USING 1, 2")


def test_explain_shows_a_plan(client: Client, table: str) -> None:
    plan = client.run("EXPLAIN SELECT 1 AS one")
    assert plan.rows[0] == ["Query Plan"]
    assert plan.execution["SubstatementType"] == "EXPLAIN"
    assert any("Output" in str(row[0]) for row in plan.rows)
    analysed = client.run("EXPLAIN ANALYZE SELECT count(*) FROM UNNEST(sequence(1, 5)) t (n)")
    assert any("CPU" in str(row[0]) for row in analysed.rows)
    client.run(f"EXPLAIN CREATE TABLE {table} AS SELECT 1 AS a")
    assert client.run(f"SHOW TABLES '{table}'").rows == []


def test_show_create_table_makes_the_same_table(client: Client, table: str) -> None:
    place = f"{DATA}/{client.database}/{table}"
    client.run(
        f"CREATE EXTERNAL TABLE {table} (id int COMMENT 'key', v array<string>) "
        f"PARTITIONED BY (p string) STORED AS PARQUET LOCATION '{place}'"
    )
    shown = "\n".join(str(row[0]) for row in client.run(f"SHOW CREATE TABLE {table}").rows)
    before = client.glue.get_table(DatabaseName=client.database, Name=table)["Table"]
    client.run(f"DROP TABLE {table}")
    client.run(shown.replace(f"`{client.database}.{table}`", f"`{client.database}`.`{table}`"))
    after = client.glue.get_table(DatabaseName=client.database, Name=table)["Table"]
    assert after["StorageDescriptor"] == before["StorageDescriptor"]
    assert after["PartitionKeys"] == before["PartitionKeys"]


def test_a_workgroup_decides_where_and_how_much(client: Client, table: str) -> None:
    name = f"w_{uuid.uuid4().hex[:6]}"
    api = client.athena
    api.create_work_group(
        Name=name,
        Configuration={
            "ResultConfiguration": {"OutputLocation": f"{STAGING}/{name}/"},
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 10_000_000,
        },
    )
    result = client.run("SELECT 1", WorkGroup=name)
    location = result.execution["ResultConfiguration"]["OutputLocation"]
    assert location.startswith(f"{STAGING}/{name}/")
    client.run(
        f"CREATE TABLE {table} AS "
        "SELECT to_hex(sha512(to_utf8(CAST(n * 500 + m AS varchar)))) AS h "
        "FROM UNNEST(sequence(1, 500)) a (n), UNNEST(sequence(1, 500)) b (m)"
    )
    query = f"SELECT max(h) FROM {table}"
    assert client.run(query).bytes_scanned > 10_000_000
    with pytest.raises(QueryError, match="Bytes scanned limit was exceeded") as caught:
        client.run(query, WorkGroup=name)
    assert caught.value.execution["Status"]["State"] == "CANCELLED"
    listed = api.list_query_executions(WorkGroup=name, MaxResults=1)
    assert listed["QueryExecutionIds"] == [caught.value.execution["QueryExecutionId"]]
    batch = api.batch_get_query_execution(QueryExecutionIds=[*listed["QueryExecutionIds"], "none"])
    assert [one["QueryExecutionId"] for one in batch["UnprocessedQueryExecutionIds"]] == ["none"]
    api.update_work_group(WorkGroup=name, State="DISABLED")
    with pytest.raises(ClientError, match="is disabled"):
        client.start("SELECT 1", WorkGroup=name)
    api.delete_work_group(WorkGroup=name)
    with pytest.raises(ClientError, match="is not found"):
        api.get_work_group(WorkGroup=name)


def test_a_query_without_a_place_for_its_result_is_refused(client: Client) -> None:
    with pytest.raises(ClientError, match="No output location provided"):
        client.athena.start_query_execution(QueryString="SELECT 1")


def test_the_catalog_is_listed(client: Client, table: str) -> None:
    iceberg(client, table, "SELECT 1 AS id")
    api = client.athena
    names = [
        one["Name"] for one in api.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]
    ]
    assert client.database in names
    found = api.get_table_metadata(
        CatalogName="AwsDataCatalog", DatabaseName=client.database, TableName=table
    )["TableMetadata"]
    assert found["Columns"] == [{"Name": "id", "Type": "int"}]
    assert api.get_data_catalog(Name="awsdatacatalog")["DataCatalog"]["Type"] == "GLUE"

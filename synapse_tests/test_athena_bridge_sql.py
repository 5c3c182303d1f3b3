"""Rewriting Athena's SQL: only what must change changes, and what it says is read right."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from athena_local.bridge import create_table_reader, ctas, ddl_reader, prepared, unload
from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.column_types import check_hive_type, hive_type, trino_type
from athena_local.bridge.errors import ApiError, QueryFailedError
from athena_local.bridge.literals import with_doubles
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import StatementKind, bind, classify
from athena_local.bridge.tokens import Dialect, Kind, quote_name, quote_string, tokenize

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
WITHOUT_END = TEXTS.filter(lambda text: "*/" not in text and not text.endswith("*"))
LITERALS = TEXTS.map(quote_string)
QUOTED = TEXTS.filter(bool).map(quote_name)
COMMENTS = st.one_of(
    WITHOUT_END.filter(lambda text: not text.startswith("+")).map(lambda text: f"/*{text}*/"),
    TEXTS.map(lambda text: "--" + re.sub(r"[\r\n]", " ", text) + "\n"),
)
OPAQUE = st.lists(st.one_of(LITERALS, QUOTED, COMMENTS), min_size=1, max_size=6)


@given(OPAQUE)
def test_strings_names_and_comments_survive_every_rewriting(parts: list[str]) -> None:
    sql = "SELECT 1 , " + " , ".join(parts) + " , 1.5 , ?"
    bound = bind(sql, ["'bound'"])
    assert bound == sql[:-1] + "'bound'"
    doubled = with_doubles(classify(bound)).text
    assert doubled == bound.replace(" , 1.5 , 'bound'", " , 1.5E0 , 'bound'")


@given(OPAQUE)
def test_the_query_of_a_ctas_is_not_touched(parts: list[str]) -> None:
    query = "SELECT " + " , ".join(parts) + " , 1 AS a"
    statement = classify(f"CREATE TABLE t WITH (format = 'ORC') AS {query}")
    assert statement.kind is StatementKind.CTAS
    assert ctas.rewrite(statement, "db", "s3://b/x").sql.endswith(f" AS {query}")


@given(TEXTS)
def test_a_string_is_read_as_it_was_written(value: str) -> None:
    tokens = tokenize(quote_string(value))
    assert [(one.kind, one.text) for one in tokens] == [(Kind.STRING, value)]


@given(st.text("ab'\"\\\n\t%_\x01", max_size=12))
def test_a_hive_string_is_read_as_it_was_written(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    tokens = tokenize(f"'{escaped}'", Dialect.HIVE)
    assert [(one.kind, one.text) for one in tokens] == [(Kind.STRING, value)]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("-- a comment; with 'a quote\nselect 1;", "SELECT"),
        ("(select 1) union (select 2)", "SELECT"),
        ("with a as (select 1) select * from a", "SELECT"),
        ("insert into t select ';'", "INSERT"),
        ("create table t as select 1", "CTAS"),
        ("create table if not exists t with (format='ORC') as (select 1)", "CTAS"),
        ("create table t (`as` int) location 's3://x' tblproperties ('a'='b')", "CREATE_TABLE"),
        ("create external table t (a string) tblproperties (\"it's\"='b')", "CREATE_TABLE"),
        ("create or replace view v as select 1", "CREATE_VIEW"),
        ("drop view if exists v", "DROP_VIEW"),
        ("create schema if not exists `s`", "CREATE_DATABASE"),
        ("desc `t`", "DESCRIBE"),
        ("msck repair table t", "MSCK"),
        ("execute p using 1", "EXECUTE"),
    ],
)
def test_statements_are_told_apart(sql: str, kind: str) -> None:
    assert classify(sql).kind is StatementKind[kind]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("THIS IS NOT SQL", r"line 1:1: mismatched input 'THIS'. Expecting:"),
        ("-- nothing\n", "Query is empty"),
        ("select 1; select 2", "Only one sql statement is allowed"),
        ("truncate table t", "not supported: TRUNCATE"),
        ("create function f", "not supported: CREATE FUNCTION"),
        ("grant select on t to x", "not supported: GRANT"),
        ("select 'open", "split into words"),
    ],
)
def test_what_athena_refuses_is_named(sql: str, said: str) -> None:
    with pytest.raises(ApiError, match=said):
        classify(sql)


@pytest.mark.parametrize(
    ("literal", "double"),
    [
        ("1.5", "1.5E0"),
        (".5", ".5E0"),
        ("2.", "2.E0"),
        ("1", "1"),
        ("1.5e3", "1.5e3"),
        ("decimal '1.5'", "decimal '1.5'"),
        ("cast(1 as decimal(3,1))", "cast(1 as decimal(3,1))"),
    ],
)
def test_a_literal_with_a_point_is_a_double(literal: str, double: str) -> None:
    assert with_doubles(classify(f"select {literal} from t")).text == f"select {double} from t"


def test_iceberg_ctas() -> None:
    creation = ctas.rewrite(
        classify(
            """create table "awsdatacatalog"."db"."T"
            with (table_type='iceberg', is_external=false, location='s3://b/t',
              partitioning=ARRAY['DAY(d)', 'bucket(16, id)', 'plain'], write_compression='snappy',
              vacuum_min_snapshots_to_keep=3, format='parquet')
            as select 1 as id, 'with (a=b)' as d"""
        ),
        "other",
        "s3://unused",
    )
    assert creation.name == TableName("db", "t")
    assert creation.catalog == "iceberg"
    assert creation.session == {"iceberg.compression_codec": "SNAPPY"}
    assert creation.properties == {"vacuum_min_snapshots_to_keep": "3"}
    assert 'create table "iceberg"."db"."t"' in creation.sql
    assert "partitioning = ARRAY['day(d)', 'bucket(id, 16)', 'plain']" in creation.sql
    assert "location = 's3://b/t'" in creation.sql
    # The places in Trino's messages are those of the text that the client sent.
    assert creation.sql.count("\n") == 4
    assert "MAP(ARRAY['vacuum_min_snapshots_to_keep'], ARRAY['3'])" in creation.sql


def test_hive_ctas_without_a_place_goes_below_the_results() -> None:
    creation = ctas.rewrite(
        classify("create table t with (format='textfile', field_delimiter=',') as select 1 a"),
        "db",
        "s3://results/tables/id",
    )
    assert creation.sql == (
        'create table "awsdatacatalog"."db"."t" WITH (external_location = '
        "'s3://results/tables/id', format = 'TEXTFILE', textfile_field_separator = ',') "
        "as select 1 a"
    )


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("table_type='iceberg', is_external=false", "location"),
        ("table_type='iceberg', location='s3://b/t'", "is_external = false"),
        ("table_type='delta'", "table_type"),
        ("speed='high'", "'speed' does not exist"),
        ("format='ORC', format='AVRO'", "twice"),
    ],
)
def test_impossible_properties_are_named(properties: str, said: str) -> None:
    with pytest.raises(QueryFailedError, match=said):
        ctas.rewrite(classify(f"create table t with ({properties}) as select 1"), "d", "s3://x")


def test_an_external_table_with_everything() -> None:
    statement = classify(
        r"""-- /* {"app": "dbt"} */
        create external table if not exists `db`.`t-1` (
          `a b` int comment 'it\'s, one', c struct<x:int comment 'no',y:array<string>>, d decimal)
        comment 'all'
        partitioned by (`day` string, hour int)
        row format delimited fields terminated by '\t' escaped by '\\' lines terminated by '\n'
        stored as textfile
        location 's3://b/x/'
        tblproperties ("projection.enabled"="true", 'storage.location.template'='s3://b/${day}')"""
    )
    read = ddl_reader.read(statement, "other")
    assert isinstance(read, ddl.CreateTable)
    assert read.name == TableName("db", "t-1")
    assert read.columns == [
        ddl.ColumnDef("a b", "int", "it's, one"),
        ddl.ColumnDef("c", "struct<x:int,y:array<string>>"),
        ddl.ColumnDef("d", "decimal(10,0)"),
    ]
    assert [(one.name, one.type) for one in read.partitions] == [("day", "string"), ("hour", "int")]
    assert read.serde_properties["field.delim"] == "\t"
    assert read.serde_properties["escape.delim"] == "\\"
    assert read.properties["storage.location.template"] == "s3://b/${day}"
    assert read.if_not_exists
    assert not read.is_iceberg


def test_an_iceberg_table_is_partitioned_by_transforms() -> None:
    read = ddl_reader.read(
        classify(
            "create table t (id bigint, ts timestamp, `x` string) "
            "partitioned by (`x`, bucket(16, id), days(ts)) location 's3://b/t' "
            "tblproperties ('table_type'='iceberg')"
        ),
        "db",
    )
    assert isinstance(read, ddl.CreateTable)
    assert read.is_iceberg
    assert read.transforms == ["x", "bucket(id, 16)", "day(ts)"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("drop table if exists `a`.`b`", ddl.DropTable(TableName("a", "b"), if_exists=True)),
        (
            "alter table t add columns (a int, b array<string>)",
            ddl.AddColumns(
                TableName("db", "t"),
                [ddl.ColumnDef("a", "int"), ddl.ColumnDef("b", "array<string>")],
            ),
        ),
        ("alter table t drop column a", ddl.DropColumn(TableName("db", "t"), "a")),
        (
            "alter table s.t change column a b bigint comment 'c' after d",
            ddl.ChangeColumn(
                TableName("s", "t"), "a", ddl.ColumnDef("b", "bigint", "c"), after="d"
            ),
        ),
        (
            "alter table `s`.`t` rename to `s`.`u`",
            ddl.RenameTable(TableName("s", "t"), TableName("s", "u")),
        ),
        (
            "alter table t set tblproperties ('k'='v')",
            ddl.SetProperties(TableName("db", "t"), {"k": "v"}),
        ),
        (
            "alter table t add if not exists partition (a='x', b=1) location 's3://l' "
            "partition (a='y', b=2)",
            ddl.AddPartitions(
                TableName("db", "t"),
                True,
                [({"a": "x", "b": "1"}, "s3://l"), ({"a": "y", "b": "2"}, None)],
            ),
        ),
        ("show tables in `s` 'a*|b'", ddl.ShowList("TABLES", "s", "a*|b")),
        ("show columns from t in s", ddl.ShowTable("COLUMNS", TableName("s", "t"))),
        (
            "show tblproperties t('k')",
            ddl.ShowTable("TBLPROPERTIES", TableName("db", "t"), "k"),
        ),
        ("drop schema if exists `s` cascade", ddl.DropDatabase("s", True, True)),
        ("describe formatted s.2024_t", ddl.Describe(TableName("s", "2024_t"), extended=True)),
    ],
)
def test_ddl_is_read(sql: str, expected: ddl.Ddl) -> None:
    assert ddl_reader.read(classify(sql), "db") == expected


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ('drop table "a"', "mismatched input '\"a\"'"),
        ("alter table t add columns a int", r"line 1:27: mismatched input 'a'. Expecting: '\('"),
        ("create external table t (a text) location 's3://x'", "'text'"),
        ("drop table awsdatacatalog.b.c.d", "mismatched input"),
        ("drop table a.b.c", "CATALOG_NOT_FOUND"),
        ("show grants", "not supported: SHOW GRANTS"),
        ("alter table t frobnicate", "ALTER TABLE … frobnicate"),
    ],
)
def test_ddl_that_does_not_fit_is_named(sql: str, said: str) -> None:
    with pytest.raises(ApiError, match=said):
        ddl_reader.read(classify(sql), "db")


HIVE_TYPES = st.recursive(
    st.sampled_from(
        [
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "boolean",
            "float",
            "double",
            "string",
            "binary",
            "date",
            "timestamp",
            "decimal(12,3)",
            "varchar(7)",
            "char(2)",
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: f"array<{one}>"),
        st.tuples(inner, inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>"),
        st.tuples(inner, inner).map(lambda pair: f"struct<a:{pair[0]},b_1:{pair[1]}>"),
    ),
    max_leaves=5,
)


@given(HIVE_TYPES)
def test_types_go_to_trino_and_back(text: str) -> None:
    assert hive_type(trino_type(text)) == text


@given(HIVE_TYPES)
def test_types_are_read_from_a_column(text: str) -> None:
    statement = classify(f"alter table t add columns (c {text} comment 'x')")
    columns = create_table_reader.column_list(Reader(statement, 5))
    assert columns == [ddl.ColumnDef("c", text, "x")]
    assert check_hive_type(text) == text


def test_execute_takes_whole_expressions() -> None:
    execute = prepared.read_execute(
        classify("execute p using 'a, (b', -1, cast('2024-01-01' as date), array[1, 2]")
    )
    assert execute.values == ["'a, (b'", "-1", "cast('2024-01-01' as date)", "array[1, 2]"]
    assert execute.bind("select ? where x > ? -- ?\nand y = ? and z = ? and w = '?'") == (
        "select 'a, (b' where x > (-1) -- ?\nand y = (cast('2024-01-01' as date)) "
        "and z = (array[1, 2]) and w = '?'"
    )


@given(st.integers(0, 3), st.integers(0, 3))
def test_the_number_of_parameters_must_fit(marks: int, values: int) -> None:
    assume(marks != values)
    with pytest.raises(ApiError, match=f"expected {marks} but found {values}"):
        bind("select 1" + ", ?" * marks, ["1"] * values)


def test_unload_is_read() -> None:
    read = unload.read(
        classify(
            "unload (select * from (values (1, ')')) t (a, b)) to 's3://b/out' "
            "with (format = 'json', compression = 'gzip', partitioned_by = array['b'])"
        )
    )
    assert read.query == "select * from (values (1, ')')) t (a, b)"
    assert read.location == "s3://b/out"
    assert read.properties == {"format": "'JSON'", "partitioned_by": "array['b']"}
    assert read.session == {"awsdatacatalog.compression_codec": "GZIP"}

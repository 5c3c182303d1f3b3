"""Runs what only tells: SHOW and DESCRIBE, in the text that Hive's part of Athena prints."""

from __future__ import annotations

import re
from collections.abc import Iterable

from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.context import QueryContext
from athena_local.bridge.ddl_run import failure, run
from athena_local.bridge.glue_tables import GlueTable, is_iceberg, is_view, view_definition
from athena_local.bridge.values import plain_column


def _answer(context: QueryContext, column: str | list[str], lines: Iterable[str]) -> None:
    names = [column] if isinstance(column, str) else column
    context.writer.lines([plain_column(name) for name in names], ([line] for line in lines))


def _fits(name: str, pattern: str | None) -> bool:
    """Hive's patterns: `*` for anything, `|` between alternatives; Athena takes regexes too."""
    if pattern is None:
        return True
    try:
        return any(
            re.fullmatch(re.sub(r"(?<!\.)\*", ".*", one), name, re.IGNORECASE) is not None
            for one in pattern.split("|")
        )
    except re.error as error:
        raise failure(
            f"SemanticException the pattern '{pattern}' cannot be read: {error}"
        ) from None


@run.register
def _(statement: ddl.ShowList, context: QueryContext) -> None:
    if statement.what == "DATABASES":
        names = sorted(one["Name"] for one in context.glue.databases())
        _answer(context, "database_name", (one for one in names if _fits(one, statement.pattern)))
        return
    tables = context.glue.tables(statement.database or context.database)
    only_views = statement.what == "VIEWS"
    names = sorted(one["Name"] for one in tables if is_view(one) or not only_views)
    column = "views" if only_views else "tab_name"
    _answer(context, column, (one for one in names if _fits(one, statement.pattern)))


@run.register
def _(statement: ddl.ShowTable, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    if statement.what == "COLUMNS":
        _answer(context, "field", (f"{name:<20}" for name, _, _ in _columns(table)))
    elif statement.what == "PARTITIONS":
        keys = [one["Name"] for one in table.get("PartitionKeys", [])]
        if is_iceberg(table) or not keys:
            raise failure(f"SemanticException Table {table['Name']} is not a partitioned table")
        found = sorted(
            "/".join(f"{key}={value}" for key, value in zip(keys, one["Values"], strict=True))
            for one in context.glue.partitions(statement.name)
        )
        _answer(context, "partition", found)
    elif statement.what == "TBLPROPERTIES":
        parameters = table.get("Parameters", {})
        if statement.key is not None:
            missing = f"Table {statement.name} does not have property: {statement.key}"
            _answer(context, "prpt_name", [parameters.get(statement.key, missing)])
        else:
            lines = [f"{key}\t{value}" for key, value in sorted(parameters.items())]
            _answer(context, ["prpt_name", "prpt_value"], lines)
    else:
        _answer(context, "createtab_stmt", _create_statement(statement, table))


@run.register
def _(statement: ddl.Describe, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    lines = [
        f"{name:<20}\t{hive_type:<20}\t{comment:<20}"
        for name, hive_type, comment in _columns(table)
    ]
    keys = table.get("PartitionKeys", [])
    if keys and not is_iceberg(table):
        lines += [
            "\t \t ",
            "# Partition Information\t \t ",
            f"{'# col_name':<20}\t{'data_type':<20}\t{'comment':<20}",
            "\t \t ",
            *(
                f"{one['Name']:<20}\t{one['Type']:<20}\t{one.get('Comment', ''):<20}"
                for one in keys
            ),
        ]
    if statement.extended:
        lines += ["\t \t ", f"Detailed Table Information\t{table}\t"]
    _answer(context, ["col_name", "data_type", "comment"], lines)


def _columns(table: GlueTable) -> list[tuple[str, str, str]]:
    """(name, type, comment) of columns and partition keys; an old column of Iceberg is none."""
    columns = table.get("StorageDescriptor", {}).get("Columns", [])
    return [
        (one["Name"], one.get("Type", ""), one.get("Comment", ""))
        for one in (*columns, *table.get("PartitionKeys", []))
        if one.get("Parameters", {}).get("iceberg.field.current") != "false"
    ]


def _create_statement(statement: ddl.ShowTable, table: GlueTable) -> list[str]:
    name = f"`{statement.name}`"
    if statement.what == "CREATE VIEW" or is_view(table):
        if not is_view(table):
            raise failure(f"SemanticException {statement.name} is not a view")
        query = view_definition(table).get("originalSql", "")
        return [f"CREATE VIEW {statement.name} AS", *query.splitlines()]
    iceberg = is_iceberg(table)
    kind = "TABLE" if iceberg else "EXTERNAL TABLE"
    storage = table["StorageDescriptor"]
    lines = [f"CREATE {kind} {name}("]
    columns = [one for one in _columns(table) if iceberg or one[0] not in _key_names(table)]
    for at, (column, hive_type, comment) in enumerate(columns):
        told = f" COMMENT '{comment}'" if comment else ""
        end = ")" if at == len(columns) - 1 else ", "
        lines.append(f"  `{column}` {hive_type}{told}{end}")
    keys = table.get("PartitionKeys", [])
    if keys and not iceberg:
        lines.append("PARTITIONED BY ( ")
        lines += [
            f"  `{one['Name']}` {one['Type']}{')' if at == len(keys) - 1 else ', '}"
            for at, one in enumerate(keys)
        ]
    if not iceberg:
        lines += _row_format(storage)
    lines += ["LOCATION", f"  '{storage.get('Location', '')}'", "TBLPROPERTIES ("]
    parameters = sorted(table.get("Parameters", {}).items())
    if iceberg:
        parameters = [("table_type", "iceberg")]
    else:
        parameters = [(key, value) for key, value in parameters if key != "EXTERNAL"]
    for at, (key, value) in enumerate(parameters):
        lines.append(f"  '{key}'='{value}'{')' if at == len(parameters) - 1 else ', '}")
    return lines


def _key_names(table: GlueTable) -> set[str]:
    return {one["Name"] for one in table.get("PartitionKeys", [])}


def _row_format(storage: dict[str, object]) -> list[str]:
    serde = storage.get("SerdeInfo")
    assert isinstance(serde, dict)
    lines = ["ROW FORMAT SERDE ", f"  '{serde['SerializationLibrary']}' "]
    named = sorted(serde.get("Parameters", {}).items())
    if named:
        lines.append("WITH SERDEPROPERTIES ( ")
        lines += [
            f"  '{key}'='{value}'{') ' if at == len(named) - 1 else ', '}"
            for at, (key, value) in enumerate(named)
        ]
    return [
        *lines,
        "STORED AS INPUTFORMAT ",
        f"  '{storage['InputFormat']}' ",
        "OUTPUTFORMAT ",
        f"  '{storage['OutputFormat']}'",
    ]

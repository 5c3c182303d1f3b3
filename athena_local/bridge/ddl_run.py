"""Runs Athena's DDL: Hive's part on Glue itself, as Athena does; Iceberg's part through Trino."""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any

from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.column_types import trino_type
from athena_local.bridge.context import QueryContext
from athena_local.bridge.ctas import ICEBERG, ICEBERG_PROPERTIES, property_map
from athena_local.bridge.errors import ErrorType, QueryFailedError
from athena_local.bridge.glue_tables import GlueTable, is_iceberg, is_view
from athena_local.bridge.names import TableName
from athena_local.bridge.storage import table_input
from athena_local.bridge.tokens import quote_name, quote_string


@singledispatch
def run(statement: Any, context: QueryContext) -> None:
    """Run one DDL statement that changes something.

    Raises:
        QueryFailedError: with Athena's reason.
    """
    raise NotImplementedError(type(statement).__name__)


def failure(message: str, error_type: ErrorType = ErrorType.DDL) -> QueryFailedError:
    """A refusal in the words of Hive's part of Athena."""
    return QueryFailedError(f"FAILED: {message}", type=error_type)


@run.register
def _(statement: ddl.CreateDatabase, context: QueryContext) -> None:
    if context.glue.database(statement.name) is not None:
        if statement.if_not_exists:
            return
        raise failure(
            "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
            f"Database {statement.name} already exists"
        )
    made: dict[str, Any] = {"Name": statement.name, "Parameters": statement.properties}
    if statement.comment is not None:
        made["Description"] = statement.comment
    if statement.location is not None:
        made["LocationUri"] = statement.location
    try:
        context.glue.create_database(made)
    except QueryFailedError as error:
        # Another query made it in the meantime.
        if not (statement.if_not_exists and error.name == "AlreadyExistsException"):
            raise


def _no_database(name: str) -> QueryFailedError:
    return failure(
        f"SemanticException [Error 10072]: Database does not exist: {name}", ErrorType.SCHEMA
    )


@run.register
def _(statement: ddl.DropDatabase, context: QueryContext) -> None:
    if context.glue.database(statement.name) is None:
        if statement.if_exists:
            return
        raise _no_database(statement.name)
    tables = list(context.glue.tables(statement.name))
    if tables and not statement.cascade:
        raise failure(
            "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
            f"InvalidOperationException(message:Database {statement.name} is not empty. "
            "One or more tables exist.)"
        )
    for table in tables:
        if is_iceberg(table):
            _drop_iceberg(TableName(statement.name, table["Name"]), context)
    context.glue.delete_database(statement.name)


@run.register
def _(statement: ddl.AlterDatabase, context: QueryContext) -> None:
    database = context.glue.database(statement.name)
    if database is None:
        raise _no_database(statement.name)
    context.glue.set_database_parameters(database, statement.properties)


@run.register
def _(statement: ddl.CreateTable, context: QueryContext) -> None:
    if context.glue.database(statement.name.database) is None:
        raise _no_database(statement.name.database)
    if context.glue.find(statement.name) is not None:
        if statement.if_not_exists:
            return
        raise failure(
            "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
            f"AlreadyExistsException(message:Table {statement.name.table} already exists)"
        )
    if statement.is_iceberg:
        _create_iceberg(statement, context)
        return
    if not statement.external:
        raise failure("SemanticException Only external tables can be created: add EXTERNAL")
    if not statement.location:
        raise failure("SemanticException table is missing location")
    if statement.transforms:
        raise failure("ParseException partition columns of a Hive table need a type")
    context.glue.create(statement.name.database, table_input(statement, int(time.time())))


def _create_iceberg(statement: ddl.CreateTable, context: QueryContext) -> None:
    if statement.external:
        raise failure("SemanticException Iceberg tables cannot be EXTERNAL")
    if not statement.location:
        raise failure("SemanticException Iceberg tables need a LOCATION")
    if statement.partitions:
        raise failure("SemanticException partitions of an Iceberg table are given without a type")
    columns = ", ".join(_iceberg_column(one) for one in statement.columns)
    options = {
        "location": quote_string(statement.location),
        "format": quote_string(statement.properties.get("format", "parquet").upper()),
    }
    if statement.transforms:
        fields = ", ".join(quote_string(one) for one in statement.transforms)
        options["partitioning"] = f"ARRAY[{fields}]"
    extra = _iceberg_properties(statement.properties)
    if extra:
        options["extra_properties"] = property_map(extra)
    comment = "" if statement.comment is None else f" COMMENT {quote_string(statement.comment)}"
    clause = ", ".join(f"{key} = {value}" for key, value in options.items())
    name = statement.name.in_catalog(ICEBERG)
    context.run(f"CREATE TABLE {name} ({columns}){comment} WITH ({clause})")


def _iceberg_properties(given: dict[str, str]) -> dict[str, str]:
    extra = {}
    for key, value in given.items():
        if key in ICEBERG_PROPERTIES:
            extra[key] = value
        elif key not in ("table_type", "format", "write_compression"):
            raise failure(f"SemanticException Unsupported table property key: {key}")
    return extra


def _iceberg_column(column: ddl.ColumnDef) -> str:
    comment = "" if column.comment is None else f" COMMENT {quote_string(column.comment)}"
    return f"{quote_name(column.name)} {trino_type(column.type)}{comment}"


@run.register
def _(statement: ddl.DropTable, context: QueryContext) -> None:
    table = context.glue.find(statement.name)
    if table is None:
        if statement.if_exists:
            return
        raise failure(
            f"SemanticException [Error 10001]: Table not found {statement.name.table}",
            ErrorType.SCHEMA,
        )
    if is_view(table):
        raise failure(
            f"SemanticException [Error 10126]: Cannot drop a view with DROP TABLE: {statement.name}"
        )
    if is_iceberg(table):
        _drop_iceberg(statement.name, context)
    else:
        context.glue.delete(statement.name)


def _drop_iceberg(name: TableName, context: QueryContext) -> None:
    """Drop an Iceberg table with its data."""
    context.run(f"DROP TABLE IF EXISTS {name.in_catalog(ICEBERG)}", catalog=ICEBERG)


def drop_view(name: TableName, if_exists: bool, context: QueryContext) -> None:
    """DROP VIEW."""
    table = context.glue.find(name)
    if table is None:
        if if_exists:
            return
        raise QueryFailedError(
            f"TABLE_NOT_FOUND: line 1:1: View 'awsdatacatalog.{name}' does not exist",
            type=ErrorType.SCHEMA,
        )
    if not is_view(table):
        raise QueryFailedError(f"TYPE_MISMATCH: line 1:1: 'awsdatacatalog.{name}' is not a view")
    context.glue.delete(name)


def _alter_iceberg(name: TableName, context: QueryContext, *clauses: str) -> None:
    for clause in clauses:
        context.run(f"ALTER TABLE {name.in_catalog(ICEBERG)} {clause}", catalog=ICEBERG)


def _only_iceberg(table: GlueTable, what: str) -> None:
    if not is_iceberg(table):
        raise failure(f"SemanticException {what} is supported for Iceberg tables only")


def _only_hive(table: GlueTable, what: str) -> None:
    if is_iceberg(table):
        raise failure(f"SemanticException {what} is not supported for Iceberg tables")


@run.register
def _(statement: ddl.AddColumns, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    if is_iceberg(table):
        clauses = [f"ADD COLUMN {_iceberg_column(one)}" for one in statement.columns]
        _alter_iceberg(statement.name, context, *clauses)
        return
    storage = table["StorageDescriptor"]
    names = [one["Name"] for one in (*storage["Columns"], *table.get("PartitionKeys", []))]
    for column in statement.columns:
        if column.name in names:
            raise failure(f"SemanticException Duplicate column name: {column.name}")
    added = [*storage["Columns"], *(one.for_glue() for one in statement.columns)]
    context.glue.replace(table, {"StorageDescriptor": {**storage, "Columns": added}})


@run.register
def _(statement: ddl.ReplaceColumns, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    _only_hive(table, "REPLACE COLUMNS")
    columns = [one.for_glue() for one in statement.columns]
    storage = {**table["StorageDescriptor"], "Columns": columns}
    context.glue.replace(table, {"StorageDescriptor": storage})


@run.register
def _(statement: ddl.DropColumn, context: QueryContext) -> None:
    _only_iceberg(context.glue.table(statement.name), "DROP COLUMN")
    _alter_iceberg(statement.name, context, f"DROP COLUMN {quote_name(statement.column)}")


@run.register
def _(statement: ddl.ChangeColumn, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    _only_iceberg(table, "CHANGE COLUMN")
    current = {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}
    if statement.column not in current:
        raise failure(f"SemanticException Invalid column reference {statement.column}")
    if statement.first or statement.after is not None:
        raise QueryFailedError(
            "NOT_SUPPORTED: CHANGE COLUMN … FIRST/AFTER is not supported by this bridge"
        )
    changed = statement.changed
    clauses = []
    if changed.name != statement.column:
        clauses.append(
            f"RENAME COLUMN {quote_name(statement.column)} TO {quote_name(changed.name)}"
        )
    if changed.type != current[statement.column]:
        clauses.append(
            f"ALTER COLUMN {quote_name(changed.name)} SET DATA TYPE {trino_type(changed.type)}"
        )
    _alter_iceberg(statement.name, context, *clauses)
    if changed.comment is not None:
        place = f"{statement.name.in_catalog(ICEBERG)}.{quote_name(changed.name)}"
        context.run(f"COMMENT ON COLUMN {place} IS {quote_string(changed.comment)}")


@run.register
def _(statement: ddl.SetProperties, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    if not is_iceberg(table):
        parameters = {**table.get("Parameters", {}), **statement.properties}
        context.glue.replace(table, {"Parameters": parameters})
        return
    clauses = []
    if "format" in statement.properties:
        clauses.append(f"format = {quote_string(statement.properties['format'].upper())}")
    extra = _iceberg_properties(statement.properties)
    if extra:
        clauses.append(f"extra_properties = {property_map(extra)}")
    if clauses:
        _alter_iceberg(statement.name, context, f"SET PROPERTIES {', '.join(clauses)}")


@run.register
def _(statement: ddl.UnsetProperties, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    _only_hive(table, "UNSET TBLPROPERTIES")
    kept = {
        key: value
        for key, value in table.get("Parameters", {}).items()
        if key not in statement.keys
    }
    context.glue.replace(table, {"Parameters": kept})


@run.register
def _(statement: ddl.RenameTable, context: QueryContext) -> None:
    _only_iceberg(context.glue.table(statement.name), "RENAME TO")
    _alter_iceberg(statement.name, context, f"RENAME TO {statement.target.in_catalog(ICEBERG)}")

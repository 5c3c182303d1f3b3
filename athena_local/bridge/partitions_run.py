"""Runs what concerns partitions of Hive tables: ADD, DROP, RENAME, SET LOCATION, MSCK REPAIR."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlparse

from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.context import QueryContext
from athena_local.bridge.ddl_run import failure, run
from athena_local.bridge.glue_tables import GlueTable, is_iceberg
from athena_local.bridge.values import plain_column


def _keys(table: GlueTable) -> list[str]:
    keys = [one["Name"] for one in table.get("PartitionKeys", [])]
    if is_iceberg(table) or not keys:
        raise failure(f"SemanticException table is not partitioned: {table['Name']}")
    return keys


def _values(table: GlueTable, spec: dict[str, str]) -> list[str]:
    keys = _keys(table)
    if set(keys) != set(spec):
        raise failure(
            f"SemanticException partition spec {spec} does not name the keys {keys} exactly"
        )
    return [spec[key] for key in keys]


def _partition(table: GlueTable, values: list[str], location: str | None) -> dict[str, Any]:
    storage = table["StorageDescriptor"]
    names = [one["Name"] for one in table["PartitionKeys"]]
    folder = "/".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
    place = location or f"{storage['Location'].rstrip('/')}/{folder}"
    return {"Values": values, "StorageDescriptor": {**storage, "Location": place}}


@run.register
def _(statement: ddl.AddPartitions, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    made = [
        _partition(table, _values(table, spec), location) for spec, location in statement.partitions
    ]
    context.glue.add_partitions(statement.name, made, may_exist=statement.if_not_exists)


@run.register
def _(statement: ddl.DropPartitions, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    for spec in statement.partitions:
        context.glue.delete_partition(
            statement.name, _values(table, spec), may_miss=statement.if_exists
        )


@run.register
def _(statement: ddl.RenamePartition, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    values = _values(table, statement.partition)
    for partition in context.glue.partitions(statement.name):
        if partition["Values"] == values:
            place = partition["StorageDescriptor"]["Location"]
            changed = _partition(table, _values(table, statement.target), place)
            context.glue.update_partition(statement.name, values, changed)
            return
    raise failure(f"SemanticException partition not found: {statement.partition}")


@run.register
def _(statement: ddl.SetLocation, context: QueryContext) -> None:
    table = context.glue.table(statement.name)
    if statement.partition is not None:
        values = _values(table, statement.partition)
        changed = _partition(table, values, statement.location)
        context.glue.update_partition(statement.name, values, changed)
        return
    if is_iceberg(table):
        raise failure("SemanticException SET LOCATION is not supported for Iceberg tables")
    storage = {**table["StorageDescriptor"], "Location": statement.location.rstrip("/")}
    context.glue.replace(table, {"StorageDescriptor": storage})


@run.register
def _(statement: ddl.RepairTable, context: QueryContext) -> None:
    """Register the `key=value` folders below the table's place that Glue does not know yet."""
    table = context.glue.table(statement.name)
    keys = _keys(table)
    known = {tuple(one["Values"]) for one in context.glue.partitions(statement.name)}
    found = _folders(context, table["StorageDescriptor"]["Location"], keys)
    missing = [one for one in found if one not in known]
    context.glue.add_partitions(
        statement.name,
        [_partition(table, list(values), None) for values in missing],
        may_exist=True,
    )
    lines = []
    if missing:
        names = [_name(keys, values) for values in missing]
        shown = "\t".join(f"{statement.name.table}:{name}" for name in names)
        lines.append(f"Partitions not in metastore:\t{shown}")
        lines += [
            f"Repair: Added partition to metastore {statement.name.table}:{name}" for name in names
        ]
    context.writer.lines([plain_column("result")], ([line] for line in lines))


def _name(keys: list[str], values: tuple[str, ...]) -> str:
    return "/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))


def _folders(context: QueryContext, location: str, keys: list[str]) -> list[tuple[str, ...]]:
    parsed = urlparse(location)
    levels: list[tuple[str, tuple[str, ...]]] = [(parsed.path.strip("/") + "/", ())]
    paginator = context.s3.get_paginator("list_objects_v2")
    for key in keys:
        below = []
        for prefix, values in levels:
            for page in paginator.paginate(Bucket=parsed.netloc, Prefix=prefix, Delimiter="/"):
                for folder in page.get("CommonPrefixes", []):
                    name = folder["Prefix"][len(prefix) :].rstrip("/")
                    column, equals, value = name.partition("=")
                    if equals and column.lower() == key:
                        below.append((folder["Prefix"], (*values, unquote(value))))
        levels = below
    return [values for _, values in levels]

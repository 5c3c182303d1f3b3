"""Registers in AWS Glue what Athena reads of a lake. The catalogue follows; it decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from synapse.athena.bronze_tables import BronzeTable
from synapse.errors import SynapseError

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError as missing:
    raise SynapseError(
        "The athena target needs packages of its own: pip install 'synapse-lakehouse[athena]'"
    ) from missing

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import ColumnTypeDef, TableInputTypeDef

_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


def register(
    tables: Iterable[BronzeTable], location: str, prefix: str, datasets: Iterable[str] = ()
) -> list[str]:
    """Make the tables, and their databases, where they are not; return the names of new tables.

    datasets: databases that are made though they have no table yet; dbt's catalogue asks for each.
    location: the lake's, s3://bucket/prefix. prefix: what the names of all Glue databases of the
    deployment begin with. Raises SynapseError where Glue cannot be reached or refuses.
    """
    try:
        return _register(boto3.client("glue"), tables, location, prefix, datasets)
    except (BotoCoreError, ClientError) as error:
        raise SynapseError(
            f"AWS Glue did not take the tables of bronze ({error}): check AWS_REGION, the "
            "credentials, and that they may create databases and tables that begin with "
            f"{prefix!r} (SYNAPSE_SCHEMA_PREFIX)"
        ) from error


def _register(
    glue: GlueClient,
    tables: Iterable[BronzeTable],
    location: str,
    prefix: str,
    datasets: Iterable[str],
) -> list[str]:
    known = {
        name: _tables_of(glue, name) for name in sorted({f"{prefix}{one}" for one in datasets})
    }
    new = []
    for table in tables:
        database = f"{prefix}{table.database}"
        if database not in known:
            known[database] = _tables_of(glue, database)
        wanted = table_input(table, location)
        there = known[database].get(table.name)
        if there is None:
            glue.create_table(DatabaseName=database, TableInput=wanted)
            new.append(f"{database}.{table.name}")
        elif not _is_same(there, wanted):
            # A column was declared, or the lake was moved.
            glue.update_table(DatabaseName=database, TableInput=wanted)
    return new


def _tables_of(glue: GlueClient, database: str) -> dict[str, Any]:
    """The tables of a database by name; the database is made where it is missing."""
    try:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
        return {table["Name"]: table for page in pages for table in page["TableList"]}
    except glue.exceptions.EntityNotFoundException:
        glue.create_database(DatabaseInput={"Name": database})
        return {}


def _is_same(there: dict[str, Any], wanted: TableInputTypeDef) -> bool:
    def told(table: Any) -> Any:
        storage = table["StorageDescriptor"]
        return (
            [(column["Name"], column["Type"]) for column in storage["Columns"]],
            storage["Location"],
            {
                name: value
                for name, value in table["Parameters"].items()
                if name.startswith(("projection.", "storage."))
            },
        )

    return bool(told(there) == told(wanted))


def table_input(table: BronzeTable, location: str) -> TableInputTypeDef:
    """The table as Glue wants it; location: the lake's, s3://bucket/prefix."""
    folder = f"{location}/{table.location}/"
    parameters = {"classification": "parquet", "EXTERNAL": "TRUE"}
    partitions: list[ColumnTypeDef] = []
    if table.day_folder and table.day_format:
        partitions = [{"Name": "landed_day", "Type": "string"}]
        parameters |= {
            "projection.enabled": "true",
            "projection.landed_day.type": "date",
            "projection.landed_day.format": table.day_format,
            "projection.landed_day.range": table.days,
            "projection.landed_day.interval": "1",
            "projection.landed_day.interval.unit": "DAYS",
            "storage.location.template": f"{folder}{table.day_folder}",
        }
    return {
        "Name": table.name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": partitions,
        "StorageDescriptor": {
            "Columns": [{"Name": name, "Type": kind} for name, kind in table.columns],
            "Location": folder,
            "InputFormat": _INPUT,
            "OutputFormat": _OUTPUT,
            "SerdeInfo": {"SerializationLibrary": _SERDE},
        },
    }

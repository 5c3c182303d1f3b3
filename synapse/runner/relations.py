"""Which tables and views a warehouse holds at this moment, whatever the target."""

from __future__ import annotations

from collections.abc import Collection

from synapse.runner.context import connect_warehouse
from synapse.settings import Settings


def existing_relations(settings: Settings, schemas: Collection[str]) -> set[tuple[str, str]]:
    """(schema, name) of what is there in these schemas, in lower case."""
    if settings.target == "athena":
        import boto3

        from synapse.athena.iceberg_tables import glue_tables

        found = glue_tables(boto3.client("glue"), sorted(schemas))
        return {(database.lower(), table["Name"].lower()) for database, table in found}
    if not settings.warehouse.is_file():
        return set()
    with connect_warehouse(settings.warehouse, read_only=True) as connection:
        rows = connection.execute(
            "select lower(table_schema), lower(table_name) from information_schema.tables"
        ).fetchall()
    return {(schema, name) for schema, name in rows if schema in schemas}

"""Glue's tables and databases, as Athena's DDL reads and writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from athena_local.bridge.errors import Category, ErrorType, QueryFailedError
from athena_local.bridge.names import TableName

GlueTable = dict[str, Any]
GlueDatabase = dict[str, Any]

# What GetTable tells beyond what UpdateTable takes.
_READ_ONLY = frozenset(
    {"CatalogId", "CreateTime", "CreatedBy", "DatabaseName", "FederatedTable", "IsMultiDialectView"}
    | {"IsRegisteredWithLakeFormation", "Status", "UpdateTime", "VersionId"}
    | {"IsMaterializedView"}
)
_PRESTO_VIEW = "/* Presto View: "


def is_iceberg(table: GlueTable) -> bool:
    """Whether Athena would read this table with Iceberg."""
    return str(table.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG"


def is_view(table: GlueTable) -> bool:
    """Whether this is a view."""
    return table.get("TableType") == "VIRTUAL_VIEW"


def view_definition(table: GlueTable) -> dict[str, Any]:
    """The definition that Trino and Athena keep with a view, or {} where it is another's."""
    text = str(table.get("ViewOriginalText", ""))
    if not text.startswith(_PRESTO_VIEW):
        return {}
    loaded: dict[str, Any] = json.loads(
        base64.b64decode(text[len(_PRESTO_VIEW) :].removesuffix(" */"))
    )
    return loaded


class GlueCatalog:
    """Glue through boto3; its errors become Athena's."""

    def __init__(self, client: Any) -> None:
        self._glue = client

    def database(self, name: str) -> GlueDatabase | None:
        """A database, or None."""
        try:
            found: GlueDatabase = self._glue.get_database(Name=name)["Database"]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return found

    def databases(self) -> Iterator[GlueDatabase]:
        """All databases."""
        for page in self._glue.get_paginator("get_databases").paginate():
            yield from page["DatabaseList"]

    def create_database(self, database_input: dict[str, Any]) -> None:
        """Make a database."""
        self._call("create_database", DatabaseInput=database_input)

    def set_database_parameters(self, database: GlueDatabase, parameters: dict[str, str]) -> None:
        """Add to the parameters of a database."""
        kept = {
            key: database[key] for key in ("Name", "Description", "LocationUri") if key in database
        }
        merged = {**database.get("Parameters", {}), **parameters}
        self._call(
            "update_database", Name=database["Name"], DatabaseInput={**kept, "Parameters": merged}
        )

    def delete_database(self, name: str) -> None:
        """Drop a database with what is registered in it."""
        self._call("delete_database", Name=name)

    def find(self, name: TableName) -> GlueTable | None:
        """A table or view, or None."""
        try:
            found: GlueTable = self._glue.get_table(DatabaseName=name.database, Name=name.table)[
                "Table"
            ]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return found

    def table(self, name: TableName) -> GlueTable:
        """A table or view.

        Raises:
            QueryFailedError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise QueryFailedError(
                f"FAILED: SemanticException [Error 10001]: Table not found {name}",
                type=ErrorType.SCHEMA,
                name="TABLE_NOT_FOUND",
            )
        return found

    def tables(self, database: str) -> Iterator[GlueTable]:
        """All tables and views of a database.

        Raises:
            QueryFailedError: there is no such database.
        """
        if self.database(database) is None:
            raise QueryFailedError(
                f"FAILED: SemanticException [Error 10072]: Database does not exist: {database}",
                type=ErrorType.SCHEMA,
                name="SCHEMA_NOT_FOUND",
            )
        for page in self._glue.get_paginator("get_tables").paginate(DatabaseName=database):
            yield from page["TableList"]

    def create(self, database: str, table_input: dict[str, Any]) -> None:
        """Register a table."""
        self._call("create_table", DatabaseName=database, TableInput=table_input)

    def replace(self, table: GlueTable, changes: dict[str, Any]) -> None:
        """Change members of a table that was read with `table`; one that changed since is kept."""
        kept = {key: value for key, value in table.items() if key not in _READ_ONLY}
        version = {"VersionId": table["VersionId"]} if table.get("VersionId") else {}
        self._call(
            "update_table",
            DatabaseName=table["DatabaseName"],
            TableInput={**kept, **changes},
            **version,
        )

    def delete(self, name: TableName) -> None:
        """Forget a table; its data stays."""
        self._call("delete_table", DatabaseName=name.database, Name=name.table)

    def partitions(self, name: TableName) -> Iterator[dict[str, Any]]:
        """All partitions of a table."""
        paginator = self._glue.get_paginator("get_partitions")
        for page in paginator.paginate(DatabaseName=name.database, TableName=name.table):
            yield from page["Partitions"]

    def add_partitions(
        self, name: TableName, partitions: list[dict[str, Any]], *, may_exist: bool
    ) -> None:
        """Register partitions."""
        for at in range(0, len(partitions), 100):
            answer = self._call(
                "batch_create_partition",
                DatabaseName=name.database,
                TableName=name.table,
                PartitionInputList=partitions[at : at + 100],
            )
            for error in answer.get("Errors", []):
                detail = error["ErrorDetail"]
                if detail["ErrorCode"] == "AlreadyExistsException" and may_exist:
                    continue
                raise QueryFailedError(
                    "FAILED: Execution Error, return code 1 from "
                    "org.apache.hadoop.hive.ql.exec.DDLTask. "
                    f"{detail['ErrorCode']}: {detail['ErrorMessage']} {error['PartitionValues']}",
                    type=ErrorType.DDL,
                )

    def delete_partition(self, name: TableName, values: list[str], *, may_miss: bool) -> None:
        """Forget a partition."""
        try:
            self._glue.delete_partition(
                DatabaseName=name.database, TableName=name.table, PartitionValues=values
            )
        except self._glue.exceptions.EntityNotFoundException as error:
            if not may_miss:
                raise _ddl_failure(error) from error

    def update_partition(self, name: TableName, values: list[str], change: dict[str, Any]) -> None:
        """Replace the definition of a partition."""
        self._call(
            "update_partition",
            DatabaseName=name.database,
            TableName=name.table,
            PartitionValueList=values,
            PartitionInput=change,
        )

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._glue, operation)(**arguments)
        except ClientError as error:
            raise _ddl_failure(error) from error
        return answer


def _ddl_failure(error: ClientError) -> QueryFailedError:
    """Glue's refusal as Hive's part of Athena reports it."""
    detail = error.response["Error"]
    code, message = detail.get("Code", "Unknown"), detail.get("Message", "")
    return QueryFailedError(
        "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
        f"{code}: {message}",
        Category.USER,
        ErrorType.DDL,
        name=code,
    )

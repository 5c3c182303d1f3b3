"""The operations of Athena's API: a request's members in, an answer's members out.

https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from athena_local.bridge import prepared, results
from athena_local.bridge.context import QueryContext
from athena_local.bridge.ctas import HIVE
from athena_local.bridge.errors import ApiError
from athena_local.bridge.executions import Executions
from athena_local.bridge.glue_tables import GlueCatalog, GlueTable
from athena_local.bridge.names import TableName
from athena_local.bridge.results import ResultWriter
from athena_local.bridge.statements import Statement, StatementKind, bind, classify
from athena_local.bridge.store import Document, Store
from athena_local.bridge.trino_engine import Trino
from athena_local.bridge.workgroups import PRIMARY, Workgroups

Request = dict[str, Any]
Reply = dict[str, Any]
T = TypeVar("T")

# https://docs.aws.amazon.com/athena/latest/ug/service-limits.html: in UTF-8 bytes.
_LONGEST_QUERY = 262_144
_PREPARED = "prepared"
# Members of the stored document that only GetQueryResults tells.
_INTERNAL = frozenset({"Columns", "UpdateCount"})


@dataclass
class Services:
    """What the operations work with."""

    store: Store
    executions: Executions
    workgroups: Workgroups
    trino: Trino
    glue: GlueCatalog
    s3: Any


class Operations:
    """One method for each operation of the API, named as it is."""

    def __init__(self, services: Services) -> None:
        self._at = services

    def call(self, name: str, request: Request) -> Reply:
        """Run the operation `name`.

        Raises:
            ApiError: it is unknown here, or refused.
        """
        operation = _OPERATIONS.get(name)
        if operation is None:
            raise ApiError(
                f"Athena's operation {name} is not supported by this bridge",
                code="UnknownOperationException",
            )
        return operation(self, request)

    # Queries

    def start_query_execution(self, request: Request) -> Reply:
        """StartQueryExecution."""
        sql = _text(request, "QueryString")
        if len(sql.encode()) > _LONGEST_QUERY:
            raise ApiError(
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_LONGEST_QUERY}",
                athena_code="INVALID_INPUT",
            )
        workgroup = request.get("WorkGroup") or PRIMARY
        settings = self._at.workgroups.settings(
            workgroup, request.get("ResultConfiguration", {}).get("OutputLocation")
        )
        statement = self._bound(classify(sql), workgroup, request.get("ExecutionParameters", []))
        asked = request.get("QueryExecutionContext", {})
        database = (asked.get("Database") or "default").lower()
        catalog = (asked.get("Catalog") or HIVE).lower()
        document: Document = {
            "Query": sql,
            "QueryExecutionContext": {"Catalog": catalog, "Database": database},
            "WorkGroup": workgroup,
        }
        if request.get("ExecutionParameters"):
            document["ExecutionParameters"] = request["ExecutionParameters"]

        def context(query_id: str, rows: Path) -> QueryContext:
            return QueryContext(
                query_id=query_id,
                database=database,
                output_location=settings.output_location,
                trino=self._at.trino,
                glue=self._at.glue,
                s3=self._at.s3,
                writer=ResultWriter(rows),
                bytes_cutoff=settings.bytes_cutoff,
                catalog=catalog,
            )

        token = request.get("ClientRequestToken")
        return {"QueryExecutionId": self._at.executions.start(statement, document, context, token)}

    def _bound(self, statement: Statement, workgroup: str, parameters: list[str]) -> Statement:
        """The statement that really runs: prepared ones looked up, parameters in place."""
        if statement.kind is StatementKind.EXECUTE:
            execute = prepared.read_execute(statement)
            values = execute.values or parameters
            sql = self._prepared(workgroup, execute.name)["QueryStatement"]
            return classify(bind(sql, values))
        if statement.kind is StatementKind.PREPARE:
            prepare = prepared.read_prepare(statement)
            classify(prepare.sql)
            self._keep_prepared(workgroup, prepare.name, prepare.sql, "")
            return statement
        if statement.kind is StatementKind.DEALLOCATE:
            name = prepared.read_deallocate(statement)
            self._prepared(workgroup, name)
            self._at.store.delete(_PREPARED, f"{workgroup}/{name}")
            return statement
        return classify(bind(statement.text, parameters)) if parameters else statement

    def get_query_execution(self, request: Request) -> Reply:
        """GetQueryExecution."""
        return {"QueryExecution": self._shown(_text(request, "QueryExecutionId"))}

    def _shown(self, query_id: str) -> Document:
        found = self._at.executions.get(query_id)
        return {key: value for key, value in found.items() if key not in _INTERNAL}

    def batch_get_query_execution(self, request: Request) -> Reply:
        """BatchGetQueryExecution."""
        found, missing = [], []
        for query_id in request["QueryExecutionIds"]:
            try:
                found.append(self._shown(query_id))
            except ApiError as error:
                missing.append(
                    {
                        "QueryExecutionId": query_id,
                        "ErrorCode": error.athena_code,
                        "ErrorMessage": error.message,
                    }
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def list_query_executions(self, request: Request) -> Reply:
        """ListQueryExecutions: newest first."""
        workgroup = request.get("WorkGroup") or PRIMARY
        self._at.workgroups.get(workgroup)
        before = int(request["NextToken"]) if request.get("NextToken") else None
        limit = int(request.get("MaxResults") or 50)
        found, after = self._at.executions.newest(workgroup, limit, before)
        reply: Reply = {"QueryExecutionIds": found}
        return reply if after is None else {**reply, "NextToken": str(after)}

    def get_query_results(self, request: Request) -> Reply:
        """GetQueryResults: a page of rows, the first of a SELECT being its header."""
        query_id = _text(request, "QueryExecutionId")
        document = self._at.executions.get(query_id)
        state = document["Status"]["State"]
        if state != "SUCCEEDED":
            raise ApiError(
                f"Query did not finish successfully. Final query state: {state}"
                if state in ("FAILED", "CANCELLED")
                else f"Query has not yet finished. Current state: {state}",
                athena_code="INVALID_QUERY_EXECUTION_STATE",
            )
        size = int(request.get("MaxResults") or results.PAGE_ROWS)
        if not 1 <= size <= results.PAGE_ROWS:
            raise ApiError(
                f"MaxResults is more than maximum allowed length {results.PAGE_ROWS}.",
                athena_code="INVALID_INPUT",
            )
        path = self._at.executions.rows_path(query_id)
        rows, token = results.page(path, request.get("NextToken"), size)
        reply: Reply = {
            "ResultSet": {
                "Rows": rows,
                "ResultSetMetadata": {"ColumnInfo": document.get("Columns", [])},
            }
        }
        if document.get("UpdateCount") is not None:
            reply["UpdateCount"] = document["UpdateCount"]
        return reply if token is None else {**reply, "NextToken": token}

    def get_query_runtime_statistics(self, request: Request) -> Reply:
        """GetQueryRuntimeStatistics: the timeline and the bytes, without the plan."""
        document = self._at.executions.get(_text(request, "QueryExecutionId"))
        known = document["Statistics"]
        timeline = {key: known[key] for key in known if key.endswith("InMillis")}
        read = {"InputBytes": known["DataScannedInBytes"]}
        return {"QueryRuntimeStatistics": {"Timeline": timeline, "Rows": read}}

    def stop_query_execution(self, request: Request) -> Reply:
        """StopQueryExecution."""
        self._at.executions.stop(_text(request, "QueryExecutionId"))
        return {}

    # Workgroups

    def get_work_group(self, request: Request) -> Reply:
        """GetWorkGroup."""
        return {"WorkGroup": self._at.workgroups.get(_text(request, "WorkGroup"))}

    def list_work_groups(self, request: Request) -> Reply:
        """ListWorkGroups."""
        summaries = [
            {
                **{key: one[key] for key in ("Name", "State", "Description", "CreationTime")},
                "EngineVersion": one["Configuration"]["EngineVersion"],
            }
            for one in self._at.workgroups.all()
        ]
        return _paged(summaries, request, "WorkGroups")

    def create_work_group(self, request: Request) -> Reply:
        """CreateWorkGroup."""
        self._at.workgroups.create(
            _text(request, "Name"), request.get("Description", ""), request.get("Configuration", {})
        )
        return {}

    def update_work_group(self, request: Request) -> Reply:
        """UpdateWorkGroup."""
        self._at.workgroups.update(
            _text(request, "WorkGroup"),
            request.get("Description"),
            request.get("State"),
            request.get("ConfigurationUpdates", {}),
        )
        return {}

    def delete_work_group(self, request: Request) -> Reply:
        """DeleteWorkGroup."""
        self._at.workgroups.delete(_text(request, "WorkGroup"))
        return {}

    # Prepared statements

    def _key(self, workgroup: str, name: str) -> str:
        return f"{workgroup}/{name}"

    def _prepared(self, workgroup: str, name: str) -> Document:
        found = self._at.store.get(_PREPARED, self._key(workgroup, name))
        if found is None:
            raise ApiError(
                f"PreparedStatement {name} was not found in workGroup {workgroup}",
                code="ResourceNotFoundException",
            )
        return found

    def _keep_prepared(self, workgroup: str, name: str, sql: str, description: str) -> None:
        self._at.workgroups.get(workgroup)
        document = {
            "StatementName": name,
            "QueryStatement": sql,
            "WorkGroupName": workgroup,
            "Description": description,
            "LastModifiedTime": time.time(),
        }
        self._at.store.put(_PREPARED, self._key(workgroup, name), document)

    def create_prepared_statement(self, request: Request) -> Reply:
        """CreatePreparedStatement."""
        workgroup, name = _text(request, "WorkGroup"), _text(request, "StatementName")
        if self._at.store.get(_PREPARED, self._key(workgroup, name)) is not None:
            raise ApiError(f"PreparedStatement {name} already exists in workGroup {workgroup}")
        self._keep_prepared(
            workgroup, name, _text(request, "QueryStatement"), request.get("Description", "")
        )
        return {}

    def update_prepared_statement(self, request: Request) -> Reply:
        """UpdatePreparedStatement."""
        workgroup, name = _text(request, "WorkGroup"), _text(request, "StatementName")
        known = self._prepared(workgroup, name)
        description = str(request.get("Description", known["Description"]))
        self._keep_prepared(workgroup, name, _text(request, "QueryStatement"), description)
        return {}

    def get_prepared_statement(self, request: Request) -> Reply:
        """GetPreparedStatement."""
        found = self._prepared(_text(request, "WorkGroup"), _text(request, "StatementName"))
        return {"PreparedStatement": found}

    def list_prepared_statements(self, request: Request) -> Reply:
        """ListPreparedStatements."""
        workgroup = _text(request, "WorkGroup")
        self._at.workgroups.get(workgroup)
        found = [
            {key: one[key] for key in ("StatementName", "LastModifiedTime")}
            for one in self._at.store.all(_PREPARED)
            if one["WorkGroupName"] == workgroup
        ]
        return _paged(found, request, "PreparedStatements")

    def delete_prepared_statement(self, request: Request) -> Reply:
        """DeletePreparedStatement."""
        workgroup, name = _text(request, "WorkGroup"), _text(request, "StatementName")
        self._prepared(workgroup, name)
        self._at.store.delete(_PREPARED, self._key(workgroup, name))
        return {}

    # The catalog

    def get_data_catalog(self, request: Request) -> Reply:
        """GetDataCatalog: Glue's is the only one."""
        name = _text(request, "Name")
        if name.lower() != HIVE:
            raise ApiError(f"DataCatalog {name} was not found")
        return {
            "DataCatalog": {
                "Name": name,
                "Type": "GLUE",
                "Parameters": {"catalog-id": "123456789012"},
                "Status": "CREATE_COMPLETE",
            }
        }

    def list_data_catalogs(self, request: Request) -> Reply:
        """ListDataCatalogs."""
        found = [{"CatalogName": "AwsDataCatalog", "Type": "GLUE", "Status": "CREATE_COMPLETE"}]
        return _paged(found, request, "DataCatalogsSummary")

    def get_database(self, request: Request) -> Reply:
        """GetDatabase."""
        name = _text(request, "DatabaseName")
        found = self._at.glue.database(name)
        if found is None:
            raise ApiError(f"Database {name} not found", code="MetadataException")
        return {"Database": _database(found)}

    def list_databases(self, request: Request) -> Reply:
        """ListDatabases."""
        found = [_database(one) for one in self._at.glue.databases()]
        return _paged(found, request, "DatabaseList")

    def get_table_metadata(self, request: Request) -> Reply:
        """GetTableMetadata."""
        name = TableName(_text(request, "DatabaseName"), _text(request, "TableName"))
        found = self._at.glue.find(name)
        if found is None:
            raise ApiError(f"Table {name.table} not found", code="MetadataException")
        return {"TableMetadata": _metadata(found)}

    def list_table_metadata(self, request: Request) -> Reply:
        """ListTableMetadata."""
        found = [_metadata(one) for one in self._at.glue.tables(_text(request, "DatabaseName"))]
        return _paged(found, request, "TableMetadataList")


def _text(request: Request, member: str) -> str:
    value = request.get(member)
    if not isinstance(value, str) or not value:
        raise ApiError(f"{member} is required.", athena_code="INVALID_INPUT")
    return value


def _paged(found: Sequence[T], request: Request, member: str) -> Reply:
    start = int(request.get("NextToken") or 0)
    end = start + int(request.get("MaxResults") or 50)
    reply: Reply = {member: list(found[start:end])}
    return reply if end >= len(found) else {**reply, "NextToken": str(end)}


def _database(database: dict[str, Any]) -> Reply:
    return {
        "Name": database["Name"],
        "Description": database.get("Description", ""),
        "Parameters": database.get("Parameters", {}),
    }


def _metadata(table: GlueTable) -> Reply:
    def columns(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {key: one[key] for key in ("Name", "Type", "Comment") if key in one} for one in given
        ]

    return {
        "Name": table["Name"],
        "TableType": table.get("TableType", ""),
        "Columns": columns(table.get("StorageDescriptor", {}).get("Columns", [])),
        "PartitionKeys": columns(table.get("PartitionKeys", [])),
        "Parameters": table.get("Parameters", {}),
    }


_OPERATIONS: dict[str, Callable[[Operations, Request], Reply]] = {
    "BatchGetQueryExecution": Operations.batch_get_query_execution,
    "CreatePreparedStatement": Operations.create_prepared_statement,
    "CreateWorkGroup": Operations.create_work_group,
    "DeletePreparedStatement": Operations.delete_prepared_statement,
    "DeleteWorkGroup": Operations.delete_work_group,
    "GetDataCatalog": Operations.get_data_catalog,
    "GetDatabase": Operations.get_database,
    "GetPreparedStatement": Operations.get_prepared_statement,
    "GetQueryExecution": Operations.get_query_execution,
    "GetQueryResults": Operations.get_query_results,
    "GetQueryRuntimeStatistics": Operations.get_query_runtime_statistics,
    "GetTableMetadata": Operations.get_table_metadata,
    "GetWorkGroup": Operations.get_work_group,
    "ListDataCatalogs": Operations.list_data_catalogs,
    "ListDatabases": Operations.list_databases,
    "ListPreparedStatements": Operations.list_prepared_statements,
    "ListQueryExecutions": Operations.list_query_executions,
    "ListTableMetadata": Operations.list_table_metadata,
    "ListWorkGroups": Operations.list_work_groups,
    "StartQueryExecution": Operations.start_query_execution,
    "StopQueryExecution": Operations.stop_query_execution,
    "UpdatePreparedStatement": Operations.update_prepared_statement,
    "UpdateWorkGroup": Operations.update_work_group,
}

"""Queries of the tests, sent as any client of Athena sends them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import boto3

STAGING = "s3://synapse-athena-staging"
DATA = "s3://synapse-data"


@dataclass
class Result:
    """A query that is over, with its first page of rows."""

    execution: dict[str, Any]
    columns: list[tuple[str, str]]
    rows: list[list[str | None]]
    update_count: int | None

    @property
    def values(self) -> list[list[str | None]]:
        """The rows without the header of a SELECT."""
        return self.rows[1:]

    @property
    def bytes_scanned(self) -> int:
        """What it read from storage."""
        return int(self.execution["Statistics"]["DataScannedInBytes"])


class QueryError(Exception):
    """A query that did not succeed."""

    def __init__(self, execution: dict[str, Any]) -> None:
        super().__init__(execution["Status"].get("StateChangeReason"))
        self.execution = execution


class Client:
    """Queries as any client of Athena sends them."""

    def __init__(self, environment: dict[str, str], database: str) -> None:
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        self.athena = session.client("athena", endpoint_url=environment["AWS_ENDPOINT_URL_ATHENA"])
        self.s3 = session.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
        self.glue = session.client("glue", endpoint_url=environment["AWS_ENDPOINT_URL_GLUE"])
        self.database = database

    def start(self, sql: str, **arguments: Any) -> str:
        """Submit a query; returns its id."""
        request = {
            "QueryString": sql,
            "QueryExecutionContext": {"Catalog": "awsdatacatalog", "Database": self.database},
            "ResultConfiguration": {"OutputLocation": f"{STAGING}/tests/"},
            **arguments,
        }
        return str(self.athena.start_query_execution(**request)["QueryExecutionId"])

    def wait(self, query_id: str) -> dict[str, Any]:
        """Wait for the end of a query; returns it as the API describes it."""
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return dict(execution)
            time.sleep(0.05)

    def run(self, sql: str, **arguments: Any) -> Result:
        """Run a query to its end."""
        execution = self.wait(self.start(sql, **arguments))
        if execution["Status"]["State"] != "SUCCEEDED":
            raise QueryError(execution)
        page = self.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        return Result(
            execution=execution,
            columns=[(one["Name"], one["Type"]) for one in columns],
            rows=[
                [datum.get("VarCharValue") for datum in row["Data"]]
                for row in page["ResultSet"]["Rows"]
            ],
            update_count=page.get("UpdateCount"),
        )

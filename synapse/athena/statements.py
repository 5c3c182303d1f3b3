"""Statements that we send to Athena ourselves, besides dbt's."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synapse.athena.deployment import target_schema
from synapse.athena.executions import NO_NODE, as_query, athena_client, workgroup
from synapse.cost.ledger import FINAL_STATES, Query
from synapse.errors import SynapseError

if TYPE_CHECKING:
    from mypy_boto3_athena.client import AthenaClient

_POLL_SECONDS = 0.25
_ASK_SECONDS = 60.0
# https://docs.aws.amazon.com/athena/latest/ug/vacuum-statement.html: run again until it is gone.
_MORE = "MORE_RUNS_NEEDED"
_ROUNDS = 100


class StatementError(SynapseError):
    """A statement that did not succeed, with Athena's reason."""


@dataclass
class Sender:
    """Sends statements and keeps what the cost ledger needs of each.

    run_id: what their costs are booked on. database: they are sent in.
    """

    client: AthenaClient
    run_id: str
    database: str
    sent: list[Query] = field(default_factory=list)

    def send(self, sql: str, node_id: str, within: float = math.inf) -> str:
        """Run a statement to its end; returns its id. within: seconds.

        Raises StatementError unless it succeeds in that time; what is still at work is cancelled.
        """
        deadline = time.monotonic() + within
        started = self.client.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Catalog": "awsdatacatalog", "Database": self.database},
            WorkGroup=workgroup(),
            ResultConfiguration={"OutputLocation": _staging()},
        )
        query_id = started["QueryExecutionId"]
        while True:
            execution = self.client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            status = execution["Status"]
            if status["State"] in FINAL_STATES:
                break
            if time.monotonic() > deadline:
                self.client.stop_query_execution(QueryExecutionId=query_id)
                raise StatementError(f"{sql}: still {status['State']} after {within:g} s")
            time.sleep(_POLL_SECONDS)
        self.sent.append(as_query(execution, self.run_id, node_id))
        if status["State"] != "SUCCEEDED":
            raise StatementError(f"{sql}: {status.get('StateChangeReason', status['State'])}")
        return query_id


def ask(sql: str, run_id: str = "") -> list[tuple[str | None, ...]]:
    """Rows of a small query, as the texts that Athena gives.

    run_id: which run it is booked on. Raises StatementError unless it succeeds within a minute.
    """
    client = athena_client()
    query_id = Sender(client, run_id, target_schema()).send(sql, NO_NODE, _ASK_SECONDS)
    pages = client.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
    rows = [row for page in pages for row in page["ResultSet"]["Rows"]]
    # The first row holds the columns' names.
    return [tuple(field.get("VarCharValue") for field in row["Data"]) for row in rows[1:]]


def until_done(send: Callable[[], object]) -> int:
    """Send a statement until Athena no longer asks for another run of it; returns how often.

    Raises StatementError for any other failure, and when there is no end to it.
    """
    for rounds in range(1, _ROUNDS + 1):
        try:
            send()
        except StatementError as error:
            if _MORE not in str(error):
                raise
            continue
        return rounds
    raise StatementError(f"Athena still asks for more runs after {_ROUNDS}")


def _staging() -> str:
    place = os.environ.get("SYNAPSE_ATHENA_STAGING")
    if not place:
        raise SynapseError(
            "SYNAPSE_ATHENA_STAGING is not set: give the S3 prefix for the results of queries"
        )
    return place

"""Which queries of an Athena workgroup are ours, read from Athena itself.

Nothing that dbt-athena sends is missed so: temporary tables, batches, tests, retries, failures.
A query of ours says in a comment which run and node it belongs to (macros/ops/query_comment.sql).
dbt-athena puts no comment on ALTER, DROP, OPTIMIZE, VACUUM and MSCK: those are known by the
database that they were sent in and the run that was at work.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from botocore.config import Config

from synapse.cost.ledger import Query
from synapse.runner.clock import naive_utc

if TYPE_CHECKING:
    from mypy_boto3_athena.client import AthenaClient
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef

_COMMENT = re.compile(r"-- /\* (\{.*?\}) \*/")
_WITHOUT_COMMENT = re.compile(r"\s*(alter|drop|optimize|vacuum|msck)\b", re.IGNORECASE)
# What BatchGetQueryExecution takes.
_BATCH = 50
# Athena allows five of these calls a second; the client waits by itself.
_RETRIES = Config(retries={"mode": "adaptive", "max_attempts": 10})
# A statement that the adapter sends without saying for which model.
NO_NODE = "(not told)"


@dataclass(frozen=True)
class Span:
    """When a run was at work (naive UTC); to: None while it still is."""

    run_id: str
    since: datetime
    to: datetime | None


def athena_client() -> AthenaClient:
    """A client that keeps to Athena's request rates."""
    return boto3.client("athena", config=_RETRIES)


def workgroup() -> str:
    """The workgroup that the profile names."""
    return os.environ.get("SYNAPSE_ATHENA_WORKGROUP") or "primary"


def executions(client: AthenaClient, since: datetime) -> Iterator[QueryExecutionTypeDef]:
    """The workgroup's queries that were submitted at `since` (naive UTC) or later.

    Athena lists the newest first, so reading ends with a whole page of older ones.
    """
    pages = client.get_paginator("list_query_executions").paginate(
        WorkGroup=workgroup(), PaginationConfig={"PageSize": _BATCH}
    )
    for page in pages:
        found = list(describe(client, page.get("QueryExecutionIds", [])))
        recent = [one for one in found if _submitted_at(one) >= since]
        yield from recent
        if found and not recent:
            return


def describe(client: AthenaClient, ids: Iterable[str]) -> Iterator[QueryExecutionTypeDef]:
    """Queries by id; those that Athena has forgotten (after 45 days) are left out."""
    wanted = list(ids)
    for begin in range(0, len(wanted), _BATCH):
        some = wanted[begin : begin + _BATCH]
        answer = client.batch_get_query_execution(QueryExecutionIds=some)
        yield from answer.get("QueryExecutions", [])
        for left in answer.get("UnprocessedQueryExecutionIds", []):
            # Forgotten, or refused for a reason that passes: asked by itself, one can tell.
            with contextlib.suppress(client.exceptions.InvalidRequestException):
                query_id = left.get("QueryExecutionId", "")
                yield client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]


def ours(
    found: Iterable[QueryExecutionTypeDef], spans: Iterable[Span], database: str
) -> Iterator[Query]:
    """Of these queries those that this deployment sent, each with its run and node.

    spans: the runs of its state store. database: dbt's target schema. A query of dbt outside any
    run belongs to that invocation of dbt.
    """
    known = list(spans)
    runs = {span.run_id for span in known}
    for execution in found:
        said = comment(execution.get("Query", ""))
        if said is not None:
            run_id = said.get("run_id") or f"dbt-{said.get('invocation_id')}"
            if said.get("run_id") in runs or (
                not said.get("run_id") and said.get("deployment") == database
            ):
                yield as_query(execution, str(run_id), str(said.get("node_id") or NO_NODE))
            continue
        if _WITHOUT_COMMENT.match(execution.get("Query", "")) is None:
            continue
        if execution.get("QueryExecutionContext", {}).get("Database") != database:
            continue
        moment = _submitted_at(execution)
        for span in known:
            if span.since <= moment and (span.to is None or moment <= span.to):
                yield as_query(execution, span.run_id, NO_NODE)
                break


def comment(sql: str) -> dict[str, Any] | None:
    """What the query's comment says, where it is one of ours."""
    found = _COMMENT.search(sql)
    if found is None:
        return None
    try:
        said = orjson.loads(found[1])
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) and said.get("app") == "synapse" else None


def as_query(execution: QueryExecutionTypeDef, run_id: str, node_id: str) -> Query:
    """A query for the ledger."""
    ended = execution["Status"].get("CompletionDateTime")
    return Query(
        query_id=execution["QueryExecutionId"],
        run_id=run_id,
        node_id=node_id,
        statement=execution.get("StatementType", ""),
        substatement=execution.get("SubstatementType", ""),
        state=execution["Status"]["State"],
        scanned_bytes=execution.get("Statistics", {}).get("DataScannedInBytes", 0),
        submitted_at=_submitted_at(execution),
        ended_at=None if ended is None else naive_utc(ended),
    )


def _submitted_at(execution: QueryExecutionTypeDef) -> datetime:
    return naive_utc(execution["Status"]["SubmissionDateTime"])

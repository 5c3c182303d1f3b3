"""AWS Glue's catalogue as AWS behaves, in front of moto's: versions, statistics, partitions."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from athena_local.column_statistics import ColumnStatistics, Owner

_TARGET = "AWSGlue."
_REGION = re.compile(r"Credential=[^/]+/[0-9]+/(?P<region>[^/]+)/")
# They belong to one connection, or are written anew with the body.
_OF_THE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_MISSING = "EntityNotFoundException"


class GlueFront:
    """Hands Glue's requests on to moto, and answers what moto does not or not as AWS.

    - UpdateTable with a VersionId that is no longer the table's is refused with
      ConcurrentModificationException: this is how commits of Iceberg tables conflict.
    - Column statistics of tables and partitions, which moto lacks.
    - GetPartitions with an empty Expression means all partitions.
    - There are no user-defined functions: moto does not know the question.
    """

    def __init__(self, moto: str) -> None:
        """Stand in front of the moto at this URL."""
        self._client = httpx.AsyncClient(
            base_url=moto, timeout=None, limits=httpx.Limits(max_connections=64), trust_env=False
        )
        self._statistics = ColumnStatistics()
        self._locks: WeakValueDictionary[Owner, asyncio.Lock] = WeakValueDictionary()
        self._answers: dict[str, Callable[[_Call], Awaitable[Response]]] = {
            "UpdateTable": self._update_table,
            "CreateTable": self._create_table,
            "DeleteTable": self._delete_table,
            "CreatePartition": self._create_partitions,
            "BatchCreatePartition": self._create_partitions,
            "GetPartitions": self._get_partitions,
            "GetUserDefinedFunction": self._no_function,
            "GetUserDefinedFunctions": self._no_functions,
            "UpdateColumnStatisticsForTable": self._put_statistics,
            "UpdateColumnStatisticsForPartition": self._put_statistics,
            "GetColumnStatisticsForTable": self._get_statistics,
            "GetColumnStatisticsForPartition": self._get_statistics,
            "DeleteColumnStatisticsForTable": self._delete_statistics,
            "DeleteColumnStatisticsForPartition": self._delete_statistics,
        }

    def app(self) -> Starlette:
        """The ASGI application; GET /health answers when it serves."""

        @contextlib.asynccontextmanager
        async def life(_app: Starlette) -> AsyncIterator[None]:
            yield
            await self._client.aclose()

        async def health(_request: Request) -> Response:
            return Response("ready")

        return Starlette(
            routes=[
                Route("/health", health),
                Route("/{path:path}", self._answer, methods=["GET", "POST", "PUT", "DELETE"]),
            ],
            lifespan=life,
        )

    async def _answer(self, request: Request) -> Response:
        call = _Call(self._client, request, await request.body())
        try:
            answer = self._answers.get(call.operation)
            return await (answer(call) if answer else call.hand_on())
        except httpx.TransportError as error:
            return _error(
                "InternalServiceException",
                f"moto does not answer at {self._client.base_url}: {error!r}",
                status=500,
            )

    def _lock(self, call: _Call) -> asyncio.Lock:
        # Held weakly: a lock lives as long as somebody waits for it.
        return self._locks.setdefault(call.table, asyncio.Lock())

    async def _update_table(self, call: _Call) -> Response:
        expected = call.body.get("VersionId")
        async with self._lock(call):
            if expected is not None:
                found = await call.ask("GetTable", Name=call.table.table)
                if found.status_code == 200:
                    current = json.loads(bytes(found.body))["Table"]["VersionId"]
                    if str(expected) != current:
                        return _error(
                            "ConcurrentModificationException",
                            f"Update table failed due to concurrent modifications: version "
                            f"{expected} of {call.table.database}.{call.table.table} was to be "
                            f"replaced, its version is {current}.",
                        )
            return await call.hand_on()

    async def _create_table(self, call: _Call) -> Response:
        async with self._lock(call):
            made = await call.hand_on()
            if made.status_code == 200:
                self._statistics.forget(call.table)
            return made

    async def _delete_table(self, call: _Call) -> Response:
        async with self._lock(call):
            return await call.hand_on()

    async def _create_partitions(self, call: _Call) -> Response:
        inputs = call.body.get("PartitionInputList") or [call.body.get("PartitionInput") or {}]
        made = await call.hand_on()
        refused = json.loads(bytes(made.body) or b"{}").get("Errors") or []
        there_before = [error.get("PartitionValues") for error in refused]
        for each in inputs:
            values = each.get("Values", [])
            if made.status_code == 200 and values not in there_before:
                self._statistics.forget(call.partition(values))
        return made

    async def _get_partitions(self, call: _Call) -> Response:
        if call.body.get("Expression") == "":
            return await call.hand_on(without="Expression")
        return await call.hand_on()

    async def _no_function(self, call: _Call) -> Response:
        return _error(_MISSING, f"Function {call.body.get('FunctionName')} not found.")

    async def _no_functions(self, _call: _Call) -> Response:
        return _json({"UserDefinedFunctions": []})

    async def _owner(self, call: _Call) -> Owner | Response:
        """Whose statistics are asked about; an answer where there is no such owner."""
        values = call.body.get("PartitionValues")
        if call.operation.endswith("Partition"):
            found = await call.ask(
                "GetPartition", TableName=call.table.table, PartitionValues=values
            )
            owner = call.partition(values or [])
        else:
            found = await call.ask("GetTable", Name=call.table.table)
            owner = call.table
        return owner if found.status_code == 200 else found

    async def _put_statistics(self, call: _Call) -> Response:
        owner = await self._owner(call)
        if isinstance(owner, Response):
            return owner
        self._statistics.put(owner, call.body.get("ColumnStatisticsList", []))
        return _json({"Errors": []})

    async def _get_statistics(self, call: _Call) -> Response:
        owner = await self._owner(call)
        if isinstance(owner, Response):
            return owner
        found, missing = self._statistics.get(owner, call.body.get("ColumnNames", []))
        errors = [
            {
                "ColumnName": name,
                "Error": {"ErrorCode": _MISSING, "ErrorMessage": f"No statistics of {name}."},
            }
            for name in missing
        ]
        return _json({"ColumnStatisticsList": found, "Errors": errors})

    async def _delete_statistics(self, call: _Call) -> Response:
        owner = await self._owner(call)
        if isinstance(owner, Response):
            return owner
        # Trino takes a refusal here for a missing table, so there is none where none were kept.
        self._statistics.delete(owner, str(call.body.get("ColumnName")))
        return _json({})


class _Call:
    """One request to Glue."""

    def __init__(self, client: httpx.AsyncClient, request: Request, content: bytes) -> None:
        self._client = client
        self._request = request
        self._content = content
        self._headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _OF_THE_CONNECTION
        }
        target = request.headers.get("x-amz-target", "")
        self.operation = target.removeprefix(_TARGET) if target.startswith(_TARGET) else ""
        self.body: dict[str, Any] = json.loads(content or b"{}") if self.operation else {}

    @property
    def table(self) -> Owner:
        """The table that the request is about. Names have no case in Glue."""
        scope = _REGION.search(self._request.headers.get("authorization", ""))
        name = (
            self.body.get("TableName")
            or self.body.get("Name")
            or (self.body.get("TableInput") or {}).get("Name", "")
        )
        return Owner(
            scope["region"] if scope else "",
            str(self.body.get("DatabaseName", "")).lower(),
            str(name).lower(),
        )

    def partition(self, values: list[str]) -> Owner:
        """A partition of the table."""
        table = self.table
        return Owner(table.region, table.database, table.table, tuple(values))

    async def hand_on(self, without: str | None = None) -> Response:
        """Moto's answer to the request, as it is or without one of its fields."""
        content = self._content
        if without is not None:
            content = json.dumps({k: v for k, v in self.body.items() if k != without}).encode()
        return await self._send(self._headers, content)

    async def ask(self, operation: str, **fields: Any) -> Response:
        """Moto's answer to another question about the same database."""
        headers = {**self._headers, "x-amz-target": _TARGET + operation}
        body = {"DatabaseName": self.body.get("DatabaseName"), **fields}
        return await self._send(headers, json.dumps(body).encode())

    async def _send(self, headers: dict[str, str], content: bytes) -> Response:
        answer = await self._client.request(
            self._request.method,
            httpx.URL(path=self._request.url.path, query=self._request.url.query.encode()),
            headers=headers,
            content=content,
        )
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in {*_OF_THE_CONNECTION, "content-encoding"}
        }
        return Response(answer.content, answer.status_code, kept)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/x-amz-json-1.1")


def _error(kind: str, message: str, status: int = 400) -> Response:
    return _json({"__type": kind, "Message": message}, status)


def main() -> None:
    """Serve on a port of this machine until stopped."""
    parser = argparse.ArgumentParser(prog="python -m athena_local.glue_front")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--moto", required=True, help="URL of the moto server")
    arguments = parser.parse_args()
    uvicorn.run(
        GlueFront(arguments.moto).app(),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        # A client of AWS keeps its connections for minutes: closing one as it is used again
        # would look like a fault of the network.
        timeout_keep_alive=600,
    )


if __name__ == "__main__":
    main()

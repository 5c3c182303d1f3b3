"""Athena's HTTP side: AWS JSON 1.1, the operation in a header, errors in AWS's shape."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from athena_local.bridge.errors import ApiError, QueryFailedError
from athena_local.bridge.operations import Operations

_TARGET = "AmazonAthena."
_MEDIA_TYPE = "application/x-amz-json-1.1"
_log = logging.getLogger(__name__)


def application(operations: Operations) -> Starlette:
    """The ASGI application."""

    async def athena(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        body = await request.body()
        return await run_in_threadpool(answer, operations, target, body)

    async def health(_: Request) -> Response:
        return Response("ok")

    return Starlette(
        routes=[Route("/health", health), Route("/", athena, methods=["POST"])],
    )


def answer(operations: Operations, target: str, body: bytes) -> Response:
    """Answer one call of the API, whatever becomes of it."""
    try:
        if not target.startswith(_TARGET):
            raise ApiError(
                f"X-Amz-Target '{target}' is not one of Athena's operations",
                code="UnknownOperationException",
            )
        try:
            members = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError as error:
            raise ApiError(
                f"The body is not JSON: {error}", code="SerializationException"
            ) from None
        return _json(operations.call(target.removeprefix(_TARGET), members), 200)
    except ApiError as error:
        return _error(error)
    except QueryFailedError as error:
        return _error(ApiError(error.reason, code="MetadataException"))
    except Exception as error:
        _log.exception("%s", target)
        return _error(
            ApiError(
                f"the bridge failed: {type(error).__name__}: {error}",
                code="InternalServerException",
            )
        )


def _error(error: ApiError) -> Response:
    body: dict[str, Any] = {"__type": error.code, "Message": error.message}
    if error.athena_code is not None:
        body["AthenaErrorCode"] = error.athena_code
    return _json(body, error.status)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type=_MEDIA_TYPE)

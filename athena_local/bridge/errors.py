"""Errors in AWS's shapes: refused requests, and queries that fail once they run.

The categories and types are those of Athena's error catalog
(https://docs.aws.amazon.com/athena/latest/ug/error-reference.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from trino.exceptions import TrinoQueryError


class Category(IntEnum):
    """Whose fault a failed query is."""

    SYSTEM = 1
    USER = 2
    OTHER = 3


class ErrorType(IntEnum):
    """The types of the catalog that this bridge tells apart."""

    EXHAUSTED = 0
    ENGINE = 200
    METASTORE = 204
    TIMEOUT = 206
    ICEBERG = 233
    RESULTS = 401
    USER = 1000
    DATA = 1001
    DDL = 1003
    SCHEMA = 1006


class ApiError(Exception):
    """A request that the API refuses; becomes an HTTP answer with `__type` and `Message`."""

    def __init__(
        self, message: str, *, code: str = "InvalidRequestException", athena_code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.athena_code = athena_code
        self.status = 500 if code == "InternalServerException" else 400


@dataclass
class QueryFailedError(Exception):
    """A query that was accepted and failed: its `StateChangeReason` and `AthenaError`."""

    reason: str
    category: Category = Category.USER
    type: ErrorType = ErrorType.USER
    retryable: bool = False
    name: str = "USER_ERROR"

    def __str__(self) -> str:
        return self.reason

    def as_athena_error(self) -> dict[str, object]:
        """The `AthenaError` member of a query's status."""
        return {
            "ErrorCategory": int(self.category),
            "ErrorType": int(self.type),
            "Retryable": self.retryable,
            "ErrorMessage": self.reason,
        }


class QueryCancelledError(Exception):
    """A query that was stopped, by its user or by a limit of its workgroup."""


def _types(name: str, trino_type: str) -> tuple[Category, ErrorType]:
    if name.startswith("ICEBERG_"):
        return (
            Category.USER if trino_type == "USER_ERROR" else Category.SYSTEM,
            ErrorType.ICEBERG,
        )
    if name in ("TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "COLUMN_NOT_FOUND", "TYPE_MISMATCH"):
        return Category.USER, ErrorType.SCHEMA
    if name in ("HIVE_METASTORE_ERROR",):
        return Category.SYSTEM, ErrorType.METASTORE
    if name.startswith("HIVE_") and trino_type != "USER_ERROR":
        return Category.USER, ErrorType.DATA
    if trino_type == "INSUFFICIENT_RESOURCES":
        return Category.USER, ErrorType.EXHAUSTED
    if name == "EXCEEDED_TIME_LIMIT":
        return Category.USER, ErrorType.TIMEOUT
    if trino_type == "USER_ERROR":
        return Category.USER, ErrorType.USER
    return Category.SYSTEM, ErrorType.ENGINE


def from_trino(error: TrinoQueryError) -> QueryFailedError:
    """What Athena says where Trino says `error`: the name, then the message with its place."""
    name = str(error.error_name)
    trino_type = str(error.error_type)
    category, kind = _types(name, trino_type)
    message = str(error.message)
    # A statement that cannot be parsed carries no name in Athena's answer either.
    unparsed = name == "SYNTAX_ERROR" and ("mismatched input" in message or "extraneous" in message)
    return QueryFailedError(
        reason=message if unparsed else f"{name}: {message}",
        category=category,
        type=kind,
        retryable=name == "ICEBERG_COMMIT_ERROR" or category is Category.SYSTEM,
        name=name,
    )


def unsupported(what: str) -> ApiError:
    """The refusal of a statement that neither Athena nor this bridge runs, naming it."""
    return ApiError(f"Queries of this type are not supported: {what}", athena_code="UNSUPPORTED")

"""Which errors may pass by themselves: the engine's and the network's, never the data's or ours."""

from __future__ import annotations

import re
from enum import StrEnum


class ErrorClass(StrEnum):
    """Errors that may pass by themselves. What is wrong with data or code is in none of them."""

    throttled = "throttled"
    locked = "locked"
    network = "network"


# What these words come with fails again: it is read first.
_FOR_GOOD = re.compile(
    r"compilation error|parsing error|conversion error|binder error|parser error|catalog error|"
    r"constraint error|syntax_error|type_mismatch|column_not_found|table_not_found|"
    r"configured to fail|accessdenied|access denied|not authorized",
    re.IGNORECASE,
)
_PASSING = {
    ErrorClass.throttled: re.compile(
        r"throttl|slow ?down|rate exceeded|toomanyrequests|too many requests|"
        r"requestlimitexceeded|resources at this scale factor|status(?: code)?:? 429",
        re.IGNORECASE,
    ),
    ErrorClass.locked: re.compile(
        r"could not set lock on file|conflicting lock|open in another process|"
        r"database is locked|iceberg_commit_error|commitfailed|concurrentmodification|"
        r"transactioncontext error: conflict|failed to commit.*conflict",
        re.IGNORECASE,
    ),
    ErrorClass.network: re.compile(
        r"connection (?:reset|refused|aborted|timed out|closed)|connecttimeout|readtimeout|"
        r"read timed out|endpointconnectionerror|could not connect to|name resolution|"
        r"name or service not known|server closed the connection|serviceunavailable|"
        r"service unavailable|internalservererror|generic_internal_error|state store .* cannot",
        re.IGNORECASE,
    ),
}


def error_class(message: str) -> ErrorClass | None:
    """The class of an error by its text; None for one that would come again."""
    if _FOR_GOOD.search(message):
        return None
    return next((name for name, pattern in _PASSING.items() if pattern.search(message)), None)

"""The life of a query: QUEUED, RUNNING, then SUCCEEDED, FAILED or CANCELLED."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from athena_local.bridge import query_run, results
from athena_local.bridge.context import QueryContext
from athena_local.bridge.errors import (
    ApiError,
    Category,
    ErrorType,
    QueryCancelledError,
    QueryFailedError,
)
from athena_local.bridge.statements import Statement, StatementKind
from athena_local.bridge.store import Document, Store
from athena_local.bridge.workgroups import ENGINE_VERSION

# As many queries as Athena runs for a new account; the rest waits.
_AT_ONCE = 20
# A query that needs less than this is over when its id is returned, so the first poll finds it
# done: clients wait a second between polls.
_ANSWER_WITHIN_SECONDS = 0.2
# Trino tells syntax errors before it runs anything; the API refuses those at once. Its very first
# query takes long on a busy machine; whatever parses goes on as soon as it does.
_PARSED_WITHIN_SECONDS = 30.0
_STOPPED_WITHIN_SECONDS = 5.0
_KIND = "execution"
_log = logging.getLogger(__name__)


@dataclass
class Execution:
    """One query from submission to its end."""

    id: str
    statement: Statement
    document: Document
    context: QueryContext
    submitted: float = field(default_factory=time.time)
    progressed: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    unparsed: str | None = None

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self.document["Status"]["State"])


class Executions:
    """All queries: those that run in memory, all of them in the store."""

    def __init__(self, store: Store, folder: Path, s3: Any) -> None:
        self._store = store
        self._folder = folder
        self._s3 = s3
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="query")
        self._running: dict[str, Execution] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        for document in store.all(_KIND):
            # What ran when an earlier bridge died will never end by itself.
            if document["Status"]["State"] in ("QUEUED", "RUNNING"):
                document["Status"] |= {
                    "State": "FAILED",
                    "StateChangeReason": "INTERNAL_ERROR: the bridge was restarted",
                }
                store.put(_KIND, document["QueryExecutionId"], document)

    def rows_path(self, query_id: str) -> Path:
        """Where the rows of a query are kept."""
        return self._folder / f"{query_id}.ndjson"

    def start(
        self,
        statement: Statement,
        document: Document,
        make_context: Callable[[str, Path], QueryContext],
        token: str | None,
    ) -> str:
        """Submit a query; returns its id, the same for a repeated `token`.

        Raises:
            ApiError: Trino cannot parse the statement.
        """
        with self._lock:
            known = self._tokens.get(token) if token else None
            if known is not None:
                if known[1] != document["Query"]:
                    raise ApiError("Idempotent parameters do not match")
                return known[0]
            query_id = str(uuid.uuid4())
            if token:
                self._tokens[token] = (query_id, document["Query"])
        context = make_context(query_id, self.rows_path(query_id))
        suffix = ".csv" if statement.kind is StatementKind.SELECT else ".txt"
        now = time.time()
        document |= {
            "QueryExecutionId": query_id,
            "StatementType": statement.kind.statement_type,
            "SubstatementType": statement.kind.subtype,
            "ResultConfiguration": {
                "OutputLocation": f"{context.output_location}{query_id}{suffix}"
            },
            "ResultReuseConfiguration": {
                "ResultReuseByAgeConfiguration": {"Enabled": False, "MaxAgeInMinutes": 0}
            },
            "Status": {"State": "QUEUED", "SubmissionDateTime": now},
            "Statistics": _statistics(context, 0.0),
            "EngineVersion": ENGINE_VERSION,
        }
        execution = Execution(query_id, statement, document, context, submitted=now)
        context.on_progress = lambda: self._progress(execution)
        self._running[query_id] = execution
        self._store.put(_KIND, query_id, document)
        self._pool.submit(self._run, execution)
        execution.progressed.wait(_PARSED_WITHIN_SECONDS)
        execution.finished.wait(_ANSWER_WITHIN_SECONDS)
        if execution.unparsed is not None:
            self._store.delete(_KIND, query_id)
            raise ApiError(execution.unparsed, athena_code="MALFORMED_INPUT")
        return query_id

    def get(self, query_id: str) -> Document:
        """A query in the API's shape.

        Raises:
            ApiError: there is none of that id.
        """
        running = self._running.get(query_id)
        found = running.document if running else self._store.get(_KIND, query_id)
        if found is None:
            raise ApiError(
                f"QueryExecution {query_id} was not found",
                athena_code="QUERY_EXECUTION_NOT_FOUND",
            )
        return found

    def stop(self, query_id: str) -> None:
        """Cancel a query; one that is over stays as it is."""
        running = self._running.get(query_id)
        if running is None:
            self.get(query_id)
            return
        running.context.stop()
        running.finished.wait(_STOPPED_WITHIN_SECONDS)

    def newest(
        self, workgroup: str, limit: int, before: int | None
    ) -> tuple[list[str], int | None]:
        """Ids of a workgroup's queries, newest first, and where to go on."""
        found: list[str] = []
        while len(found) < limit:
            batch = self._store.newest(_KIND, limit, before)
            if not batch:
                return found, None
            for number, key, document in batch:
                before = number
                if document["WorkGroup"] == workgroup:
                    found.append(key)
                    if len(found) == limit:
                        break
        return found, before

    def close(self) -> None:
        """Stop every query."""
        for execution in list(self._running.values()):
            execution.context.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _progress(self, execution: Execution) -> None:
        if not execution.progressed.is_set():
            execution.progressed.set()
            execution.document["Status"]["State"] = "RUNNING"

    def _run(self, execution: Execution) -> None:
        status = {"State": "SUCCEEDED"}
        began = time.time()
        context = execution.context
        try:
            self._execute(execution)
        except QueryCancelledError:
            reason = (
                "Query cancelled! : Bytes scanned limit was exceeded"
                if context.over_cutoff
                else "Query cancelled by user"
            )
            status = {"State": "CANCELLED", "StateChangeReason": reason}
        except ApiError as error:
            execution.unparsed = error.message
            status = _failure(QueryFailedError(error.message))
        except QueryFailedError as error:
            if error.name == "SYNTAX_ERROR" and not error.reason.startswith("SYNTAX_ERROR"):
                execution.unparsed = error.reason
            status = _failure(error)
        except Exception as error:
            _log.exception("query %s", execution.id)
            internal = QueryFailedError(
                f"INTERNAL_ERROR: the bridge failed: {type(error).__name__}: {error}",
                Category.SYSTEM,
                ErrorType.ENGINE,
            )
            status = _failure(internal)
        finally:
            with contextlib.suppress(OSError):
                context.writer.close()
        document = execution.document
        document["Statistics"] = _statistics(context, time.time() - began)
        queued = int((began - execution.submitted) * 1000)
        document["Statistics"]["QueryQueueTimeInMillis"] += queued
        document["UpdateCount"] = context.update_count
        document["Columns"] = context.writer.column_info
        document["Status"] = {
            **document["Status"],
            **status,
            "CompletionDateTime": time.time(),
        }
        self._store.put(_KIND, execution.id, document)
        self._running.pop(execution.id, None)
        execution.progressed.set()
        execution.finished.set()

    def _execute(self, execution: Execution) -> None:
        context = execution.context
        query_run.run(execution.statement, context)
        if (
            context.bytes_cutoff is not None
            and context.scan.physical_bytes > context.bytes_cutoff
            and execution.statement.kind is StatementKind.SELECT
        ):
            context.over_cutoff = True
            raise QueryCancelledError
        context.writer.close()
        configuration = execution.document["ResultConfiguration"]
        if context.output is not None:
            configuration["OutputLocation"] = context.output
        else:
            self._publish(execution, configuration["OutputLocation"])

    def _publish(self, execution: Execution, location: str) -> None:
        """Write the result where the client asked for it."""
        context = execution.context
        parsed = urlparse(location)
        bucket, key = parsed.netloc, parsed.path.lstrip("/")
        shown = context.writer.path.with_suffix(".out")
        write = (
            results.write_csv
            if execution.statement.kind is StatementKind.SELECT
            else results.write_text
        )
        write(context.writer.path, shown)
        try:
            self._s3.upload_file(str(shown), bucket, key)
            if context.writer.column_info:
                self._s3.put_object(
                    Bucket=bucket,
                    Key=f"{key}.metadata",
                    Body=results.metadata_file(execution.id, context.writer.column_info),
                )
        except Exception as error:
            raise QueryFailedError(
                f"FAILED: Unable to write the result to {location}: {error}",
                Category.USER,
                ErrorType.RESULTS,
            ) from error
        finally:
            shown.unlink()


def _failure(error: QueryFailedError) -> dict[str, Any]:
    return {
        "State": "FAILED",
        "StateChangeReason": error.reason,
        "AthenaError": error.as_athena_error(),
    }


def _statistics(context: QueryContext, seconds: float) -> dict[str, Any]:
    scan = context.scan
    total = int(seconds * 1000)
    found: dict[str, Any] = {
        "EngineExecutionTimeInMillis": min(scan.elapsed_ms, total) or total,
        "DataScannedInBytes": scan.physical_bytes,
        "TotalExecutionTimeInMillis": total,
        "QueryQueueTimeInMillis": scan.queued_ms,
        "QueryPlanningTimeInMillis": scan.planning_ms,
        "ServicePreProcessingTimeInMillis": 0,
        "ServiceProcessingTimeInMillis": max(0, total - scan.elapsed_ms),
        "ResultReuseInformation": {"ReusedPreviousResult": False},
    }
    if context.manifest is not None:
        found["DataManifestLocation"] = context.manifest
    return found

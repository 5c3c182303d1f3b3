"""What dbt says of each node, as far as it is kept: nothing that can quote what people wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from synapse.runner.clock import naive_utc


@dataclass(frozen=True)
class NodeOutcome:
    """How one model, test, seed or snapshot of an invocation ended.

    model, column: what a test judges, where it judges one. failures: rows that a test found, as
    dbt counts them. rows_affected: where the adapter tells. started_at: naive UTC.
    """

    unique_id: str
    resource_type: str
    name: str
    status: str
    started_at: datetime
    milliseconds: int
    rows_affected: int | None = None
    failures: int | None = None
    severity: str | None = None
    model: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class SourceAge:
    """How old a source was. age, warn_after, error_after: seconds; moments: naive UTC.

    max_loaded_at, age: None where dbt could not tell (status runtime error).
    """

    unique_id: str
    source: str
    status: str
    checked_at: datetime
    max_loaded_at: datetime | None = None
    age: int | None = None
    warn_after: int | None = None
    error_after: int | None = None


_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


def node_outcomes(results: Any, now: datetime) -> tuple[NodeOutcome | SourceAge, ...]:
    """What dbt's result objects say; operations and hooks are left out.

    now: naive UTC, for a node that never began.
    """
    return tuple(
        _source_age(one, now) if _is_source(one) else _outcome(one, now)
        for one in results
        if hasattr(one, "node") and str(one.node.resource_type) != "operation"
    )


def _is_source(result: Any) -> bool:
    return str(getattr(result.node, "resource_type", "")) == "source"


def _outcome(result: Any, now: datetime) -> NodeOutcome:
    node = result.node
    kind = str(node.resource_type)
    began = [timing.started_at for timing in result.timing if timing.started_at is not None]
    is_test = kind == "test"
    return NodeOutcome(
        unique_id=node.unique_id,
        resource_type=kind,
        name=node.name,
        status=str(result.status),
        started_at=naive_utc(min(began)) if began else now,
        milliseconds=round(result.execution_time * 1000),
        rows_affected=_rows(result.adapter_response),
        failures=result.failures if is_test else None,
        severity=str(node.config.severity).lower() if is_test else None,
        model=_judged(node) if is_test else None,
        column=getattr(node, "column_name", None) if is_test else None,
    )


def _judged(node: Any) -> str | None:
    """The model of a test; of one that reads several and hangs on none, nothing."""
    attached = getattr(node, "attached_node", None)
    read = [attached] if attached else list(node.depends_on.nodes)
    return read[0].split(".")[-1] if len(read) == 1 else None


def _rows(response: Any) -> int | None:
    found = (response or {}).get("rows_affected")
    # dbt-duckdb and some statements of others say -1 where they cannot tell.
    return found if isinstance(found, int) and found >= 0 else None


def _source_age(result: Any, now: datetime) -> SourceAge:
    node = result.node
    freshness = node.config.freshness or getattr(node, "freshness", None)
    loaded = getattr(result, "max_loaded_at", None)
    checked = getattr(result, "snapshotted_at", None)
    return SourceAge(
        unique_id=node.unique_id,
        source=f"{node.source_name}.{node.name}",
        status=str(result.status),
        checked_at=naive_utc(checked) if checked else now,
        max_loaded_at=naive_utc(loaded) if loaded else None,
        age=_whole(getattr(result, "age", None)),
        warn_after=_seconds(getattr(freshness, "warn_after", None)),
        error_after=_seconds(getattr(freshness, "error_after", None)),
    )


def _seconds(limit: Any) -> int | None:
    count = getattr(limit, "count", None)
    return None if count is None else int(count) * _UNITS[str(limit.period)]


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)

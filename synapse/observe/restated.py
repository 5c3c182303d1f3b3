"""Published figures that runs changed, asked of the warehouse (rule R17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synapse.errors import SynapseError
from synapse.settings import Settings


@dataclass(frozen=True)
class Restated:
    """A report whose published figures changed, and why."""

    report: str
    cause: str
    figures: int


def read_restated(settings: Settings, run_ids: Sequence[str]) -> list[Restated] | None:
    """What those runs restated; None where the warehouse does not say."""
    named = ", ".join("'" + run_id.replace("'", "''") + "'" for run_id in run_ids)
    query = (
        "select report, cause, count(*) as figures from {ops}.ops_restatements "
        f"where run_id in ({named or 'null'}) group by report, cause order by report, cause"
    )
    rows: list[Any] | None = None
    if settings.target == "duckdb":
        rows = _from_duckdb(settings, query)
    elif settings.target == "athena":
        rows = _from_athena(query)
    if rows is None:
        return None
    return [Restated(report, cause, int(figures)) for report, cause, figures in rows]


def _from_duckdb(settings: Settings, query: str) -> list[Any] | None:
    if not settings.warehouse.is_file():
        return None
    import duckdb

    from synapse.runner.context import connect_warehouse

    try:
        with connect_warehouse(settings.warehouse, read_only=True) as connection:
            return connection.execute(query.format(ops="ops")).fetchall()
    except (duckdb.Error, SynapseError):
        return None  # not built yet, or somebody writes to it


def _from_athena(query: str) -> list[tuple[str | None, ...]] | None:
    from synapse.athena.deployment import prefix
    from synapse.athena.statements import StatementError, ask

    try:
        return ask(query.format(ops=f"{prefix()}ops"))
    except StatementError:
        return None  # not built yet

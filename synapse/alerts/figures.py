"""What gold says at the end of a run, kept in the state store: rules read no warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, String, Table, select
from sqlalchemy.engine import Engine

from synapse.alerts.tables import METADATA
from synapse.runner.clock import naive_utc
from synapse.settings import Settings
from synapse.state_store import put

ERROR_RATES = Table(
    "alert_error_rates",
    METADATA,
    Column("figure", String(32), primary_key=True),
    Column("hour_at", DateTime, nullable=False),
    Column("request_count", BigInteger, nullable=False),
    Column("error_count", BigInteger, nullable=False),
    Column("run_id", String(64)),
    Column("noted_at", DateTime, nullable=False),
)
_LAST = "last_complete_hour"
_QUERY = (
    "select cast(hour_at as varchar) as hour_at, request_count, error_count "
    "from {gold}.rpt_error_rate_hourly where is_complete order by hour_at desc limit 1"
)


@dataclass(frozen=True)
class ErrorRate:
    """Requests of one complete hour (rule R12). hour_at: aware."""

    hour_at: datetime
    request_count: int
    error_count: int
    run_id: str | None = None


def note_error_rate(engine: Engine, settings: Settings, run_id: str | None) -> None:
    """Keep what the warehouse says of the last complete hour; nothing where it has no such hour.

    Raises SynapseError where the warehouse cannot be asked.
    """
    row = _from_athena(run_id) if settings.target == "athena" else _from_duckdb(settings)
    if row is None:
        return
    hour_at = datetime.fromisoformat(str(row[0]))
    values: dict[str, object] = {
        "hour_at": naive_utc(hour_at),
        "request_count": int(row[1]),
        "error_count": int(row[2]),
        "run_id": run_id,
        "noted_at": naive_utc(datetime.now(UTC)),
    }
    with engine.begin() as connection:
        put(connection, ERROR_RATES, {"figure": _LAST}, values)


def last_error_rate(engine: Engine) -> ErrorRate | None:
    """What was kept last."""
    with engine.connect() as connection:
        row = connection.execute(select(ERROR_RATES)).one_or_none()
    if row is None:
        return None
    hour_at = row.hour_at.replace(tzinfo=UTC)
    return ErrorRate(hour_at, row.request_count, row.error_count, row.run_id)


def _from_duckdb(settings: Settings) -> tuple[Any, ...] | None:
    import duckdb

    from synapse.runner.context import connect_warehouse

    if not settings.warehouse.is_file():
        return None
    with connect_warehouse(settings.warehouse, read_only=True) as connection:
        try:
            return connection.execute(_QUERY.format(gold="gold")).fetchone()
        except duckdb.CatalogException:
            return None  # nothing has been built yet


def _from_athena(run_id: str | None) -> tuple[Any, ...] | None:
    from synapse.athena.deployment import target_schema
    from synapse.athena.statements import ask

    rows = ask(_QUERY.format(gold=target_schema()), run_id or "")
    return rows[0] if rows else None

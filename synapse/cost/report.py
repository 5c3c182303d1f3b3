"""What was spent, added up as people ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import inspect, select

from synapse.cost.ledger import QUERY_COSTS
from synapse.cost.prices import dollars
from synapse.runner.history import SCHEDULE_RUNS
from synapse.state_store import open_store


@dataclass(frozen=True)
class NodeCost:
    """What one run spent on one node on one UTC date. schedule, status: the run's."""

    run_id: str
    schedule: str
    status: str
    node_id: str
    billing_date: date
    queries: int
    charged_queries: int
    failed_queries: int
    scanned_bytes: int
    charged_mb: int
    cost_nanodollars: int
    first_submitted_at: datetime

    @property
    def name(self) -> str:
        """The node as people call it."""
        parts = self.node_id.split(".")
        return parts[2] if len(parts) > 2 else self.node_id


@dataclass(frozen=True)
class Line:
    """One line of a report: sums of what `key` names."""

    key: str
    runs: int
    queries: int
    failed_queries: int
    scanned_bytes: int
    charged_mb: int
    cost_usd: Decimal


def read_costs(
    url: str, *, since: date | None = None, schedule: str | None = None
) -> list[NodeCost]:
    """What the ledger at an SQLAlchemy URL holds, oldest first; nothing where there is none yet."""
    engine = open_store(url)
    try:
        with engine.connect() as connection:
            tables = inspect(connection)
            if not tables.has_table(QUERY_COSTS.name) or not tables.has_table(SCHEDULE_RUNS.name):
                return []
            costs, runs = QUERY_COSTS.c, SCHEDULE_RUNS.c
            query = (
                select(QUERY_COSTS, runs.schedule, runs.status)
                .join(SCHEDULE_RUNS, costs.run_id == runs.run_id, isouter=True)
                .order_by(costs.first_submitted_at, costs.run_id, costs.node_id)
            )
            if since is not None:
                query = query.where(costs.billing_date >= since)
            found = [_cost(row) for row in connection.execute(query).mappings()]
    finally:
        engine.dispose()
    return [cost for cost in found if schedule is None or cost.schedule == schedule]


def _cost(row: object) -> NodeCost:
    names = set(NodeCost.__dataclass_fields__)
    values = {name: value for name, value in dict(row).items() if name in names}  # type: ignore[call-overload]
    values["schedule"] = values["schedule"] or str(values["run_id"]).split("-", 1)[0]
    values["status"] = values["status"] or ""
    return NodeCost(**values)


def add_up(costs: Iterable[NodeCost], by: str) -> list[Line]:
    """Sums by model, day, schedule or run: dearest first, days and runs in order."""
    groups: dict[str, list[NodeCost]] = {}
    for cost in costs:
        key = {
            "model": cost.name,
            "day": cost.billing_date.isoformat(),
            "schedule": cost.schedule,
            "run": cost.run_id,
        }[by]
        groups.setdefault(key, []).append(cost)
    lines = [_line(key, members) for key, members in groups.items()]
    if by in ("model", "schedule"):
        lines.sort(key=lambda line: (-line.cost_usd, -line.scanned_bytes, line.key))
    return lines


def total(costs: Iterable[NodeCost]) -> Line:
    """The sum of all."""
    return _line("total", list(costs))


def _line(key: str, members: list[NodeCost]) -> Line:
    return Line(
        key=key,
        runs=len({member.run_id for member in members}),
        queries=sum(member.queries for member in members),
        failed_queries=sum(member.failed_queries for member in members),
        scanned_bytes=sum(member.scanned_bytes for member in members),
        charged_mb=sum(member.charged_mb for member in members),
        cost_usd=dollars(sum(member.cost_nanodollars for member in members)),
    )

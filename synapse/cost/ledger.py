"""The cost ledger in the state store: every query of a run, and the sums that the marts read.

No text of a query is kept: it may hold what people wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    MetaData,
    String,
    Table,
    case,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Connection, Engine

from synapse.cost.prices import Prices, charged_mb
from synapse.runner.clock import utc_now
from synapse.state_store import make_tables, open_store

# Sums are kept for ever, single queries as long as a question about one is likely.
_KEEP_QUERIES = timedelta(days=90)
_AT_ONCE = 400
FINAL_STATES = ("SUCCEEDED", "FAILED", "CANCELLED")

_METADATA = MetaData()
QUERIES = Table(
    "queries",
    _METADATA,
    Column("query_id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False, index=True),
    Column("node_id", String(255), nullable=False),
    Column("statement", String(16), nullable=False),
    Column("substatement", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scanned_bytes", BigInteger, nullable=False),
    Column("charged_mb", BigInteger, nullable=False),
    Column("cost_nanodollars", BigInteger, nullable=False),
    Column("submitted_at", DateTime, nullable=False, index=True),
    Column("ended_at", DateTime),
)
QUERY_COSTS = Table(
    "query_costs",
    _METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("billing_date", Date, primary_key=True),
    Column("node_id", String(255), primary_key=True),
    Column("queries", BigInteger, nullable=False),
    Column("charged_queries", BigInteger, nullable=False),
    Column("failed_queries", BigInteger, nullable=False),
    Column("cancelled_queries", BigInteger, nullable=False),
    Column("scanned_bytes", BigInteger, nullable=False),
    Column("charged_mb", BigInteger, nullable=False),
    Column("cost_nanodollars", BigInteger, nullable=False),
    Column("first_submitted_at", DateTime, nullable=False),
    Column("last_ended_at", DateTime),
)


@dataclass(frozen=True)
class Query:
    """One query as the engine tells it. node_id: dbt's, else what sent it. Moments: naive UTC."""

    query_id: str
    run_id: str
    node_id: str
    statement: str
    substatement: str
    state: str
    scanned_bytes: int
    submitted_at: datetime
    ended_at: datetime | None


class CostLedger:
    """Reads and writes the ledger at an SQLAlchemy URL."""

    def __init__(self, url: str, prices: Prices) -> None:
        self._engine: Engine = open_store(url)
        self._prices = prices
        make_tables(self._engine, _METADATA)

    def record(self, queries: Iterable[Query]) -> int:
        """Write queries, in the place of what was known of the same ids; returns how many.

        Recorded again, they leave the ledger as it was.
        """
        rows = {query.query_id: self._row(query) for query in queries}
        with self._engine.begin() as connection:
            ids = list(rows)
            for begin in range(0, len(ids), _AT_ONCE):
                some = ids[begin : begin + _AT_ONCE]
                connection.execute(delete(QUERIES).where(QUERIES.c.query_id.in_(some)))
                connection.execute(insert(QUERIES), [rows[query_id] for query_id in some])
            for run_id in {row["run_id"] for row in rows.values()}:
                _add_up(connection, str(run_id))
            gone = QUERIES.c.submitted_at < utc_now() - _KEEP_QUERIES
            connection.execute(delete(QUERIES).where(gone))
        return len(rows)

    def _row(self, query: Query) -> dict[str, object]:
        charged = charged_mb(
            self._prices,
            statement=query.statement,
            substatement=query.substatement,
            state=query.state,
            scanned_bytes=query.scanned_bytes,
        )
        return {
            **query.__dict__,
            "charged_mb": charged,
            "cost_nanodollars": self._prices.nanodollars(charged),
        }

    def newest(self) -> datetime | None:
        """When the newest recorded query was submitted."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(QUERIES.c.submitted_at))).scalar()

    def unfinished(self) -> dict[str, tuple[str, str]]:
        """(run, node) by id of the queries that had not ended when they were recorded."""
        at_work = QUERIES.c.state.not_in(FINAL_STATES)
        query = select(QUERIES.c.query_id, QUERIES.c.run_id, QUERIES.c.node_id).where(at_work)
        with self._engine.connect() as connection:
            return {row.query_id: (row.run_id, row.node_id) for row in connection.execute(query)}

    def close(self) -> None:
        """Release the store's connections."""
        self._engine.dispose()


def _add_up(connection: Connection, run_id: str) -> None:
    """Make a run's sums anew from its queries."""
    one = QUERIES.c
    day = func.date(one.submitted_at)
    connection.execute(delete(QUERY_COSTS).where(QUERY_COSTS.c.run_id == run_id))
    sums = (
        select(
            one.run_id,
            day.label("billing_date"),
            one.node_id,
            func.count().label("queries"),
            func.sum(case((one.charged_mb > 0, 1), else_=0)).label("charged_queries"),
            func.sum(case((one.state == "FAILED", 1), else_=0)).label("failed_queries"),
            func.sum(case((one.state == "CANCELLED", 1), else_=0)).label("cancelled_queries"),
            func.sum(one.scanned_bytes).label("scanned_bytes"),
            func.sum(one.charged_mb).label("charged_mb"),
            func.sum(one.cost_nanodollars).label("cost_nanodollars"),
            func.min(one.submitted_at).label("first_submitted_at"),
            func.max(one.ended_at).label("last_ended_at"),
        )
        .where(one.run_id == run_id)
        .group_by(one.run_id, day, one.node_id)
    )
    names = [column.name for column in QUERY_COSTS.columns]
    connection.execute(insert(QUERY_COSTS).from_select(names, sums))

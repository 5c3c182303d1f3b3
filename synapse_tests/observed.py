"""State stores for what observes runs: a ledger without a warehouse, as long as a proof needs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Engine

from synapse.ingest import tables
from synapse.observe.tables import METADATA, NODE_RUNS, RUN_ENDS
from synapse.runner.history import SCHEDULE_RUNS, RunHistory
from synapse.runner.run_ledger import RUN_PLANS, RunLedger
from synapse.schedules.claims import OCCURRENCES
from synapse.state_store import make_tables, open_store, put

MODEL = "model.synapse.fct_events"


def empty_store(url: str) -> Engine:
    """Every table that a store of ours has."""
    history = RunHistory(url)
    RunLedger(history.engine)
    history.close()
    engine = open_store(url)
    make_tables(engine, METADATA)
    make_tables(engine, tables.METADATA)
    return engine


def add_runs(engine: Engine, runs: Iterable[dict[str, Any]]) -> list[str]:
    """Add runs as the runner would: each a dict of schedule, as_of and whatever is unlike usual.

    seconds: of the run and of its one model. landed: rows of the source kconnect.app-events.
    """
    rows = [_run(**one) for one in runs]
    with engine.begin() as connection:
        for table, number in (
            (SCHEDULE_RUNS, 1), (RUN_PLANS, 2), (RUN_ENDS, 3), (NODE_RUNS, 4),
            (tables.RUNS, 5), (tables.RUN_SOURCES, 6),
        ):  # fmt: skip
            connection.execute(insert(table), [row[number] for row in rows])
        # A scheduler was at work here, from the first of them on.
        first = min((row[1] for row in rows), key=lambda run: run["as_of"])
        put(
            connection,
            OCCURRENCES,
            {"schedule": first["schedule"], "occurs_at": first["as_of"]},
            {
                "run_id": first["run_id"], "state": "begun", "attempts": 1,
                "noted_at": first["as_of"],
            },
        )  # fmt: skip
    return [row[0] for row in rows]


def _run(
    schedule: str = "hourly",
    as_of: datetime = datetime(2026, 6, 1),
    seconds: float = 60.0,
    landed: int = 1_000,
    status: str = "succeeded",
    is_backfill: bool = False,
) -> tuple[Any, ...]:
    run_id = uuid.uuid4().hex
    ended = as_of + timedelta(seconds=seconds)
    took = round(seconds * 1000)
    about = {"run_id": run_id, "as_of": as_of}
    counts = {"landed": landed, "accepted": landed, "duplicate": 0, "quarantined": 0}
    return (
        run_id,
        {
            **about, **counts, "schedule": schedule, "status": status, "started_at": as_of,
            "finished_at": None if status == "running" else ended,
        },
        {
            "run_id": run_id, "covers": f'["{schedule}"]',
            "steps": f'[["{schedule}","{schedule}"]]', "full_refresh": False,
            "is_backfill": is_backfill, "timezone": "America/Sao_Paulo",
            "complete_date": f"{as_of - timedelta(days=1):%Y-%m-%d}",
        },
        {
            **about, "schedule": schedule, "status": status, "is_backfill": int(is_backfill),
            "nodes": 1, "tests": 0, "tests_warned": 0, "tests_failed": 0, "milliseconds": took,
            "cost_nanodollars": 1_000_000, "scanned_bytes": 10, "started_at": as_of,
        },
        {
            **about, "position": 0, "attempt": 1, "unique_id": MODEL, "schedule": schedule,
            "step": schedule, "resource_type": "model", "name": "fct_events", "status": "success",
            "milliseconds": took, "started_at": as_of,
        },
        {**about, "state": "done", "started_at": as_of, "finished_at": ended},
        {"run_id": run_id, "source": "kconnect.app-events", **counts, "pending": 0, "files": 1},
    )  # fmt: skip


def aware(moment: datetime) -> datetime:
    """A naive UTC moment as an instant."""
    return moment.replace(tzinfo=UTC)

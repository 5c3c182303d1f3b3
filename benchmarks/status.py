"""`synapse status` as a whole process on a ledger of 100,000 runs, in SQLite and in PostgreSQL.

Beside it `synapse --version`, which is what it takes to start at all, and what the run's side of
the ledger costs: recording a step of 450 nodes, the end of a run, and bringing the marts' copy
level. Each number is the least of some runs; the processor's seconds do not depend on what else
the machine does. The bar is 1 s for the status.

    python benchmarks/status.py [RUNS]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from sqlalchemy import insert, text
from sqlalchemy.engine import Engine

from synapse.ingest import tables
from synapse.observe.anomalies import find_anomalies
from synapse.observe.ledger import ObservedRun
from synapse.observe.log import Log
from synapse.observe.nodes import NodeOutcome
from synapse.observe.openmetrics import write_openmetrics
from synapse.observe.tables import NODE_RUNS
from synapse.runner.clock import utc_now
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.record import record_runs
from synapse.schedules.model import Step
from synapse.settings import Settings
from synapse_tests.lakes import lake_settings
from synapse_tests.observed import add_runs, empty_store
from synapse_tests.postgres_server import postgres

RUNS, NODES, REPEATS = 100_000, 450, 5
SCHEDULES = ["realtime"] * 6 + ["hourly", "freshness"]


def fill(url: str, runs: int) -> None:
    """A ledger as it is after years: a run every ten minutes, and a full quarantine."""
    engine = empty_store(url)
    now = utc_now()
    for begin in range(0, runs, 10_000):
        add_runs(
            engine,
            (
                {
                    "schedule": SCHEDULES[number % len(SCHEDULES)],
                    "as_of": now - timedelta(minutes=10 * (number + 1)),
                    "status": "failed" if number % 50 == 0 else "succeeded",
                }
                for number in range(begin, min(begin + 10_000, runs))
            ),
        )
    refused = [
        {
            "id": f"{number:016x}", "source": "kconnect.app-events", "kind": "topic",
            "unit": "record", "path": "p", "sha256": "s", "rule": "schema",
            "sentence": "said " * 40, "run_id": "r", "first_seen": now, "last_attempt": now,
            "attempts": 1, "state": "open" if number % 10 == 0 else "discarded",
        }
        for number in range(20_000)
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(tables.QUARANTINE), refused)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("analyze"))
    engine.dispose()


def least(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds, children's included, of the quickest of some runs."""
    found = []
    for _ in range(REPEATS):
        before, began = used(), time.perf_counter()
        work()
        found.append((time.perf_counter() - began, used() - before))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def used() -> float:
    """Seconds of the processor so far."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(each)[:2]) for each in who)


def command(*arguments: str, state: str | None = None) -> Callable[[], None]:
    """The command line in a process of its own."""
    environment = {**os.environ, **({"SYNAPSE_STATE": state} if state else {})}

    def call() -> None:
        subprocess.run(
            [sys.executable, "-m", "synapse", *arguments],
            check=True, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    return call


def say(what: str, took: tuple[float, float]) -> None:
    """One line."""
    print(f"{what:58} {took[0]:6.2f} s wall {took[1]:6.2f} s processor")


def a_run(settings: Settings, engine: Engine) -> None:
    """What a run of 450 nodes adds to itself, on the long ledger."""
    run_id = uuid.uuid4().hex
    as_of = datetime.now(UTC)
    with closing(RunHistory(settings.state)) as history, lease(settings.state, run_id) as held:
        history.start(run_id, "hourly", as_of, lease=held)
        observed = ObservedRun(engine, held, run_id, as_of, Log(settings))
        nodes = [
            (1, NodeOutcome(f"model.synapse.m{n}", "model", f"m{n}", "success", utc_now(), 40_000))
            for n in range(NODES)
        ]
        began = time.perf_counter()
        observed.record_step(0, Step("hourly", "hourly"), nodes)
        print(f"  a step of {NODES} nodes recorded {time.perf_counter() - began:26.3f} s")
        history.finish(run_id, "succeeded", lease=held)
        began = time.perf_counter()
        observed.record_end()
        print(f"  the end recorded {time.perf_counter() - began:39.3f} s")
        began = time.perf_counter()
        with engine.connect() as connection:
            find_anomalies(connection, run_id, timedelta(hours=1), settings.business_timezone)
        print(f"  compared with the weeks before {time.perf_counter() - began:25.3f} s")
    began = time.perf_counter()
    write_openmetrics(settings)
    print(f"  OpenMetrics written {time.perf_counter() - began:36.3f} s")


def copies(settings: Settings) -> None:
    """What record_runs takes, with the copy of the nodes and without."""
    began = time.perf_counter()
    record_runs(settings)
    first = time.perf_counter() - began
    began = time.perf_counter()
    record_runs(settings)
    again = time.perf_counter() - began
    with duckdb.connect(str(settings.warehouse)) as connection:
        row = connection.execute("select count(*) from ops.recorded_node_runs").fetchone()
    print(f"  the marts' copies, at first {first:.2f} s, again {again:.2f} s; {row} nodes copied")


def main() -> None:
    """Fill, measure, print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    say("synapse --version", least(command("--version")))
    with tempfile.TemporaryDirectory() as folder:
        settings = lake_settings(Path(folder) / "lake")
        settings.lake.mkdir()
        fill(settings.state, runs)
        status = command("status", "--lake", str(settings.lake))
        say(f"synapse status, SQLite, {runs:,} runs", least(status))
        metrics = command("status", "--lake", str(settings.lake), "--openmetrics")
        say("synapse status --openmetrics", least(metrics))
        engine = empty_store(settings.state)
        for _ in range(3):
            a_run(settings, engine)
        with engine.connect() as connection:
            print(
                connection.execute(text(f"select count(*) from {NODE_RUNS.name}")).scalar(), "nodes"
            )
        engine.dispose()
        copies(settings)
        with postgres() as url:
            fill(url, runs)
            status = command("status", "--lake", str(settings.lake), state=url)
            say(f"synapse status, PostgreSQL, {runs:,} runs", least(status))


if __name__ == "__main__":
    main()

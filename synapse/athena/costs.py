"""Brings the cost ledger level with what Athena says that this deployment's queries scanned."""

from __future__ import annotations

from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from synapse.athena import executions
from synapse.athena.deployment import target_schema
from synapse.cost.ledger import CostLedger, Query
from synapse.cost.prices import Prices
from synapse.errors import SynapseError
from synapse.runner.clock import utc_now
from synapse.runner.history import RunHistory
from synapse.settings import Settings

# Athena forgets a query after 45 days.
_REMEMBERED = timedelta(days=45)
# Between Athena's clock and ours, and for queries that a page listed late.
_OVERLAP = timedelta(minutes=10)
_RUNS = 20_000


def record_costs(settings: Settings) -> int:
    """Record the queries since the last recording; returns how many were written.

    A killed run's queries are recorded by the next one: they carry its id. Raises SynapseError
    where Athena does not answer.
    """
    ledger = CostLedger(settings.state, Prices.load())
    history = RunHistory(settings.state)
    try:
        spans = [
            executions.Span(run.run_id, run.started_at, run.finished_at)
            for run in history.latest(_RUNS)
        ]
        since = _since(ledger.newest(), spans)
        return ledger.record(_read(ledger, spans, since))
    except (BotoCoreError, ClientError) as error:
        raise SynapseError(
            f"Athena did not tell what the queries of {executions.workgroup()!r} scanned "
            f"({error}): check that the role may call athena:ListQueryExecutions and "
            "athena:BatchGetQueryExecution there"
        ) from error
    finally:
        history.close()
        ledger.close()


def _since(newest: datetime | None, spans: list[executions.Span]) -> datetime:
    oldest = min((span.since for span in spans), default=utc_now())
    return max((newest or oldest) - _OVERLAP, utc_now() - _REMEMBERED)


def _read(ledger: CostLedger, spans: list[executions.Span], since: datetime) -> list[Query]:
    client = executions.athena_client()
    found = list(executions.ours(executions.executions(client, since), spans, target_schema()))
    waiting = ledger.unfinished()
    for execution in executions.describe(client, waiting):
        run_id, node_id = waiting[execution["QueryExecutionId"]]
        found.append(executions.as_query(execution, run_id, node_id))
    return found

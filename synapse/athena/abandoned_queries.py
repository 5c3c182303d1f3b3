"""Queries that a run left behind in Athena, which goes on with them though nobody waits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from synapse.athena import executions
from synapse.athena.deployment import target_schema
from synapse.errors import SynapseError
from synapse.runner.history import RunHistory
from synapse.settings import Settings

# Athena's clock against ours.
_SKEW = timedelta(minutes=10)
# Athena stops most queries within a second, a commit to Glue when it is through.
_PATIENCE_SECONDS = 120.0
_AT_WORK = ("QUEUED", "RUNNING")


def stop_queries(settings: Settings, run_ids: Collection[str]) -> list[str]:
    """Cancel what these runs still have at work, wait until it has ended, and return its ids.

    A run that is taken over may be dead while its INSERT is not: without this the successor and it
    would write one table. Raises SynapseError where a query does not end or Athena refuses.
    """
    history = RunHistory(settings.state)
    try:
        runs = history.named(run_ids)
    finally:
        history.close()
    if not runs:
        return []
    spans = [executions.Span(run.run_id, run.started_at, run.finished_at) for run in runs]
    since = min(span.since for span in spans) - _SKEW
    client = executions.athena_client()

    def at_work() -> list[str]:
        found = executions.ours(executions.executions(client, since), spans, target_schema())
        return [query.query_id for query in found if query.state in _AT_WORK]

    try:
        stopped = at_work()
        for query_id in stopped:
            client.stop_query_execution(QueryExecutionId=query_id)
        left = Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_delay(_PATIENCE_SECONDS),
            wait=wait_exponential(0.2, max=5),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
        )(at_work)
    except (BotoCoreError, ClientError) as error:
        raise SynapseError(
            f"queries that an earlier run left at work could not be cancelled ({error}): "
            "check that the role may call athena:ListQueryExecutions, "
            "athena:BatchGetQueryExecution and "
            f"athena:StopQueryExecution on the workgroup {executions.workgroup()!r}"
        ) from error
    if left:
        raise SynapseError(
            f"{len(left)} queries of an earlier run do not end though they were cancelled: "
            f"{', '.join(left)}. Look at them in Athena's console, and run again when they have"
        )
    return stopped

"""The runs from which a forecast is made: what each node scanned, over a lake of which size."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from synapse.cost.forecast import Measured
from synapse.cost.report import NodeCost
from synapse.runner.history import Run


def measurements(costs: Iterable[NodeCost], runs: Iterable[Run]) -> list[Measured]:
    """One for each node of a run that succeeded.

    runs: the whole history, in any order; accepted records add up over all of it.
    """
    in_order = sorted(runs, key=lambda run: (run.started_at, run.run_id))
    records = dict(
        zip(
            (run.run_id for run in in_order),
            accumulate(run.accepted for run in in_order),
            strict=True,
        )
    )
    # A node of a run that crosses midnight has two rows.
    sums: dict[tuple[str, str, str], list[int]] = {}
    for cost in costs:
        if cost.status == "succeeded" and cost.run_id in records:
            known = sums.setdefault((cost.run_id, cost.schedule, cost.node_id), [0, 0])
            known[0] += cost.scanned_bytes
            known[1] += cost.charged_queries
    return [
        Measured(schedule, node, records[run_id], scanned, queries)
        for (run_id, schedule, node), (scanned, queries) in sums.items()
    ]

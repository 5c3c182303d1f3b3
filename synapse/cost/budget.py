"""What a run may cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from synapse.cost.report import NodeCost, add_up


@dataclass(frozen=True)
class Budget:
    """What one run of a schedule may spend at most; None sets no bound.

    schedule: None for every schedule.
    """

    schedule: str | None = None
    usd: Decimal | None = None
    scanned_bytes: int | None = None


def exceeded(costs: Iterable[NodeCost], budgets: Iterable[Budget]) -> list[str]:
    """A sentence for each schedule whose newest run spent more than a budget allows.

    costs: oldest first. Exactly the budget is within it.
    """
    newest: dict[str, str] = {}
    runs: dict[str, list[NodeCost]] = {}
    for cost in costs:
        newest[cost.schedule] = cost.run_id
        runs.setdefault(cost.run_id, []).append(cost)
    said = []
    for budget in budgets:
        for schedule, run_id in newest.items():
            if budget.schedule not in (None, schedule):
                continue
            line = add_up(runs[run_id], "run")[0]
            dearest = add_up(runs[run_id], "model")[0].key
            where = f"the last {schedule} run ({run_id[:8]})"
            if budget.usd is not None and line.cost_usd > budget.usd:
                said.append(
                    f"{where} cost ${line.cost_usd}, over its budget of ${budget.usd}; "
                    f"most of it went to {dearest}"
                )
            if budget.scanned_bytes is not None and line.scanned_bytes > budget.scanned_bytes:
                said.append(
                    f"{where} scanned {line.scanned_bytes:,} bytes, over its budget of "
                    f"{budget.scanned_bytes:,}; most of its cost went to {dearest}"
                )
    return said

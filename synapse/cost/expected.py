"""What a run will probably scan: what each of its nodes did when it last ran."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from synapse.cost.prices import dollars
from synapse.cost.report import read_costs


@dataclass(frozen=True)
class Expected:
    """A run's bytes and price. unmeasured: nodes of it that no run has built with success yet."""

    scanned_bytes: int
    cost_usd: Decimal
    measured: int
    unmeasured: tuple[str, ...]


def expected(url: str, node_ids: Collection[str]) -> Expected:
    """The sum over the nodes of what their newest run that succeeded scanned and cost.

    A node that has grown since will scan more, one that is rebuilt (--full-refresh) all of its
    input: `synapse cost --forecast` says how it grows. What a run asks beside its nodes is not in.
    """
    newest: dict[str, tuple[str, int, int]] = {}
    for cost in read_costs(url):  # oldest first
        if cost.status != "succeeded" or cost.node_id not in node_ids:
            continue
        run_id, scanned, nanodollars = newest.get(cost.node_id, ("", 0, 0))
        if run_id != cost.run_id:
            scanned = nanodollars = 0
        newest[cost.node_id] = (
            cost.run_id,
            scanned + cost.scanned_bytes,
            nanodollars + cost.cost_nanodollars,
        )
    return Expected(
        sum(scanned for _, scanned, _ in newest.values()),
        dollars(sum(nanodollars for _, _, nanodollars in newest.values())),
        len(newest),
        tuple(sorted(set(node_ids) - newest.keys())),
    )

"""What more data would cost, from how each node's bytes grew with what the lake held.

For each schedule and node a straight line is laid through its runs: bytes scanned against records
accepted so far (least squares, neither below zero where the lake is empty nor falling). Where the
largest lake is less than twice the smallest, a first build beside a second run would pass for
growth: bytes are then taken to grow in proportion, which overstates what reads only changes.
The bytes of a node are spread over its queries, each of which costs the minimum at least.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from synapse.cost.prices import Prices, dollars

VOLUMES = (100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Measured:
    """One node in one run. records: accepted by the lake up to and including that run."""

    schedule: str
    node: str
    records: int
    scanned_bytes: int
    charged_queries: int


@dataclass(frozen=True)
class Forecast:
    """A month at so many interactions (records that land and are accepted).

    sizes: how many sizes of the lake the runs had; with one, growth is taken, not measured.
    """

    interactions_a_month: int
    schedule: str
    runs_a_month: float
    sizes: int
    scanned_bytes_a_run: int
    cost_usd_a_run: Decimal
    cost_usd_a_month: Decimal


def forecast(
    measured: Iterable[Measured],
    prices: Prices,
    *,
    history_months: int,
    runs_a_month: Mapping[str, Fraction],
    volumes: Iterable[int] = VOLUMES,
) -> list[Forecast]:
    """A month of each measured schedule at each volume, with `history_months` of it in the lake."""
    schedules: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for item in measured:
        if item.schedule in runs_a_month and item.records > 0:
            schedules[item.schedule][item.node].append(item)
    found = []
    for volume in volumes:
        for schedule, nodes in schedules.items():
            scanned = charged = 0
            for items in nodes.values():
                some_bytes = bytes_at(items, volume * history_months)
                queries = max(item.charged_queries for item in items)
                scanned += some_bytes
                if queries:
                    charged += queries * prices.charged_mb(-(-some_bytes // queries))
            once = dollars(prices.nanodollars(charged))
            runs = runs_a_month[schedule]
            found.append(
                Forecast(
                    interactions_a_month=volume,
                    schedule=schedule,
                    runs_a_month=round(float(runs), 1),
                    sizes=len({item.records for items in nodes.values() for item in items}),
                    scanned_bytes_a_run=scanned,
                    cost_usd_a_run=once,
                    cost_usd_a_month=once * runs.numerator / runs.denominator,
                )
            )
    return found


def bytes_at(items: list[Measured], records: int) -> int:
    """Bytes that a node would scan in a run over a lake of so many records."""
    points = [(Fraction(item.records), Fraction(item.scanned_bytes)) for item in items]
    mean_x = sum((x for x, _ in points), Fraction()) / len(points)
    mean_y = sum((y for _, y in points), Fraction()) / len(points)
    if max(points)[0] < 2 * min(points)[0]:
        return math.ceil(mean_y * records / mean_x)
    spread = sum(((x - mean_x) ** 2 for x, _ in points), Fraction())
    slope = sum(((x - mean_x) * (y - mean_y) for x, y in points), Fraction()) / spread
    start = mean_y - slope * mean_x
    if slope <= 0:
        return math.ceil(mean_y)
    if start < 0:
        # Through the origin: a line that is steeper than proportion stays above it further out.
        return math.ceil(max(slope * records + start, mean_y * records / mean_x))
    return math.ceil(start + slope * records)

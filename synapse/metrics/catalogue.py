"""What metrics there are, as the dbt project declares them (models/metrics)."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from synapse.errors import UsageError


@dataclass(frozen=True)
class Metric:
    """One metric. report: the gold model and column that show the same number.

    always_by: dimensions without which the number means nothing (currencies are never added
    together), added to every query. only_by: the one period for which it is exact, None for any.
    grain_in: the dimension that says whether a row is about a day, week or month; a query is about
    one of them.
    inputs: measures or metrics that it is made of. expression: how, for a ratio or derived metric.
    """

    name: str
    label: str
    description: str
    kind: str
    report: str
    inputs: tuple[str, ...]
    expression: str
    always_by: tuple[str, ...] = ()
    only_by: str | None = None
    grain_in: str | None = None


def catalogue_of(semantic_manifest: dict[str, Any]) -> dict[str, Metric]:
    """The metrics of dbt's semantic manifest by name, in the order of their names."""
    metrics = map(_metric, semantic_manifest["metrics"])
    return {metric.name: metric for metric in sorted(metrics, key=lambda one: one.name)}


def find(catalogue: dict[str, Metric], name: str) -> Metric:
    """A metric by name. Raises UsageError that names the nearest ones."""
    if name in catalogue:
        return catalogue[name]
    near = get_close_matches(name, catalogue, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`synapse metrics list` shows all."
    raise UsageError(f"No metric is called {name!r}; {hint}")


def _metric(declared: dict[str, Any]) -> Metric:
    meta = declared["config"]["meta"]
    params = declared["type_params"]
    expression = ""
    if params["measure"]:
        inputs = [params["measure"]["name"]]
    elif params["numerator"] and params["denominator"]:
        inputs = [params["numerator"]["name"], params["denominator"]["name"]]
        expression = " / ".join(inputs)
    else:
        inputs = [one["name"] for one in params["metrics"]]
        expression = params["expr"] or ""
    return Metric(
        name=declared["name"],
        label=declared["label"],
        description=" ".join(declared["description"].split()),
        kind=declared["type"],
        report=str(meta.get("report", "")),
        inputs=tuple(inputs),
        expression=expression,
        always_by=tuple(meta.get("always_by", ())),
        only_by=meta.get("only_by"),
        grain_in=meta.get("grain_in"),
    )

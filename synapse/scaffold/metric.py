"""A new metric on a column of a report: its measure, and the semantic model where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from synapse.errors import UsageError
from synapse.scaffold.model import columns_of
from synapse.scaffold.writing import Plan, rendered, require_name

AGGREGATIONS = ("sum", "count_distinct", "min", "max", "average")
_METRICS = "\nmetrics:\n"


def plan_metric(
    project: Path, name: str, report: str, column: str, agg: str, label: str, description: str
) -> Plan:
    """Plan a simple metric in models/metrics.

    Raises UsageError for a name that is taken, an unknown report, column or aggregation.
    """
    require_name(name, "The metric's name")
    if agg not in AGGREGATIONS:
        raise UsageError(f"--agg {agg!r} is none of {', '.join(AGGREGATIONS)}.")
    columns = columns_of(project, report)
    if column not in columns:
        raise UsageError(f"{report} has no column {column!r}; it has {', '.join(sorted(columns))}.")
    files = {
        path: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted((project / "models" / "metrics").glob("*.yml"))
    }
    taken = {metric["name"] for declared in files.values() for metric in declared["metrics"]}
    if name in taken:
        raise UsageError(f"A metric {name!r} exists already: `synapse metrics show {name}`.")
    values = {
        "name": name,
        "label": label,
        "description": description,
        "report": report,
        "column": column,
        "agg": agg,
        "measure": f"{name}_measure",
        "entity": f"{report.removeprefix('rpt_')}_row",
        "semantic_model": report.removeprefix("rpt_"),
        "date": _date_of(report, columns),
    }
    plan = Plan()
    for path, declared in files.items():
        for model in declared["semantic_models"]:
            if model["model"] == f"ref('{report}')":
                _insert(plan, path, f"  - name: {model['name']}\n", "    measures:\n", values)
                plan.append(path, "metric.yml", values)
                return plan
    theme = next((project / "models" / "gold").rglob(f"{report}.yml")).parent.name
    path = project / "models" / "metrics" / f"{theme}.yml"
    if path in files:
        text = path.read_text(encoding="utf-8")
        before, _, after = text.partition(_METRICS)
        plan.files[path] = before + rendered("semantic_model.yml", values) + _METRICS + after
    else:
        head = f"# Metrics of {theme}.\nversion: 2\n\nsemantic_models:"
        plan.files[path] = head + rendered("semantic_model.yml", values) + _METRICS.rstrip("\n")
    plan.append(path, "metric.yml", values)
    return plan


def _insert(plan: Plan, path: Path, model: str, heading: str, values: dict[str, Any]) -> None:
    """Put a measure first among those of a semantic model."""
    text = path.read_text(encoding="utf-8")
    start = text.index(heading, text.index(model)) + len(heading)
    plan.files[path] = text[:start] + rendered("measure.yml", values) + text[start:]


def _date_of(report: str, columns: dict[str, tuple[str, str]]) -> str:
    dates = [name for name, (data_type, _) in columns.items() if data_type == "date"]
    if not dates:
        raise UsageError(f"{report} has no date: a metric needs one to be asked for by period.")
    return dates[-1]

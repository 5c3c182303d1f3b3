"""A new gold report: SQL, YAML and a unit test that a person then makes their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from synapse.errors import UsageError
from synapse.scaffold.writing import Plan, require_name

# A value of each type that a unit test can be given: (one, another).
_SAMPLES = {
    "date": ("2025-03-01", "2025-03-02"),
    "timestamp": ('"2025-03-01 12:00:00"', '"2025-03-02 12:00:00"'),
    "varchar": ("a", "b"),
    "bigint": ("1", "2"),
    "integer": ("1", "2"),
    "boolean": ("true", "false"),
}


@dataclass(frozen=True)
class Key:
    """A column of the key."""

    name: str
    data_type: str
    description: str
    sample: str
    other: str


def plan_model(
    project: Path, name: str, theme: str, source: str, by: Sequence[str], rule: str, group: str
) -> Plan:
    """Plan models/gold/<theme>/<name>: rows of `source` counted by the columns `by`.

    Raises UsageError for a name out of style, an unknown theme, model, column or rule.
    """
    require_name(name, "The model's name")
    if not name.startswith("rpt_"):
        raise UsageError(f"A report's name begins with rpt_: rpt_{name}, for example.")
    themes = sorted(path.name for path in (project / "models" / "gold").iterdir() if path.is_dir())
    if theme not in themes:
        raise UsageError(f"--theme {theme!r} is none of {', '.join(themes)}.")
    rules = (project / "docs" / "rules.md").read_text(encoding="utf-8")
    if f"\n## {rule} " not in rules:
        raise UsageError(
            f"docs/rules.md has no rule {rule}; write it there first, with an example."
        )
    columns = columns_of(project, source)
    if not by:
        raise UsageError("Name the grain: --by COLUMN, once for each column of the key.")
    keys = [_key(source, columns, column) for column in by]
    values = {
        "name": name,
        "source": source,
        "keys": keys,
        "rule": rule,
        "number": rule.lower(),
        "group": group,
        "grain": ", ".join(by),
    }
    plan = Plan()
    folder = project / "models" / "gold" / theme
    plan.add(folder / f"{name}.sql", "report.sql", values)
    plan.add(folder / f"{name}.yml", "report.yml", values)
    return plan


def columns_of(project: Path, model: str) -> dict[str, tuple[str, str]]:
    """Type and description of a gold model's columns."""
    found = next((project / "models" / "gold").rglob(f"{model}.yml"), None)
    if found is None:
        raise UsageError(f"--from {model!r} is no model of models/gold.")
    (declared,) = [
        one for one in yaml.safe_load(found.read_text())["models"] if one["name"] == model
    ]
    return {
        column["name"]: (column["data_type"], column["description"].strip())
        for column in declared["columns"]
    }


def _key(model: str, columns: dict[str, tuple[str, str]], name: str) -> Key:
    if name not in columns:
        raise UsageError(f"{model} has no column {name!r}; it has {', '.join(sorted(columns))}.")
    data_type, description = columns[name]
    if data_type not in _SAMPLES:
        raise UsageError(f"{name} of {model} is {data_type}: a report is not keyed by such a type.")
    return Key(name, data_type, description, *_SAMPLES[data_type])

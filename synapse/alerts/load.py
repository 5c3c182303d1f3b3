"""Reading alerts.yml; whatever cannot work is told with file, line and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from synapse.alerts.model import AlertFile, Alerts, Channel, Rule
from synapse.errors import SynapseError
from synapse.schedules.model import Schedules
from synapse.schedules.refusal import nearest, refusal
from synapse.schedules.yaml_lines import LinedYaml, Location, read_yaml

FILE = "alerts.yml"


def load_alerts(project_dir: Path, schedules: Schedules) -> Alerts:
    """Read and check alerts.yml of a project.

    Raises SynapseError that names file and line for anything that cannot work: a channel that is
    not declared, a schedule that schedules.yml does not have, a secret that is written out.
    """
    path = project_dir / FILE
    if not path.is_file():
        raise SynapseError(
            f"{path} is missing: it says who is told of what. Copy the one that Synapse brings "
            "beside dbt_project.yml"
        )
    document = read_yaml(path)
    try:
        declared = AlertFile.model_validate(document.value)
    except ValidationError as error:
        known = lambda location: _fields_at(document, location)  # noqa: E731
        raise SynapseError(refusal(document, error, known)) from error
    for name, rule in declared.rules.items():
        _check_names(document, name, "channels", rule.channels or (), declared.channels, FILE)
        watched = getattr(rule, "schedules", ())
        _check_names(document, name, "schedules", watched, schedules.by_name, "schedules.yml")
    return Alerts(
        str(path),
        declared.runbook,
        dict(declared.channels),
        dict(declared.rules),
        {name: document.line(("channels", name)) for name in declared.channels},
    )


def has_channels(project_dir: Path) -> bool:
    """True where alerts.yml is there and somebody is to be told; nothing is checked."""
    path = project_dir / FILE
    if not path.is_file():
        return False
    value = read_yaml(path).value
    return not isinstance(value, dict) or bool(value.get("channels"))


def _check_names(
    document: LinedYaml,
    rule: str,
    field: str,
    named: Sequence[str],
    known: Iterable[str],
    file: str,
) -> None:
    for number, name in enumerate(named):
        if name not in known:
            raise SynapseError(
                f"{document.at('rules', rule, field, number)}: rule `{rule}` names "
                f"{field[:-1]} `{name}`, which {file} does not have{nearest(name, known)}"
            )


def _fields_at(document: LinedYaml, location: Location) -> Iterable[str]:
    if len(location) != 3:
        return AlertFile.model_fields
    value: Any = document.value
    for part in location[:2]:
        value = value[part]
    union = Channel if location[0] == "channels" else Rule
    for member in _members(union):
        if value.get("kind") in get_args(member.model_fields["kind"].annotation):
            return member.model_fields
    return ("kind",)


def _members(union: Any) -> Sequence[type[BaseModel]]:
    if hasattr(union, "__metadata__"):
        return get_args(get_args(union)[0])
    return get_args(union)

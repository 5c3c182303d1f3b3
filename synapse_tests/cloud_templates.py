"""CloudFormation templates as plain values, and the IAM policies in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags written out: !Ref x is {Ref: x}."""


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _function)


def load_template(path: Path) -> dict[str, Any]:
    """A template with every function in its long form."""
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return found


def policies(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of the resource and policy, for all that grant or deny; a key's own are left out."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if "PolicyDocument" in properties:
            yield name, properties["PolicyDocument"]
        for policy in properties.get("Policies", ()):
            yield name, policy["PolicyDocument"]


def statements(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Statements with Action and Resource as lists."""
    for statement in policy["Statement"]:
        plain = {"Sid": "", **statement}
        for field in ("Action", "Resource"):
            value = plain.get(field, [])
            plain[field] = value if isinstance(value, list) else [value]
        yield plain

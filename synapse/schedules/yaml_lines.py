"""A YAML file as plain values, and the line of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from synapse.errors import SynapseError

Location = tuple[str | int, ...]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class LinedYaml:
    """A document: its values, and at which line (from 1) each key or list entry stands."""

    path: Path
    value: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """The line of what lies at `location`, or of the nearest thing around it that is there."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def at(self, *location: str | int) -> str:
        """`file line N`, as errors begin."""
        return f"{self.path} line {self.line(location)}"


def read_yaml(path: Path) -> LinedYaml:
    """Read a file. Raises SynapseError for one that is missing, no YAML, or says a thing twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SynapseError(f"{path} cannot be read as UTF-8 text: {error}") from error
    lines: dict[Location, int] = {}
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        value = None if root is None else _value(loader, root, (), lines, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        raise SynapseError(f"{path}{where} is no valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SynapseError(f"{path} is no valid YAML: {error}") from error
    finally:
        loader.dispose()
    return LinedYaml(path, value, lines)


def _value(
    loader: Any, node: yaml.Node, location: Location, lines: dict[Location, int], path: Path
) -> Any:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if key in found:
                raise SynapseError(
                    f"{path} line {line} says `{key}` a second time, after line "
                    f"{lines[*location, key]}: keep one of them"
                )
            lines[*location, key] = line
            found[key] = _value(loader, value_node, (*location, key), lines, path)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(loader, entry, (*location, number), lines, path)
            for number, entry in enumerate(node.value)
        ]
    return loader.construct_object(node, deep=True)

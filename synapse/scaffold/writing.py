"""Writing new files of the dbt project, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from synapse.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Templates hold Jinja themselves, for dbt: ours has other brackets.
_TEMPLATES = Environment(
    loader=PackageLoader("synapse.scaffold"),
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<<",
    variable_end_string=">>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # SQL and YAML, not HTML
)


@dataclass
class Plan:
    """Files to write and files to change, by path; nothing is written before `write`."""

    files: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path, template: str, values: Mapping[str, Any]) -> None:
        """A new file. Raises UsageError when it is there already."""
        if path.exists():
            raise UsageError(f"{path} exists already; change it, or choose another name.")
        self.files[path] = rendered(template, values)

    def append(self, path: Path, template: str, values: Mapping[str, Any]) -> None:
        """What comes at the end of a file."""
        before = self.files.get(path) or path.read_text(encoding="utf-8")
        self.files[path] = before + rendered(template, values)

    def write(self) -> list[Path]:
        """Write all of it; returns the paths."""
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(self.files)


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template."""
    return _TEMPLATES.get_template(template).render(values)


def require_name(name: str, what: str) -> str:
    """Raise UsageError for a name that is no lower_case name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{what} {name!r} must be lower_case letters, digits and underscores.")
    return name

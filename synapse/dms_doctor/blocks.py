"""Settings by name, however they are spelt: AWS's API, extra connection attributes, Terraform."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from synapse.errors import UsageError

_TRUE = {"true", "y", "yes", "1"}
_FALSE = {"false", "n", "no", "0"}


def plain(name: str) -> str:
    """One spelling of DataFormat, dataFormat, data_format and data-format."""
    return name.replace("_", "").replace("-", "").casefold()


@dataclass(frozen=True)
class Setting:
    """A setting as found. value: None where it is absent; path: where it is or would be."""

    value: Any
    path: str

    @property
    def is_set(self) -> bool:
        """Whether someone chose a value; AWS and Terraform write '' and 0 for 'not chosen'."""
        return (self.value is not None and self.value not in ("", 0)) or self.value is False

    def shown(self, default: object) -> str:
        """The value for people, with the default that holds in its absence."""
        if self.is_set:
            return self.value if isinstance(self.value, str) else json.dumps(self.value)
        if default == "":
            return "(absent)"
        return f"(absent: {default if isinstance(default, str) else json.dumps(default)})"

    def flag(self, *, default: bool) -> bool:
        """Its value as a truth value; raises UsageError for anything else."""
        if not self.is_set:
            return default
        word = self.text().casefold()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise UsageError(f"{self.path} is {self.value!r}; DMS takes true or false here")

    def number(self, *, default: int) -> int:
        """Its value as a whole number; raises UsageError for anything else."""
        if not self.is_set:
            return default
        try:
            return int(self.text())
        except ValueError:
            raise UsageError(
                f"{self.path} is {self.value!r}; DMS takes a whole number here"
            ) from None

    def text(self, *, default: str = "") -> str:
        """Its value as text; raises UsageError for a value that a template computes."""
        if isinstance(self.value, dict | list):
            raise UsageError(
                f"{self.path} is {json.dumps(self.value)}, which only the template's engine can "
                "work out: give what `aws dms describe-endpoints` and `describe-replication-tasks` "
                "print of the deployed set-up"
            )
        return str(self.value).strip() if self.is_set else default


@dataclass
class Block:
    """A JSON object whose members are asked for by name, in any spelling."""

    path: str
    members: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, path: str) -> Block:
        """The block of a parsed JSON object; empty for anything else."""
        if isinstance(value, list) and len(value) == 1:
            # Terraform writes a nested block as a list of one.
            value = value[0]
        found = value if isinstance(value, dict) else {}
        return cls(path, {plain(name): (name, item) for name, item in found.items()})

    def has(self, *names: str) -> bool:
        """Whether any member of those names is there."""
        return any(plain(name) in self.members for name in names)

    def setting(self, name: str) -> Setting:
        """The member of that name."""
        spelt, value = self.members.get(plain(name), (name, None))
        return Setting(value, f"{self.path}.{spelt}")

    def block(self, name: str) -> Block:
        """The object that the member of that name holds."""
        found = self.setting(name)
        return Block.of(embedded(found), found.path)

    def over(self, other: Block) -> Block:
        """This block, completed by what only the other one sets.

        The paths of the other block's members stay theirs.
        """
        return Layered(self.path, self.members, other)


@dataclass
class Layered(Block):
    """A block that looks into another one for what it does not set itself."""

    below: Block = field(default_factory=lambda: Block(""))

    def setting(self, name: str) -> Setting:
        """The member of that name, from the first of the two that sets it."""
        own = super().setting(name)
        other = self.below.setting(name)
        return other if other.is_set and not own.is_set else own


def embedded(found: Setting) -> Any:
    """The value of a setting that may be JSON in a string, as AWS's answers have it."""
    value = found.value
    if isinstance(value, dict) and list(value) == ["Fn::Sub"]:
        value = value["Fn::Sub"]
    if isinstance(value, dict) and any(name == "Ref" or name[:4] == "Fn::" for name in value):
        found.text()
    if not isinstance(value, str) or not value.strip():
        return value
    if value.lstrip().startswith("file://"):
        raise UsageError(f"{found.path} points at {value}: give that file too, with another --dms")
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{found.path} holds JSON in a string that breaks off at its line {error.lineno}, "
            f"column {error.colno}: {error.msg}. Export the task again with "
            "`aws dms describe-replication-tasks`"
        ) from None


def attributes(text: str, path: str) -> Block:
    """Extra connection attributes (`dataFormat=parquet;timestampColumnName=…`) as a block."""
    members = {}
    for part in text.split(";"):
        name, separator, value = part.partition("=")
        if separator and name.strip():
            members[plain(name.strip())] = (name.strip(), value.strip())
    return Block(path, members)

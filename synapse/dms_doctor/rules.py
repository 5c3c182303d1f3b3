"""DMS table mappings: what a task selects, and under which names it lands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from synapse.declarations import DmsTable
from synapse.dms_doctor.blocks import Block, Setting
from synapse.dms_doctor.documents import Task, mapping_rules


@dataclass(frozen=True)
class Rule:
    """One mapping rule. Patterns know one wildcard, %."""

    block: Block
    path: str

    def text(self, name: str) -> str:
        """A member of the rule as text."""
        return self.block.setting(name).text()

    @property
    def action(self) -> str:
        """include, exclude, rename, add-column, ..."""
        return self.text("rule-action").casefold()

    @property
    def level(self) -> str:
        """What it transforms: schema, table or column."""
        return self.text("rule-target").casefold()

    def pattern(self, level: str) -> str:
        """The pattern of that part of its locator; % where it names none."""
        return self.block.block("object-locator").setting(f"{level}-name").text(default="%")

    def covers(self, schema: str, table: str | None = None, column: str | None = None) -> bool:
        """Whether the locator matches these names of the source."""
        return all(
            name is None or matches(self.pattern(level), name)
            for level, name in (("schema", schema), ("table", table), ("column", column))
        )

    def renamed(self, name: str) -> str:
        """What the transformation makes of a name that it covers."""
        value, old = self.text("value"), self.text("old-value")
        if self.action == "rename":
            return value
        if self.action == "convert-lowercase":
            return name.lower()
        if self.action == "convert-uppercase":
            return name.upper()
        if self.action == "add-prefix":
            return value + name
        if self.action == "add-suffix":
            return name + value
        if self.action == "remove-prefix":
            return name.removeprefix(value)
        if self.action == "remove-suffix":
            return name.removesuffix(value)
        if self.action == "replace-prefix" and name.startswith(old):
            return value + name.removeprefix(old)
        if self.action == "replace-suffix" and name.endswith(old):
            return name.removesuffix(old) + value
        return name

    def origins(self, name: str) -> set[str]:
        """Names of the source that this transformation might have made into `name`."""
        value, old = self.text("value"), self.text("old-value")
        exact = self.pattern(self.level)
        found = {exact} if self.action == "rename" and "%" not in exact else set()
        if self.action in ("convert-lowercase", "convert-uppercase"):
            found |= {name.lower(), name.upper()}
        if self.action == "add-prefix":
            found.add(name.removeprefix(value))
        if self.action == "add-suffix":
            found.add(name.removesuffix(value))
        if self.action == "remove-prefix":
            found.add(value + name)
        if self.action == "remove-suffix":
            found.add(name + value)
        if self.action == "replace-prefix":
            found.add(old + name.removeprefix(value))
        if self.action == "replace-suffix":
            found.add(name.removesuffix(value) + old)
        return found


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a locator; [_] and [%] stand for the characters themselves."""
    parts = re.split(r"(%|\[_\]|\[%\])", pattern)
    expression = "".join(
        ".*" if part == "%" else re.escape(part[1]) if part[:1] == "[" else re.escape(part)
        for part in parts
    )
    return re.fullmatch(expression, name, re.DOTALL) is not None


@dataclass(frozen=True)
class Selected:
    """A declared table, and the table of the source that lands as it."""

    table: DmsTable
    schema: str
    name: str


@dataclass
class Mapping:
    """What the rules of one task make of the source."""

    task: Task

    @cached_property
    def rules(self) -> list[Rule]:
        """All rules in order."""
        return [Rule(block, path) for block, path in mapping_rules(self.task)]

    def of_type(self, rule_type: str) -> list[Rule]:
        """Rules of that rule-type."""
        return [rule for rule in self.rules if rule.text("rule-type").casefold() == rule_type]

    @cached_property
    def selections(self) -> list[Rule]:
        """The selection rules."""
        return self.of_type("selection")

    @cached_property
    def transformations(self) -> list[Rule]:
        """The transformation rules."""
        return self.of_type("transformation")

    @property
    def target_schema(self) -> Setting | None:
        """The setting that puts all tables under one schema, where it is set."""
        if self.task.settings is None:
            return None
        found = self.task.settings.block("TargetMetadata").setting("TargetSchema")
        return found if found.is_set else None

    def selects(self, schema: str, table: str) -> bool:
        """Whether the task takes that table of the source."""
        # Names are tried in several cases: what is left out in one must not come back in another.
        left_out = any(
            matches(rule.pattern("schema").casefold(), schema.casefold())
            and matches(rule.pattern("table").casefold(), table.casefold())
            for rule in self.selections
            if rule.action == "exclude"
        )
        return not left_out and any(
            rule.action in ("include", "explicit") and rule.covers(schema, table)
            for rule in self.selections
        )

    def lands_as(self, schema: str, table: str) -> tuple[str, str]:
        """Schema and table folder under which a table of the source lands."""
        to_schema, to_table = schema, table
        for rule in self.transformations:
            if rule.level == "schema" and rule.covers(schema):
                to_schema = rule.renamed(to_schema)
            elif rule.level == "table" and rule.covers(schema, table):
                to_table = rule.renamed(to_table)
        if self.target_schema is not None:
            to_schema = self.target_schema.text()
        return to_schema, to_table

    def source_of(self, table: DmsTable) -> Selected | None:
        """The table of the source that lands where ingest looks for the declared one."""
        for schema, name in self._candidates(table):
            folder = "/".join(self.lands_as(schema, name))
            if self.selects(schema, name) and folder in table.prefixes:
                return Selected(table, schema, name)
        return None

    def moved(self, table: DmsTable) -> tuple[str, str] | None:
        """Where the table lands when it is selected but lands elsewhere."""
        for schema, name in self._candidates(table):
            same = (schema.casefold(), name.casefold()) == (
                table.schema.casefold(),
                table.name.casefold(),
            )
            if same and self.selects(schema, name):
                return self.lands_as(schema, name)
        return None

    def _candidates(self, table: DmsTable) -> list[tuple[str, str]]:
        """Tables of the source that might land as the declared one; itself first."""
        schemas = {table.schema, table.schema.lower(), table.schema.upper()}
        names = {table.name, table.name.lower(), table.name.upper()}
        for rule in self.transformations:
            if rule.level == "schema":
                schemas |= rule.origins(table.schema)
            elif rule.level == "table":
                names |= rule.origins(table.name)
        for rule in self.selections:
            schemas |= _exact(rule.pattern("schema"))
            names |= _exact(rule.pattern("table"))
        pairs = [(schema, name) for schema in schemas for name in names]
        return sorted(pairs, key=lambda pair: (pair != (table.schema, table.name), pair))

    def column_rules(self, selected: Selected) -> list[Rule]:
        """Transformations of the columns of that table."""
        return [
            rule
            for rule in self.transformations
            if rule.level == "column" and rule.covers(selected.schema, selected.name)
        ]


def _exact(pattern: str) -> set[str]:
    plain = pattern.replace("[_]", "_").replace("[%]", "\0")
    return set() if "%" in plain else {plain.replace("\0", "%")}

"""Checks of the columns that a task's mapping rules add, rename, remove or change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from synapse.declarations import Column
from synapse.dms_doctor.documents import Task
from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.rules import Mapping, Rule, Selected
from synapse.ingest.lossless import conversion

# DMS builds the number of 16 digits of time and 19 that count.
_SEQUENCE_DIGITS = 35
_SEQUENCE = "$AR_H_CHANGE_SEQ"
_BEFORE_PREFIX = "BI_"
# Type names of DMS mapping rules and what a Parquet file then holds, in DuckDB's words.
_PHYSICAL = {
    "string": "VARCHAR",
    "wstring": "VARCHAR",
    "clob": "VARCHAR",
    "nclob": "VARCHAR",
    "int1": "TINYINT",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "uint1": "UTINYINT",
    "uint2": "USMALLINT",
    "uint4": "UINTEGER",
    "uint8": "UBIGINT",
    "real4": "FLOAT",
    "real8": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "bytes": "BLOB",
    "blob": "BLOB",
}


def check_columns(task: Task, mapping: Mapping, selected: list[Selected]) -> Iterator[Finding]:
    """All checks of columns; findings that differ in nothing but the table become one."""
    merged: dict[Finding, tuple[str, ...]] = {}
    for item in selected:
        for finding in _of_table(task, mapping, item):
            merged[finding] = (*merged.get(finding, ()), item.table.source)
    for finding, tables in merged.items():
        yield replace(finding, tables=tables)


def _of_table(task: Task, mapping: Mapping, item: Selected) -> Iterator[Finding]:
    rules = mapping.column_rules(item)
    if task.has_changes:
        yield from _sequence(task, mapping, item, rules)
        yield from _before_image(task, mapping, rules)
    yield from _names(task, item, rules)
    yield from _types(task, item, rules)
    yield from _masks(task, item, rules)


def _mappings_path(mapping: Mapping) -> str:
    found = mapping.task.mappings
    return f"{found.path}.rules" if found is not None else "TableMappings"


def _sequence(task: Task, mapping: Mapping, item: Selected, rules: list[Rule]) -> Iterator[Finding]:
    table = item.table
    adds = [rule for rule in rules if rule.action == "add-column"]
    ours = [
        rule for rule in adds if rule.text("value").casefold() == table.sequence_column.casefold()
    ]
    mapped = [rule for rule in adds if "AR_H_CHANGE_SEQ" in rule.text("expression")]
    cure = (
        f"a rule add-column with value {table.sequence_column}, expression {_SEQUENCE} and "
        'data-type {"type": "string", "length": 50} on the table'
    )
    if not table.sequence:
        if mapped:
            yield Finding(
                "sequence_undeclared",
                Severity.warning,
                task.subject,
                f"{mapped[0].path}.expression",
                mapped[0].text("expression"),
                "The declaration says `sequence: false`, so changes are ordered by commit time, "
                "and those of one transaction by their content, although DMS tells their order.",
                "`cdc.sequence: true` in models/bronze/_dms__sources.yml",
            )
        return
    if not ours:
        named = mapped[0].text("value") if mapped else ""
        yield Finding(
            "sequence_column",
            Severity.error,
            task.subject,
            f"{mapped[0].path}.value" if mapped else _mappings_path(mapping),
            named or "(no rule maps $AR_H_CHANGE_SEQ)",
            f"The declaration says that changes carry {table.sequence_column}. Without it, "
            "changes of one key within one transaction (or one second, on MySQL) have no order: "
            "the older may win.",
            f"{cure}; or `cdc.sequence: false` in models/bronze/_dms__sources.yml",
        )
        return
    data_type = ours[0].block.block("data-type")
    kind, length = data_type.setting("type").text().casefold(), data_type.setting("length")
    digits = length if kind != "numeric" else data_type.setting("precision")
    fits = kind in ("string", "wstring", "numeric") and digits.number(default=0) >= _SEQUENCE_DIGITS
    if ours[0].text("expression") != _SEQUENCE or not fits:
        yield Finding(
            "sequence_type",
            Severity.error,
            task.subject,
            ours[0].path,
            f"{ours[0].text('expression') or '(no expression)'} as {kind or '(no type)'}"
            f"({digits.text()})",
            f"The sequence is a number of {_SEQUENCE_DIGITS} digits: cut, computed with, or in a "
            "type that does not hold it, it no longer orders changes.",
            cure,
        )


def _before_image(task: Task, mapping: Mapping, rules: list[Rule]) -> Iterator[Finding]:
    adds = [rule for rule in rules if rule.action == "add-before-image-columns"]
    cure = (
        'a rule add-before-image-columns with before-image-def {"column-prefix": "BI_", '
        '"column-suffix": "", "column-filter": "pk-only"} on the table'
    )
    if not adds:
        yield Finding(
            "before_image",
            Severity.warning,
            task.subject,
            _mappings_path(mapping),
            "(no rule adds before images)",
            "When a key changes at the source, only the row under its new key lands: without "
            "BI_<key>, the row under the old key lives on in silver for ever.",
            cure,
        )
        return
    image = adds[0].block.block("before-image-def")
    prefix, suffix = image.setting("column-prefix"), image.setting("column-suffix")
    if prefix.text(default=_BEFORE_PREFIX).upper() != _BEFORE_PREFIX or suffix.text():
        yield Finding(
            "before_image_name",
            Severity.warning,
            task.subject,
            image.path,
            f"{prefix.text(default=_BEFORE_PREFIX)}<key>{suffix.text()}",
            "Ingest knows the key before a change by the name BI_<key>; under another name it is "
            "an unknown column, and a changed key leaves its old row alive.",
            cure,
        )
    chosen = image.setting("column-filter")
    if chosen.text(default="pk-only") != "pk-only":
        yield Finding(
            "before_image_filter",
            Severity.warning,
            task.subject,
            chosen.path,
            chosen.text(),
            "Ingest uses the key's before image alone. The others double each file, are reported "
            "as drift, and hold personal data that no model needs.",
            "column-filter = pk-only",
        )


def _names(task: Task, item: Selected, rules: list[Rule]) -> Iterator[Finding]:
    """Declared columns that would not be in the file."""
    included = [rule for rule in rules if rule.action == "include-column"]
    for column in item.table.columns:
        if _lands(column.name, item, rules, included):
            continue
        cause = next(
            (
                rule
                for rule in rules
                if rule.covers(item.schema, item.name, column.name)
                and (rule.action == "remove-column" or _renames(rule, column.name))
            ),
            included[0] if included else rules[0],
        )
        is_key = column.name in item.table.key
        yield Finding(
            "column_missing",
            Severity.error,
            task.subject,
            cause.path,
            f"{cause.action} {item.table.schema}.{item.table.name}.{column.name}",
            f"{column.name} is "
            + (
                "the key: every file of the table would be refused (rule key_present)."
                if is_key
                else "declared but would not be in the files: it is NULL in silver, and what DMS "
                "left out cannot be had again but by a reload."
            ),
            "drop the rule, or declare the column under the name with which it lands",
        )


def _renames(rule: Rule, name: str) -> bool:
    return rule.renamed(name).casefold() != name.casefold()


def _lands(name: str, item: Selected, rules: list[Rule], included: list[Rule]) -> bool:
    candidates = {name}
    for rule in rules:
        candidates |= rule.origins(name)
    return any(
        _lands_as(candidate, item, rules, included) == name.casefold() for candidate in candidates
    )


def _lands_as(column: str, item: Selected, rules: list[Rule], included: list[Rule]) -> str | None:
    """Under which name a column of the source lands; None when it does not."""
    if included and not any(rule.covers(item.schema, item.name, column) for rule in included):
        return None
    name = column
    for rule in rules:
        if not rule.covers(item.schema, item.name, column):
            continue
        if rule.action == "remove-column":
            return None
        # Rules that add a column have a value too, which is not a new name of this one.
        if rule.action not in ("add-column", "add-before-image-columns"):
            name = rule.renamed(name)
    return name.casefold()


def _types(task: Task, item: Selected, rules: list[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if rule.action != "change-data-type":
            continue
        data_type = rule.block.block("data-type")
        physical = _physical(
            data_type.setting("type").text().casefold(),
            data_type.setting("precision").number(default=38),
            data_type.setting("scale").number(default=0),
        )
        for column in _covered(rule, item):
            how = conversion("value", physical, column)
            if how is not None and how.test is None:
                continue
            yield Finding(
                "column_type",
                Severity.error if how is None else Severity.warning,
                task.subject,
                f"{rule.path}.data-type",
                f"{data_type.setting('type').text()} for {item.table.source}.{column.name}",
                f"{column.name} is declared {column.data_type}: "
                + (
                    "no value of this type becomes that without loss, so every file is refused "
                    "(rule column_type)."
                    if how is None
                    else "values of this type that do not become that without loss are refused "
                    "row by row (rule column_type)."
                ),
                "drop the rule: DMS's own type is converted without loss where that is possible",
            )


def _physical(name: str, precision: int, scale: int) -> str:
    return f"DECIMAL({precision},{scale})" if name == "numeric" else _PHYSICAL.get(name, "BLOB")


def _covered(rule: Rule, item: Selected) -> list[Column]:
    return [
        column for column in item.table.columns if rule.covers(item.schema, item.name, column.name)
    ]


def _masks(task: Task, item: Selected, rules: list[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if not re.fullmatch(r"data-masking-.*", rule.action):
            continue
        for column in _covered(rule, item):
            is_key = column.name in item.table.key
            yield Finding(
                "column_masked",
                Severity.error if is_key else Severity.warning,
                task.subject,
                rule.path,
                f"{rule.action} {item.table.source}.{column.name}",
                f"{column.name} would land masked: "
                + (
                    "as the key it no longer joins other tables, and two rows may get one key."
                    if is_key
                    else "silver never has the source's value. Gold shows no raw personal data in "
                    "any case."
                ),
                "drop the rule, unless the value must not leave the source",
            )

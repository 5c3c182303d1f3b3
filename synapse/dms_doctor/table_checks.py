"""Checks of which tables a task lands, and where, against the declared ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from synapse.declarations import Declarations
from synapse.dms_doctor.documents import Task
from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.rules import Mapping, Rule, Selected


def landed(mapping: Mapping, declarations: Declarations) -> list[Selected]:
    """The declared tables that the task lands where ingest looks for them."""
    found = (mapping.source_of(table) for table in declarations.tables)
    return [selected for selected in found if selected is not None]


def check_tables(task: Task, mapping: Mapping, declarations: Declarations) -> Iterator[Finding]:
    """Tables that land under other names, are not declared, or land only in part."""
    yield from _moved(task, mapping, declarations)
    yield from _undeclared(task, mapping, declarations)
    yield from _filtered(task, mapping)
    yield from _segmented(task, mapping)


def _moved(task: Task, mapping: Mapping, declarations: Declarations) -> Iterator[Finding]:
    for table in declarations.tables:
        if mapping.source_of(table) is not None:
            continue
        lands = mapping.moved(table)
        if lands is None:
            continue
        cause = next(
            (
                rule.path
                for rule in mapping.transformations
                if rule.level in ("schema", "table")
                and rule.covers(table.schema, table.name if rule.level == "table" else None)
            ),
            mapping.target_schema.path if mapping.target_schema else task.subject,
        )
        schema, name = lands
        yield Finding(
            "table_renamed",
            Severity.error,
            task.subject,
            cause,
            f"lands in {schema}/{name}/",
            f"Ingest looks for {table.schema}.{table.name} in {', '.join(table.prefixes)}; capital "
            "letters count in S3. What lands elsewhere is reported as unknown and not read.",
            f"drop the renaming rule, or declare `cdc.prefixes: [{schema}/{name}]` for the table "
            "in models/bronze/_dms__sources.yml",
            (table.source,),
        )


def _undeclared(task: Task, mapping: Mapping, declarations: Declarations) -> Iterator[Finding]:
    folders = {prefix for table in declarations.tables for prefix in table.prefixes}
    for rule in mapping.selections:
        schema, name = rule.pattern("schema"), rule.pattern("table")
        if rule.action not in ("include", "explicit"):
            continue
        if "%" in schema + name:
            yield Finding(
                "wildcard_selection",
                Severity.info,
                task.subject,
                f"{rule.path}.object-locator",
                f"{schema}.{name}",
                "A table that is added to the source lands at once; until it is declared, ingest "
                "reports it and silver does not have it.",
                "declare new tables in models/bronze/_dms__sources.yml, or name the tables here",
            )
            continue
        folder = "/".join(mapping.lands_as(schema, name))
        is_declared_elsewhere = any(
            (table.schema.casefold(), table.name.casefold()) == (schema.casefold(), name.casefold())
            for table in declarations.tables
        )
        if folder not in folders and not is_declared_elsewhere and mapping.selects(schema, name):
            yield Finding(
                "table_undeclared",
                Severity.warning,
                task.subject,
                f"{rule.path}.object-locator",
                f"{schema}.{name}",
                f"It lands in {folder}/ and nothing reads it: models/bronze declares no such "
                "table.",
                "declare it in models/bronze/_dms__sources.yml (key, columns), or leave it out of "
                "the task",
            )


def _filtered(task: Task, mapping: Mapping) -> Iterator[Finding]:
    for rule in mapping.selections:
        filters = rule.block.setting("filters")
        if filters.value:
            yield Finding(
                "row_filter",
                Severity.warning,
                task.subject,
                filters.path,
                filters.shown(""),
                "Rows outside the filter do not land; a row that an update moves out of it stays "
                "in silver as it was, since no delete lands.",
                "leave the filter out and filter in a model",
            )


def _segmented(task: Task, mapping: Mapping) -> Iterator[Finding]:
    for rule in mapping.of_type("table-settings"):
        parallel = rule.block.block("parallel-load")
        kind = parallel.setting("type")
        if kind.text().casefold() != "ranges" or parallel.setting("segment-names").is_set:
            continue
        yield Finding(
            "parallel_load",
            Severity.error,
            task.subject,
            kind.path,
            kind.text(),
            "DMS names load files SEGMENT1_LOAD00000001 where a segment has no name of its own. "
            "Ingest knows a load file by the name LOAD and eight digits: it would take these for "
            "change files, and their transfer time for a commit time.",
            'parallel-load type "ranges" with segment-names, or no parallel-load rule',
        )


def check_coverage(mappings: list[Mapping], declarations: Declarations) -> Iterator[Finding]:
    """Declared tables that no task lands, and those that two tasks write to the same files."""
    takers: dict[str, list[Mapping]] = defaultdict(list)
    for mapping in mappings:
        for selected in landed(mapping, declarations):
            takers[selected.table.source].append(mapping)
    where = mappings[0]
    missing = tuple(
        table.source
        for table in declarations.tables
        if table.source not in takers and not any(mapping.moved(table) for mapping in mappings)
    )
    if missing:
        yield Finding(
            "table_not_selected",
            Severity.warning,
            ", ".join(sorted(mapping.task.subject for mapping in mappings)),
            f"{where.task.block.path}.TableMappings" if len(mappings) == 1 else "TableMappings",
            f"not selected: {', '.join(missing)}",
            "A declared table without files counts as empty: silver and what is built on it have "
            "no rows of it.",
            "a selection rule that includes it (or its own task, given with another --dms); or "
            "remove its declaration",
            missing,
        )
    for source, chosen in takers.items():
        loads = [mapping for mapping in chosen if mapping.task.has_load]
        changes = [mapping for mapping in chosen if mapping.task.has_changes]
        if len(loads) > 1 or len(changes) > 1:
            yield Finding(
                "two_tasks",
                Severity.error,
                ", ".join(sorted(mapping.task.subject for mapping in chosen)),
                "TableMappings",
                source,
                "Two tasks write the same table's files under the same names: one overwrites what "
                "the other landed.",
                "one task a table, or a full-load task and a cdc task",
                (source,),
            )


def rule_tables(rule: Rule, selected: list[Selected]) -> tuple[str, ...]:
    """Which of the tables a rule is about."""
    return tuple(item.table.source for item in selected if rule.covers(item.schema, item.name))

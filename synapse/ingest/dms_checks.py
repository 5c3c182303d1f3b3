"""The hard rules for a DMS Parquet file (CONTRACT 1.3), compiled to one SQL predicate a rule."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from synapse.declarations import Column, DmsTable
from synapse.ingest.lossless import compare_types, conversion, family, sql_type
from synapse.ingest.model import DriftKind, Kind

# Zone-less on purpose: DMS writes UTC, and an offset here would be read as if it were not there.
_COMMIT_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"

_COLUMNS_SHOWN = 40


@dataclass(frozen=True)
class RowRule:
    """A rule that single rows may break: `broken` is SQL that is true for a row that does."""

    rule: str
    column: str
    expectation: str
    broken: str


@dataclass
class Checks:
    """What to ask of every row of files with one layout, and how to read them.

    refused: (rule, sentence) when no row of such a file can be accepted. projection: SQL of each
    column that a rewritten file gets. rewrite: some column must be written in its declared type.
    transfer: SQL of the transfer time of a LOAD row, of the commit time of a change. layout: the
    columns of the file, name -> type. undeclared: name -> physical type. missing: declared columns
    that the file lacks. data: name -> physical type of what the source's table holds, declared or
    not, by its declared name.
    """

    rules: list[RowRule] = field(default_factory=list)
    projection: list[str] = field(default_factory=list)
    refused: tuple[str, str] | None = None
    rewrite: bool = False
    transfer: str = "cast(null as timestamp)"
    layout: dict[str, str] = field(default_factory=dict)
    undeclared: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> str:
        """SQL that is true for a row that breaks any rule."""
        return " or ".join(f"({rule.broken})" for rule in self.rules) or "false"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_COLUMNS_SHOWN])
    more = len(names) - _COLUMNS_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def compile_checks(table: DmsTable, kind: Kind, layout: dict[str, str]) -> Checks:
    """The checks for files whose columns are `layout` (name -> DuckDB type, in file order)."""
    present = {name.lower(): (name, physical) for name, physical in layout.items()}
    checks = Checks(layout=layout, data=_data_columns(table, layout))
    absent = [name for name in table.key if name.lower() not in present]
    if absent:
        checks.refused = (
            "key_present",
            f"the key of {table.schema}.{table.name} is ({', '.join(table.key)}) but the file has "
            f"no column {', '.join(absent)}; its columns are {_some(list(layout))}",
        )
        return checks
    _check_op(checks, table, kind, present)
    _check_commit_time(checks, table, kind, present)
    expected = _technical(table)
    if table.sequence_column.lower() in present:
        checks.projection.append(_named(present[table.sequence_column.lower()][0]))
    for column in table.columns:
        expected.add(column.name.lower())
        if column.name.lower() in present:
            _check_column(checks, column, *present[column.name.lower()])
        else:
            checks.missing.append(column.name)
    for key in table.key:
        before = f"BI_{key}"
        if before.lower() in present:
            _check_column(
                checks, Column(before, table.column(key).data_type), *present[before.lower()]
            )
        name = quoted(present[key.lower()][0])
        checks.rules.append(
            RowRule("key_present", key, "the key must not be NULL", f"{name} is null")
        )
    checks.undeclared = {
        name: physical for low, (name, physical) in present.items() if low not in expected
    }
    return checks


def _technical(table: DmsTable) -> set[str]:
    """Columns that DMS adds, in lower case; before images come of the key or of every column."""
    added = (table.op_column, table.commit_column, table.sequence_column)
    before = (f"BI_{column.name}" for column in table.columns)
    return {name.lower() for name in (*added, *before)}


def _data_columns(table: DmsTable, layout: dict[str, str]) -> dict[str, str]:
    declared = {column.name.lower(): column.name for column in table.columns}
    technical = _technical(table) - declared.keys()
    return {
        declared.get(name.lower(), name): physical
        for name, physical in layout.items()
        if name.lower() not in technical
    }


def _named(name: str, alias: str | None = None, value: str | None = None) -> str:
    return f"{value or quoted(name)} as {quoted(alias or name)}"


def _check_op(
    checks: Checks, table: DmsTable, kind: Kind, present: dict[str, tuple[str, str]]
) -> None:
    found = present.get(table.op_column.lower())
    if found is None:
        if kind is not Kind.LOAD and checks.refused is None:
            checks.refused = (
                "known_op",
                f"a change file needs the column {table.op_column}, without which an update cannot "
                "be told from a delete; set IncludeOpForFullLoad and CdcInsertsOnly=false in DMS",
            )
        return
    name = quoted(found[0])
    allowed = "('I')" if kind is Kind.LOAD else "('I', 'U', 'D')"
    given = f"coalesce({name}, 'I')" if kind is Kind.LOAD else f"coalesce({name}, '')"
    expectation = f"{table.op_column} must be one of {allowed}".replace("'", "")
    checks.rules.append(RowRule("known_op", found[0], expectation, f"{given} not in {allowed}"))
    checks.projection.append(_named(found[0]))


def _check_commit_time(
    checks: Checks, table: DmsTable, kind: Kind, present: dict[str, tuple[str, str]]
) -> None:
    found = present.get(table.commit_column.lower())
    kind_of = family(found[1]) if found else ""
    if found is None or kind_of not in ("text", "timestamp"):
        if kind is not Kind.LOAD or found is not None:
            what = f"is of type {found[1]}" if found else "is missing"
            checks.refused = checks.refused or (
                "commit_time",
                f"the commit time {table.commit_column} {what}; it must be text such as "
                "2026-01-31 12:00:00.000000 or a timestamp (TimestampColumnName in DMS)",
            )
        return
    name = quoted(found[0])
    moment = f"try_cast({name} as timestamp)"
    broken = "false"
    if kind_of == "text":
        broken = f"not regexp_full_match({name}, {literal(_COMMIT_TIME)}) or {moment} is null"
    checks.transfer = moment
    if kind is Kind.LOAD:
        broken = f"{name} is not null and ({broken})"
    else:
        broken = f"{name} is null or {broken}"
    expectation = "must be a moment such as 2026-01-31 12:00:00.000000"
    checks.rules.append(RowRule("commit_time", found[0], expectation, broken))
    checks.projection.append(_named(found[0]))


def _check_column(checks: Checks, column: Column, name: str, physical: str) -> None:
    how = conversion(quoted(name), physical, column)
    if how is None:
        checks.refused = checks.refused or (
            "column_type",
            f"column {name} is {physical}, which never becomes {column.data_type} without loss; "
            "declare another data_type or mend the source",
        )
        return
    if how.test is not None:
        checks.rules.append(
            RowRule(
                "column_type",
                name,
                f"must fit {column.data_type} without loss{_way_out(column, physical)}",
                f"{quoted(name)} is not null and not coalesce({how.test}, false)",
            )
        )
    checks.rewrite = checks.rewrite or not how.in_place
    checks.projection.append(_named(name, column.name, how.value))


def _way_out(column: Column, physical: str) -> str:
    if compare_types(sql_type(column), physical) is not DriftKind.WIDENED:
        return ""
    return (
        f" (the file's column is {physical} and holds more: declare such a type, "
        "then `synapse quarantine replay`)"
    )


def explain(rules: list[RowRule], broken: list[int], payload: str) -> tuple[str, str]:
    """(rule, sentence) for a row that breaks the rules at those positions."""
    row = orjson.loads(payload)
    first = rules[broken[0]]
    said = []
    for position in broken:
        rule = rules[position]
        value = row.get(rule.column)
        shown = "NULL" if value is None else repr(value if len(value) <= 80 else value[:77] + "...")
        said.append(f"{rule.column} is {shown}: {rule.expectation}")
    return first.rule, "; ".join(said)

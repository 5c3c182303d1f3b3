"""Runs one statement of any kind: what Trino knows goes to it as it is, the rest is translated."""

from __future__ import annotations

import re
from collections.abc import Callable

from athena_local.bridge import (
    ctas,
    ddl_reader,
    ddl_run,
    maintenance,
    partitions_run,
    show_run,
    unload,
    views,
)
from athena_local.bridge.context import QueryContext
from athena_local.bridge.errors import ApiError, ErrorType, QueryFailedError
from athena_local.bridge.literals import with_doubles
from athena_local.bridge.names import Reader
from athena_local.bridge.statements import HIVE_KINDS, Statement, StatementKind, classify
from athena_local.bridge.tokens import splice
from athena_local.bridge.values import column_info, plain_column

# Of the rows of DESCRIBE OUTPUT.
_COLUMN_NAME, _COLUMN_TYPE = 0, 4
_TIMESTAMP = re.compile(r"timestamp\((?P<precision>[0-9]+)\)(?P<zone>( with time zone)?)")
# These register what they run with ddl_run.run.
_REGISTERED = (partitions_run, show_run)


def run(statement: Statement, context: QueryContext) -> None:
    """Run a statement; its rows go to the context's writer.

    Raises:
        ApiError: the text does not follow Athena's grammar.
        QueryFailedError: it failed, with Athena's reason.
        QueryCancelledError: it was stopped.
    """
    if statement.kind not in HIVE_KINDS:
        statement = with_doubles(statement)
    _RUNNERS.get(statement.kind, _ddl)(statement, context)


def _select(statement: Statement, context: QueryContext) -> None:
    answer = context.run(statement.text, sink=context.writer.take)
    if not context.writer.column_info:
        context.writer.header(answer.columns)


def _change(statement: Statement, context: QueryContext) -> None:
    """INSERT, UPDATE, DELETE, MERGE."""
    answer = context.run(statement.text)
    _report_count(context, answer.update_count)


def _report_count(context: QueryContext, count: int | None) -> None:
    context.update_count = count or 0
    context.writer.column_info = [column_info("rows", {"rawType": "bigint"})]


def _ctas(statement: Statement, context: QueryContext) -> None:
    place = f"{context.output_location.rstrip('/')}/tables/{context.query_id}"
    creation = ctas.rewrite(statement, context.database, place)
    if creation.catalog == ctas.ICEBERG:
        _check_timestamps(creation, context)
    answer = context.run(creation.sql, session=creation.session)
    _report_count(context, answer.update_count)
    context.output = place


def _check_timestamps(creation: ctas.Creation, context: QueryContext) -> None:
    """Refuse what Athena refuses in a new Iceberg table: a timestamp without six digits.

    Trino would widen it by itself, and the statement would fail in production only. It is asked
    for the types alone: to plan the query twice costs a third of a run.
    """
    try:
        answer = context.run("DESCRIBE OUTPUT made", prepared={"made": creation.query}, quiet=True)
    except QueryFailedError:
        # The statement itself will say what is wrong, and where.
        return
    for row in answer.rows:
        name, type_name = row[_COLUMN_NAME], row[_COLUMN_TYPE]
        found = _TIMESTAMP.fullmatch(type_name)
        if found is not None and found["precision"] != "6":
            raise QueryFailedError(
                f"NOT_SUPPORTED: Timestamp precision ({found['precision']}) not supported for "
                f'Iceberg. Use "timestamp(6){found["zone"]}" instead. Column: {name}',
                type=ErrorType.ICEBERG,
                name="NOT_SUPPORTED",
            )


def _explain(statement: Statement, context: QueryContext) -> None:
    """EXPLAIN: Trino's plan; a statement of Athena's own within is translated first."""
    text = _explained(statement, context)
    answer = context.run(text)
    lines = [line for row in answer.rows for value in row for line in str(value).split("\n")]
    context.writer.lines([plain_column("Query Plan")], [["Query Plan"], *([one] for one in lines)])


def _explained(statement: Statement, context: QueryContext) -> str:
    reader = Reader(statement)
    reader.expect("EXPLAIN")
    reader.accept("ANALYZE")
    reader.accept("VERBOSE")
    token = reader.peek()
    if token is not None and token.is_symbol("("):
        while (token := reader.peek()) is not None and not token.is_symbol(")"):
            reader.at += 1
        reader.at += 1
    if reader.finished:
        raise reader.error("<statement>")
    start = statement.tokens[reader.at].start
    inner = classify(reader.rest())
    if inner.kind is not StatementKind.CTAS:
        return statement.text
    place = f"{context.output_location.rstrip('/')}/tables/{context.query_id}"
    translated = ctas.rewrite(inner, context.database, place).sql
    return splice(statement.text, [(start, len(statement.text), translated)])


def _drop_view(statement: Statement, context: QueryContext) -> None:
    reader = Reader(statement)
    reader.expect("DROP", "VIEW")
    if_exists = reader.accept("IF", "EXISTS")
    name = reader.table(context.database)
    reader.end()
    ddl_run.drop_view(name, if_exists, context)


def _ddl(statement: Statement, context: QueryContext) -> None:
    ddl_run.run(ddl_reader.read(statement, context.database), context)


def _done(_: Statement, __: QueryContext) -> None:
    """PREPARE and DEALLOCATE took effect when they were submitted."""


def _nested(statement: Statement, _: QueryContext) -> None:
    raise ApiError(f"line 1:1: {statement.kind.name} cannot be prepared")


_RUNNERS: dict[StatementKind, Callable[[Statement, QueryContext], None]] = {
    StatementKind.SELECT: _select,
    StatementKind.INSERT: _change,
    StatementKind.UPDATE: _change,
    StatementKind.DELETE: _change,
    StatementKind.MERGE: _change,
    StatementKind.CTAS: _ctas,
    StatementKind.CREATE_VIEW: views.create,
    StatementKind.DROP_VIEW: _drop_view,
    StatementKind.EXPLAIN: _explain,
    StatementKind.UNLOAD: unload.run,
    StatementKind.OPTIMIZE: maintenance.optimize,
    StatementKind.VACUUM: maintenance.vacuum,
    StatementKind.PREPARE: _done,
    StatementKind.DEALLOCATE: _done,
    StatementKind.EXECUTE: _nested,
}

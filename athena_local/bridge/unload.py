"""UNLOAD (query) TO 's3://…' WITH (…): a query's result as files.

Trino has no such statement: a table is created over the place and forgotten at once.
https://docs.aws.amazon.com/athena/latest/ug/unload.html
"""

from __future__ import annotations

from dataclasses import dataclass, field

from athena_local.bridge.context import QueryContext
from athena_local.bridge.ctas import HIVE, read_properties, text_of
from athena_local.bridge.errors import QueryFailedError
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import Statement
from athena_local.bridge.tokens import matching, quote_string

_FORMATS = frozenset({"AVRO", "JSON", "ORC", "PARQUET", "TEXTFILE"})


@dataclass(frozen=True)
class Unload:
    """What an UNLOAD says."""

    query: str
    location: str
    properties: dict[str, str]
    session: dict[str, str] = field(default_factory=dict)


def read(statement: Statement) -> Unload:
    """Read an UNLOAD.

    Raises:
        ApiError: it does not follow the grammar.
        QueryFailedError: a property that it does not have.
    """
    reader = Reader(statement)
    reader.expect("UNLOAD")
    tokens = list(statement.tokens)
    opening = reader.peek()
    if opening is None or not opening.is_symbol("("):
        raise reader.error("'('")
    closing = matching(tokens, reader.at)
    query = statement.text[tokens[reader.at].end : tokens[closing].start]
    reader.at = closing + 1
    reader.expect("TO")
    location = reader.string()
    given: dict[str, str] = {}
    if reader.accept("WITH"):
        opening = reader.peek()
        if opening is None or not opening.is_symbol("("):
            raise reader.error("'('")
        end = matching(tokens, reader.at)
        given = read_properties(statement, reader.at, end)
        reader.at = end + 1
    reader.end()
    if "format" not in given:
        raise QueryFailedError("MISSING_PROPERTY: UNLOAD needs the property format")
    file_format = text_of(given.pop("format")).upper()
    if file_format not in _FORMATS:
        raise QueryFailedError(f"INVALID_PROPERTY: UNLOAD cannot write the format {file_format}")
    properties = {"format": quote_string(file_format)}
    session = {}
    if "compression" in given:
        session[f"{HIVE}.compression_codec"] = text_of(given.pop("compression")).upper()
    if "partitioned_by" in given:
        properties["partitioned_by"] = given.pop("partitioned_by")
    if "field_delimiter" in given:
        properties["textfile_field_separator"] = given.pop("field_delimiter")
    given.pop("compression_level", None)
    if given:
        raise QueryFailedError(f"INVALID_PROPERTY: UNLOAD has no property {min(given)}")
    return Unload(query, location, properties, session)


def run(statement: Statement, context: QueryContext) -> None:
    """Write the files."""
    unload = read(statement)
    name = TableName(context.database, f"unload_{context.query_id.replace('-', '_')}")
    options = {"external_location": quote_string(unload.location), **unload.properties}
    clause = ", ".join(f"{key} = {value}" for key, value in options.items())
    try:
        answer = context.run(
            f"CREATE TABLE {name.in_catalog(HIVE)} WITH ({clause}) AS {unload.query}",
            session=unload.session,
        )
    finally:
        if context.glue.find(name) is not None:
            context.glue.delete(name)
    context.update_count = answer.update_count

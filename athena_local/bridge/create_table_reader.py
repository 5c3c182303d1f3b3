"""Reads CREATE TABLE: columns, partitions, row format, place and properties."""

from __future__ import annotations

from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.column_types import check_hive_type
from athena_local.bridge.ctas import partition_field
from athena_local.bridge.errors import ApiError
from athena_local.bridge.names import Reader
from athena_local.bridge.tokens import Kind, Token, matching

_DELIMITED_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"


def create_table(reader: Reader, database: str) -> ddl.CreateTable:
    """Read a whole CREATE TABLE without a query."""
    reader.expect("CREATE")
    external = reader.accept("EXTERNAL")
    reader.expect("TABLE")
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    made = ddl.CreateTable(reader.table(database), external, if_not_exists)
    token = reader.peek()
    if token is not None and token.is_symbol("("):
        made.columns = column_list(reader)
    while not reader.finished:
        _clause(reader, made)
    if not made.columns:
        raise ApiError("line 1:1: a table needs columns")
    return made


def _clause(reader: Reader, made: ddl.CreateTable) -> None:
    if reader.accept("COMMENT"):
        made.comment = reader.string()
    elif reader.accept("PARTITIONED", "BY"):
        _partitions(reader, made)
    elif reader.accept("CLUSTERED", "BY"):
        reader.expect_symbol("(")
        made.bucketed_by = _names(reader)
        reader.expect("INTO")
        made.bucket_count = int(reader.literal())
        reader.expect("BUCKETS")
    elif reader.accept("ROW", "FORMAT"):
        _row_format(reader, made)
    elif reader.accept("WITH", "SERDEPROPERTIES"):
        made.serde_properties |= properties(reader)
    elif reader.accept("STORED", "AS"):
        if reader.accept("INPUTFORMAT"):
            made.input_format = reader.string()
            reader.expect("OUTPUTFORMAT")
            made.output_format = reader.string()
        else:
            made.stored_as = reader.identifier().upper()
    elif reader.accept("LOCATION"):
        made.location = reader.string()
    elif reader.accept("TBLPROPERTIES"):
        made.properties = properties(reader)
    else:
        raise reader.error("'LOCATION', 'PARTITIONED', 'ROW', 'STORED', 'TBLPROPERTIES', <EOF>")


def _names(reader: Reader) -> list[str]:
    names = [reader.identifier()]
    while reader.accept_symbol(","):
        names.append(reader.identifier())
    reader.expect_symbol(")")
    return names


def column_list(reader: Reader) -> list[ddl.ColumnDef]:
    """Read `(name type [COMMENT 'text'], …)`."""
    reader.expect_symbol("(")
    columns = [column(reader)]
    while reader.accept_symbol(","):
        columns.append(column(reader))
    reader.expect_symbol(")")
    return columns


def column(reader: Reader) -> ddl.ColumnDef:
    """Read one column."""
    name = reader.identifier()
    hive_type = check_hive_type(column_type(reader))
    if reader.accept("NOT", "NULL"):
        raise ApiError("line 1:1: NOT NULL constraints are not supported by Athena's DDL")
    return ddl.ColumnDef(name, hive_type, reader.string() if reader.accept("COMMENT") else None)


def column_type(reader: Reader) -> str:
    """Read a type up to what ends it: a comma or bracket of the list, COMMENT, or the end."""
    depth = 0
    parts: list[str] = []
    while (token := reader.peek()) is not None:
        if token.kind is Kind.SYMBOL:
            if depth == 0 and token.text in ",)":
                break
            depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(token.text, 0)
        elif depth == 0 and parts:
            break
        elif depth > 0 and token.is_word("COMMENT") and _is_string(reader.peek(1)):
            # A comment within a struct has no place in Glue's type.
            reader.at += 2
            continue
        parts.append(token.text)
        reader.at += 1
    if not parts:
        raise reader.error("<type>")
    # A type that continues after its first word is followed by a bracket at once.
    return "".join(parts).lower()


def _is_string(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.STRING


def properties(reader: Reader) -> dict[str, str]:
    """Read `('key' = 'value', …)`."""
    return reader.pairs(reader.string, reader.string)


def _partitions(reader: Reader, made: ddl.CreateTable) -> None:
    """Read Hive's `(name type, …)` or Iceberg's `(name, transform(name), …)`."""
    reader.expect_symbol("(")
    while True:
        follows = reader.peek(1)
        if follows is not None and follows.kind is Kind.SYMBOL and follows.text in ",()":
            made.transforms.append(_transform(reader))
        else:
            made.partitions.append(column(reader))
        if not reader.accept_symbol(","):
            break
    reader.expect_symbol(")")


def _transform(reader: Reader) -> str:
    start = reader.tokens[reader.at]
    name = reader.identifier()
    token = reader.peek()
    if token is None or not token.is_symbol("("):
        return name
    closing = matching(list(reader.tokens), reader.at)
    reader.at = closing + 1
    text = reader.statement.text[start.start : reader.tokens[closing].end]
    return partition_field(text.replace("`", ""))


def _row_format(reader: Reader, made: ddl.CreateTable) -> None:
    if reader.accept("SERDE"):
        made.serde = reader.string()
        return
    reader.expect("DELIMITED")
    made.serde = _DELIMITED_SERDE
    named = made.serde_properties
    while True:
        if reader.accept("FIELDS", "TERMINATED", "BY"):
            named["field.delim"] = named["serialization.format"] = reader.string()
            if reader.accept("ESCAPED", "BY"):
                named["escape.delim"] = reader.string()
        elif reader.accept("COLLECTION", "ITEMS", "TERMINATED", "BY"):
            # Hive's own spelling.
            named["colelction.delim"] = reader.string()
        elif reader.accept("MAP", "KEYS", "TERMINATED", "BY"):
            named["mapkey.delim"] = reader.string()
        elif reader.accept("LINES", "TERMINATED", "BY"):
            named["line.delim"] = reader.string()
        elif reader.accept("NULL", "DEFINED", "AS"):
            named["serialization.null.format"] = reader.string()
        else:
            return

"""CREATE TABLE … AS SELECT: Athena's table properties become Trino's, the query stays as it is.

https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from athena_local.bridge.errors import ApiError, QueryFailedError
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import Statement
from athena_local.bridge.tokens import Kind, matching, quote_string, splice

HIVE = "awsdatacatalog"
ICEBERG = "iceberg"

_COMPRESSION = frozenset({"write_compression", "parquet_compression", "orc_compression"})
# Properties of Iceberg tables that Athena keeps with the table.
ICEBERG_PROPERTIES = frozenset(
    {
        "optimize_rewrite_data_file_threshold",
        "optimize_rewrite_delete_file_threshold",
        "optimize_rewrite_max_data_file_size_bytes",
        "optimize_rewrite_min_data_file_size_bytes",
        "vacuum_max_metadata_files_to_keep",
        "vacuum_max_snapshot_age_seconds",
        "vacuum_min_snapshots_to_keep",
        "write_data_path_enabled",
        "write_object_storage_enabled",
        "write_target_data_file_size_bytes",
    }
)
_HIVE_PROPERTIES = frozenset(
    {"bucket_count", "bucketed_by", "external_location", "field_delimiter", "format"}
    | {"partitioned_by", "compression_level"}
)


@dataclass(frozen=True)
class Creation:
    """A CREATE TABLE … AS for Trino, and what it makes."""

    name: TableName
    catalog: str
    sql: str
    query: str
    session: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


def rewrite(statement: Statement, database: str, default_location: str) -> Creation:
    """Rewrite one statement.

    Args:
        statement: a CREATE TABLE … AS.
        database: where a name without one belongs.
        default_location: where a Hive table goes whose statement names no place.

    Raises:
        ApiError: it is not well formed.
        QueryFailedError: a property that Athena does not have, or an impossible mix of them.
    """
    reader = Reader(statement)
    reader.expect("CREATE", "TABLE")
    reader.accept("IF", "NOT", "EXISTS")
    name_from = reader.at
    name = reader.table(database)
    name_span = (statement.tokens[name_from].start, statement.tokens[reader.at - 1].end)
    properties: dict[str, str] = {}
    with_span = (name_span[1], name_span[1])
    if reader.next_is("WITH"):
        opening = reader.at + 1
        if reader.peek(1) is None or not statement.tokens[opening].is_symbol("("):
            raise statement.error(opening, "'('")
        closing = matching(list(statement.tokens), opening)
        properties = read_properties(statement, opening, closing)
        with_span = (statement.tokens[reader.at].start, statement.tokens[closing].end)
        reader.at = closing + 1
    if not reader.next_is("AS"):
        raise reader.error("'AS'")
    reader.at += 1
    table_type = text_of(properties.pop("table_type", "'hive'")).lower()
    if table_type not in ("hive", "iceberg"):
        raise QueryFailedError(f"INVALID_TABLE_PROPERTY: unsupported table_type '{table_type}'")
    rewritten = (
        _iceberg(properties) if table_type == "iceberg" else _hive(properties, default_location)
    )
    catalog = ICEBERG if table_type == "iceberg" else HIVE
    clause = ", ".join(f"{key} = {value}" for key, value in rewritten.table.items())
    # As many lines as there were, so that the places in Trino's messages stay right.
    lines = statement.text.count("\n", name_span[1], with_span[1])
    sql = splice(
        statement.text,
        [
            (*name_span, name.in_catalog(catalog)),
            (*with_span, f" WITH ({clause})" + "\n" * lines),
        ],
    )
    return Creation(
        name=name,
        catalog=catalog,
        sql=sql,
        query=reader.rest(),
        session=rewritten.session,
        properties=rewritten.extra,
    )


@dataclass
class _Rewritten:
    table: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)


def read_properties(statement: Statement, opening: int, closing: int) -> dict[str, str]:
    """The properties between two brackets: name in lower case → text of the value."""
    found: dict[str, str] = {}
    at = opening + 1
    while at < closing:
        name = statement.tokens[at]
        if name.kind not in (Kind.WORD, Kind.QUOTED):
            raise statement.error(at, "<identifier>")
        if not statement.tokens[at + 1].is_symbol("="):
            raise statement.error(at + 1, "'='")
        end = at + 2
        while end < closing and not statement.tokens[end].is_symbol(","):
            opens = statement.tokens[end].kind is Kind.SYMBOL and statement.tokens[end].text in "(["
            end = (matching(list(statement.tokens), end) if opens else end) + 1
        if end == at + 2:
            raise statement.error(end, "<expression>")
        value = statement.text[statement.tokens[at + 2].start : statement.tokens[end - 1].end]
        key = name.text.lower()
        if key in found:
            raise QueryFailedError(f"DUPLICATE_PROPERTY: table property '{key}' is given twice")
        found[key] = value
        at = end + 1
    return found


def text_of(value: str) -> str:
    """The value of a string literal; other literals as they stand."""
    if value.startswith("'") and value.endswith("'"):
        return value[1:-1].replace("''", "'")
    return value


def _compression(properties: dict[str, str], catalog: str, session: dict[str, str]) -> None:
    for key in sorted(_COMPRESSION & properties.keys()):
        session[f"{catalog}.compression_codec"] = text_of(properties.pop(key)).upper()


def _hive(properties: dict[str, str], default_location: str) -> _Rewritten:
    out = _Rewritten()
    _compression(properties, HIVE, out.session)
    if text_of(properties.pop("is_external", "true")).lower() != "true":
        raise QueryFailedError("INVALID_TABLE_PROPERTY: is_external must be true for Hive tables")
    unknown = sorted(properties.keys() - _HIVE_PROPERTIES)
    if unknown:
        raise QueryFailedError(
            f"INVALID_TABLE_PROPERTY: table property '{unknown[0]}' does not exist"
        )
    properties.pop("compression_level", None)
    location = text_of(properties.pop("external_location", quote_string(default_location)))
    out.table["external_location"] = quote_string(location)
    out.table["format"] = quote_string(text_of(properties.pop("format", "'PARQUET'")).upper())
    delimiter = properties.pop("field_delimiter", None)
    if out.table["format"] == "'TEXTFILE'":
        # Athena's text files have \001 between fields unless told otherwise; so have Trino's.
        if delimiter is not None:
            out.table["textfile_field_separator"] = delimiter
    elif delimiter is not None:
        raise QueryFailedError("INVALID_TABLE_PROPERTY: field_delimiter needs format TEXTFILE")
    for key in ("partitioned_by", "bucketed_by", "bucket_count"):
        if key in properties:
            out.table[key] = properties[key]
    return out


def _iceberg(properties: dict[str, str]) -> _Rewritten:
    out = _Rewritten()
    _compression(properties, ICEBERG, out.session)
    if text_of(properties.pop("is_external", "true")).lower() != "false":
        raise QueryFailedError("INVALID_TABLE_PROPERTY: Iceberg tables need is_external = false")
    if "location" not in properties:
        raise QueryFailedError(
            "INVALID_TABLE_PROPERTY: Iceberg tables need the property 'location'"
        )
    out.table["location"] = properties.pop("location")
    out.table["format"] = quote_string(text_of(properties.pop("format", "'PARQUET'")).upper())
    if "partitioning" in properties:
        out.table["partitioning"] = partitioning(properties.pop("partitioning"))
    for key in sorted(properties.keys() & ICEBERG_PROPERTIES):
        out.extra[key] = text_of(properties.pop(key))
    properties.pop("compression_level", None)
    if properties:
        raise QueryFailedError(
            f"INVALID_TABLE_PROPERTY: table property '{min(properties)}' does not exist"
        )
    return out


_TRANSFORM = re.compile(r"^\s*(\w+)\s*\(\s*(.+?)\s*\)\s*$")


def partitioning(array: str) -> str:
    """An ARRAY of Athena's partition fields as Trino writes them."""
    inner = re.fullmatch(r"\s*ARRAY\s*\[(.*)\]\s*", array, re.IGNORECASE | re.DOTALL)
    if inner is None:
        raise ApiError(f"line 1:1: partitioning is not an array of strings: {array}")
    fields = [text_of(one) for one in re.findall(r"'(?:[^']|'')*'", inner[1])]
    return "ARRAY[" + ", ".join(quote_string(partition_field(one)) for one in fields) + "]"


def partition_field(text: str) -> str:
    """One partition field: `bucket(16, id)` is `bucket(id, 16)` to Trino, `Day(x)` `day(x)`."""
    found = _TRANSFORM.match(text)
    if found is None:
        return text.strip()
    transform = found[1].lower().removesuffix("s")
    arguments = [part.strip() for part in found[2].split(",")]
    if len(arguments) == 2 and arguments[0].isdigit():
        arguments.reverse()
    return f"{transform}({', '.join(arguments)})"

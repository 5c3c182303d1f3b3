"""Types between Athena's two halves: Hive's names in DDL and in Glue, Trino's in queries."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import ParseError

from athena_local.bridge.errors import ApiError

_HIVE_TYPES = frozenset(
    {"tinyint", "smallint", "int", "integer", "bigint", "boolean", "float", "double", "decimal"}
    | {"char", "varchar", "string", "binary", "date", "timestamp", "array", "map", "struct"}
)
# sqlglot has no Hive name of its own for these; Athena registers Trino's.
_KEPT = frozenset({"timestamp with time zone", "time", "time with time zone"})


def check_hive_type(text: str) -> str:
    """A type of Athena's DDL, as Glue keeps it.

    Raises:
        ApiError: there is no such type.
    """
    head = text.partition("<")[0].partition("(")[0]
    if head not in _HIVE_TYPES:
        raise ApiError(f"line 1:1: mismatched input '{text}'. Expecting: a type of Athena's DDL")
    if head == "decimal" and "(" not in text:
        return "decimal(10,0)"
    return "int" if text == "integer" else text


def trino_type(hive_type: str) -> str:
    """The type of an Iceberg column for Trino: a timestamp there has six digits."""
    try:
        parsed = exp.DataType.build(hive_type, dialect="hive")
    except ParseError as error:
        raise ApiError(f"line 1:1: the type {hive_type} cannot be read: {error}") from error
    for node in list(parsed.find_all(exp.DataType)):
        if node.this is exp.DataType.Type.TIMESTAMP:
            node.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(6))])
        elif node.this is exp.DataType.Type.DECIMAL and not node.expressions:
            node.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(10))])
    return parsed.sql("trino", identify=True)


def hive_type(trino: str) -> str:
    """The name that Glue keeps for a type of Trino's."""
    base = trino.partition("(")[0].strip()
    if trino.endswith("time zone") or base == "time":
        base = f"{base} with time zone" if trino.endswith("time zone") else base
        if base in _KEPT:
            return base
    parsed = exp.DataType.build(trino, dialect="trino")
    # Glue writes types without spaces, except within names.
    out = []
    quoted = False
    for char in parsed.sql("hive"):
        quoted = quoted != (char == "`")
        out.append(char if quoted or char != " " else "")
    return "".join(out).replace("`", "").lower()

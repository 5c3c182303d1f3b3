"""Which statement a text is: its kind, Athena's types for it, and its words.

Only the first words decide, so what Trino understands by itself reaches it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from athena_local.bridge.errors import ApiError, unsupported
from athena_local.bridge.tokens import Dialect, Kind, Token, place, splice, tokenize


class StatementKind(Enum):
    """What a statement does: Athena's (StatementType, SubstatementType)."""

    SELECT = ("DML", "SELECT")
    INSERT = ("DML", "INSERT")
    UPDATE = ("DML", "UPDATE")
    DELETE = ("DML", "DELETE")
    MERGE = ("DML", "MERGE")
    UNLOAD = ("DML", "UNLOAD")
    OPTIMIZE = ("DML", "OPTIMIZE")
    VACUUM = ("DML", "VACUUM")
    EXPLAIN = ("DML", "EXPLAIN")
    CTAS = ("DDL", "CREATE_TABLE_AS_SELECT")
    CREATE_VIEW = ("DDL", "CREATE_VIEW")
    DROP_VIEW = ("DDL", "DROP_VIEW")
    PREPARE = ("DDL", "PREPARE")
    EXECUTE = ("DML", "EXECUTE")
    DEALLOCATE = ("DDL", "DEALLOCATE_PREPARE")
    CREATE_DATABASE = ("DDL", "CREATE_DATABASE")
    DROP_DATABASE = ("DDL", "DROP_DATABASE")
    ALTER_DATABASE = ("DDL", "ALTER_DATABASE")
    CREATE_TABLE = ("DDL", "CREATE_TABLE")
    DROP_TABLE = ("DDL", "DROP_TABLE")
    ALTER_TABLE = ("DDL", "ALTER_TABLE")
    MSCK = ("DDL", "MSCK_REPAIR_TABLE")
    SHOW = ("UTILITY", "SHOW")
    DESCRIBE = ("UTILITY", "DESCRIBE")

    @property
    def statement_type(self) -> str:
        """DDL, DML or UTILITY."""
        return self.value[0]

    @property
    def subtype(self) -> str:
        """Athena's SubstatementType."""
        return self.value[1]


_BY_WORD = {
    "SELECT": StatementKind.SELECT,
    "WITH": StatementKind.SELECT,
    "VALUES": StatementKind.SELECT,
    "TABLE": StatementKind.SELECT,
    "INSERT": StatementKind.INSERT,
    "UPDATE": StatementKind.UPDATE,
    "DELETE": StatementKind.DELETE,
    "MERGE": StatementKind.MERGE,
    "UNLOAD": StatementKind.UNLOAD,
    "OPTIMIZE": StatementKind.OPTIMIZE,
    "VACUUM": StatementKind.VACUUM,
    "EXPLAIN": StatementKind.EXPLAIN,
    "PREPARE": StatementKind.PREPARE,
    "EXECUTE": StatementKind.EXECUTE,
    "DEALLOCATE": StatementKind.DEALLOCATE,
    "MSCK": StatementKind.MSCK,
    "SHOW": StatementKind.SHOW,
    "DESCRIBE": StatementKind.DESCRIBE,
    "DESC": StatementKind.DESCRIBE,
}
_HIVE_KINDS = frozenset(
    {
        StatementKind.CREATE_DATABASE,
        StatementKind.DROP_DATABASE,
        StatementKind.ALTER_DATABASE,
        StatementKind.CREATE_TABLE,
        StatementKind.DROP_TABLE,
        StatementKind.ALTER_TABLE,
        StatementKind.MSCK,
        StatementKind.SHOW,
        StatementKind.DESCRIBE,
        StatementKind.OPTIMIZE,
        StatementKind.VACUUM,
    }
)
# Trino would run these, Athena does not.
_REFUSED = frozenset(
    {"ANALYZE", "CALL", "COMMENT", "COMMIT", "DENY", "GRANT", "REFRESH", "RESET", "REVOKE"}
    | {"ROLLBACK", "SET", "START", "TRUNCATE", "USE"}
)


@dataclass(frozen=True)
class Statement:
    """One statement: its kind, its text without the closing semicolon, its tokens."""

    kind: StatementKind
    text: str
    tokens: tuple[Token, ...]

    def error(self, index: int, expected: str) -> ApiError:
        """The syntax error at token `index`."""
        if index < len(self.tokens):
            token = self.tokens[index]
            found, at = self.text[token.start : token.end], token.start
        else:
            found, at = "<EOF>", len(self.text)
        return ApiError(
            f"{place(self.text, at)}: mismatched input '{found}'. Expecting: {expected}",
            athena_code="MALFORMED_INPUT",
        )


def classify(sql: str) -> Statement:
    """Read one statement.

    Raises:
        ApiError: there is none, there are several, or Athena does not have it.
    """
    try:
        tokens = tokenize(sql)
    except ApiError:
        # Hive's escapes may be what Trino's rules stumble over.
        tokens = tokenize(sql, Dialect.HIVE)
    text, tokens = _one_statement(sql, tokens)
    kind = _kind(text, tokens)
    if kind in _HIVE_KINDS:
        tokens = tokenize(text, Dialect.HIVE)
    return Statement(kind, text, tuple(tokens))


def _one_statement(sql: str, tokens: list[Token]) -> tuple[str, list[Token]]:
    ends = [index for index, token in enumerate(tokens) if token.is_symbol(";")]
    if ends and any(not token.is_symbol(";") for token in tokens[ends[0] :]):
        raise ApiError(
            f"Only one sql statement is allowed. Got: {sql}", athena_code="MALFORMED_INPUT"
        )
    kept = tokens[: ends[0]] if ends else tokens
    if not kept:
        raise ApiError("Query is empty.", athena_code="MALFORMED_INPUT")
    return (sql[: tokens[ends[0]].start] if ends else sql), kept


def _kind(text: str, tokens: list[Token]) -> StatementKind:
    first = tokens[0]
    if first.is_symbol("("):
        return StatementKind.SELECT
    word = first.text.upper() if first.kind is Kind.WORD else ""
    if word in _BY_WORD:
        return _BY_WORD[word]
    following = [token.text.upper() for token in tokens[1:4] if token.kind is Kind.WORD]
    if word in ("CREATE", "DROP", "ALTER") and following:
        found = _ddl(word, following, tokens)
        if found is not None:
            return found
        raise unsupported(f"{word} {following[0]}")
    if word in _REFUSED:
        raise unsupported(word)
    shown = text[first.start : first.end]
    raise ApiError(
        f"{place(text, first.start)}: mismatched input '{shown}'. Expecting: 'ALTER', 'CREATE', "
        "'DEALLOCATE', 'DELETE', 'DESC', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', "
        "'MERGE', 'MSCK', 'OPTIMIZE', 'PREPARE', 'SHOW', 'UNLOAD', 'UPDATE', 'VACUUM', <query>",
        athena_code="MALFORMED_INPUT",
    )


def _ddl(word: str, following: list[str], tokens: list[Token]) -> StatementKind | None:
    noun = following[0]
    if noun in ("DATABASE", "SCHEMA"):
        return StatementKind[f"{word}_DATABASE"]
    if word == "CREATE" and noun == "EXTERNAL":
        return StatementKind.CREATE_TABLE
    if word == "CREATE" and (noun == "VIEW" or following[:3] == ["OR", "REPLACE", "VIEW"]):
        return StatementKind.CREATE_VIEW
    if word == "CREATE" and noun == "TABLE":
        return StatementKind.CTAS if _has_query(tokens) else StatementKind.CREATE_TABLE
    if word == "DROP" and noun == "VIEW":
        return StatementKind.DROP_VIEW
    if noun == "TABLE":
        return StatementKind[f"{word}_TABLE"]
    return None


def _has_query(tokens: list[Token]) -> bool:
    depth = 0
    for token in tokens:
        if token.kind is Kind.SYMBOL and token.text in "()":
            depth += 1 if token.text == "(" else -1
        elif depth == 0 and token.is_word("AS"):
            return True
    return False


def bind(sql: str, parameters: list[str]) -> str:
    """`sql` with its `?` replaced by `parameters`, each the text of an SQL expression.

    Raises:
        ApiError: their number differs from the number of `?`.
    """
    try:
        marks = [token for token in tokenize(sql) if token.is_symbol("?")]
    except ApiError:
        marks = []
    if len(marks) != len(parameters):
        raise ApiError(
            "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: "
            f"expected {len(marks)} but found {len(parameters)}",
            athena_code="INVALID_PARAMETER_USAGE",
        )
    edits = []
    for mark, value in zip(marks, parameters, strict=True):
        single = len(tokenize(value)) == 1
        # A whole expression stays one operand; a lone literal may stand after LIMIT.
        edits.append((mark.start, mark.end, value if single else f"({value})"))
    return splice(sql, edits)

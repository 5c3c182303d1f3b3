"""Athena's two SQLs as tokens with their place in the text.

sqlglot's tokenizer does the work, without keywords: every word stays a word, nothing is joined and
no command is swallowed whole. Text between tokens (comments, spaces) is never touched, so a
rewriting replaces spans and leaves the rest as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType
from sqlglot.tokens import Tokenizer

from athena_local.bridge.errors import ApiError


class _TrinoLexer(Tokenizer):
    """Trino's rules: "identifier", 'string', a quote is escaped by doubling it."""

    QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'"]
    IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ['"']
    STRING_ESCAPES: ClassVar[list[str]] = ["'"]
    COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--", ("/*", "*/")]
    NESTED_COMMENTS = False
    KEYWORDS: ClassVar[dict[str, TokenType]] = {}
    COMMANDS: ClassVar[set[TokenType]] = set()


class _HiveLexer(Tokenizer):
    """Hive's rules, which Athena's DDL follows: `identifier`, 'string' or "string", backslash."""

    QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'", '"']
    IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]
    STRING_ESCAPES: ClassVar[list[str]] = ["\\"]
    COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--", ("/*", "*/")]
    NESTED_COMMENTS = False
    KEYWORDS: ClassVar[dict[str, TokenType]] = {}
    COMMANDS: ClassVar[set[TokenType]] = set()


class Dialect(Enum):
    """Which of the two grammars a statement is written in."""

    TRINO = auto()
    HIVE = auto()


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    SYMBOL = auto()


_KINDS = {
    TokenType.VAR: Kind.WORD,
    TokenType.IDENTIFIER: Kind.QUOTED,
    TokenType.STRING: Kind.STRING,
    TokenType.NUMBER: Kind.NUMBER,
}
_HIVE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0", "Z": "\x1a"}


@dataclass(frozen=True)
class Token:
    """One token: `text` is its value without quotes, `start` and `end` its span."""

    kind: Kind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether this is one of `words`, unquoted, in any case."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_symbol(self, symbol: str) -> bool:
        """Whether this is the punctuation `symbol`."""
        return self.kind is Kind.SYMBOL and self.text == symbol


def tokenize(sql: str, dialect: Dialect = Dialect.TRINO) -> list[Token]:
    """The tokens of `sql`.

    Raises:
        ApiError: a quote or a comment is not closed.
    """
    lexer = (_TrinoLexer if dialect is Dialect.TRINO else _HiveLexer)()
    try:
        raw = lexer.tokenize(sql)
    except TokenError as error:
        raise ApiError(
            f"line 1:1: the statement cannot be split into words: {error}",
            athena_code="MALFORMED_INPUT",
        ) from error
    tokens = []
    for one in raw:
        kind = _KINDS.get(one.token_type, Kind.SYMBOL)
        start, end = one.start, one.end + 1
        text = one.text
        if kind is Kind.STRING and dialect is Dialect.HIVE:
            text = _hive_string(sql[start + 1 : end - 1])
        tokens.append(Token(kind, text, start, end))
    return tokens


def _hive_string(body: str) -> str:
    """The value of a Hive string literal, given what stands between its quotes."""
    out = []
    at = 0
    while at < len(body):
        char = body[at]
        if char != "\\" or at + 1 == len(body):
            out.append(char)
            at += 1
            continue
        follows = body[at + 1]
        if follows == "u" and len(body) >= at + 6:
            out.append(chr(int(body[at + 2 : at + 6], 16)))
            at += 6
        elif body[at + 1 : at + 4].isdigit() and len(body[at + 1 : at + 4]) == 3:
            out.append(chr(int(body[at + 1 : at + 4], 8)))
            at += 4
        else:
            # Patterns of LIKE keep their escape, everything else loses it.
            keep = "\\" + follows if follows in "%_" else follows
            out.append(_HIVE_ESCAPES.get(follows, keep))
            at += 2
    return "".join(out)


def matching(tokens: list[Token], opening: int) -> int:
    """The index of the token that closes the bracket at index `opening`.

    Raises:
        ApiError: nothing closes it.
    """
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind is not Kind.SYMBOL:
            continue
        if tokens[index].text in "([{":
            depth += 1
        elif tokens[index].text in ")]}":
            depth -= 1
            if depth == 0:
                return index
    raise ApiError("line 1:1: mismatched input '<EOF>'. Expecting: ')'")


def place(sql: str, offset: int) -> str:
    """`line L:C` of an offset, as Athena's messages count it (both from 1)."""
    line = sql.count("\n", 0, offset) + 1
    column = offset - (sql.rfind("\n", 0, offset) + 1) + 1
    return f"line {line}:{column}"


def splice(sql: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """`sql` with each span (start, end) replaced by its text; all else stays byte for byte."""
    out = []
    at = 0
    for start, end, text in sorted(edits):
        out += [sql[at:start], text]
        at = end
    return "".join([*out, sql[at:]])


def quote_name(name: str) -> str:
    """A name as a Trino identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_string(value: str) -> str:
    """A value as a Trino string literal."""
    return "'" + value.replace("'", "''") + "'"

"""Names of tables as they stand in statements, and a reader that walks over tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from athena_local.bridge.errors import ApiError
from athena_local.bridge.statements import Statement
from athena_local.bridge.tokens import Kind, Token, quote_name


@dataclass(frozen=True)
class TableName:
    """A table: Glue keeps every name in lower case."""

    database: str
    table: str

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"

    def in_catalog(self, catalog: str) -> str:
        """The full name for Trino."""
        return ".".join(quote_name(part) for part in (catalog, self.database, self.table))


class Reader:
    """Walks over a statement's tokens; what does not fit is Athena's syntax error."""

    def __init__(self, statement: Statement, at: int = 0) -> None:
        self.statement = statement
        self.tokens: Sequence[Token] = statement.tokens
        self.at = at

    @property
    def finished(self) -> bool:
        """Whether every token was read."""
        return self.at >= len(self.tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        """The token that comes next, or None at the end."""
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def error(self, expected: str) -> ApiError:
        """The syntax error at the next token."""
        return self.statement.error(self.at, expected)

    def next_is(self, *words: str) -> bool:
        """Whether exactly these words come next."""
        return all(
            (token := self.peek(ahead)) is not None and token.is_word(word)
            for ahead, word in enumerate(words)
        )

    def accept(self, *words: str) -> bool:
        """Read these words if they come next."""
        if self.next_is(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Read these words, or fail."""
        if not self.accept(*words):
            raise self.error(f"'{' '.join(words)}'")

    def accept_symbol(self, symbol: str) -> bool:
        """Read this punctuation if it comes next."""
        token = self.peek()
        if token is not None and token.is_symbol(symbol):
            self.at += 1
            return True
        return False

    def expect_symbol(self, symbol: str) -> None:
        """Read this punctuation, or fail."""
        if not self.accept_symbol(symbol):
            raise self.error(f"'{symbol}'")

    def string(self) -> str:
        """Read a string literal."""
        token = self.peek()
        if token is None or token.kind is not Kind.STRING:
            raise self.error("a string literal")
        self.at += 1
        return token.text

    def literal(self) -> str:
        """Read a string or number literal, as text."""
        token = self.peek()
        if token is not None and token.kind in (Kind.STRING, Kind.NUMBER, Kind.WORD):
            self.at += 1
            return token.text
        raise self.error("a literal")

    def identifier(self) -> str:
        """Read one name; unquoted ones may begin with digits (`2024_x` is several tokens)."""
        token = self.peek()
        if token is None or token.kind in (Kind.STRING, Kind.SYMBOL):
            raise self.error("<identifier>")
        self.at += 1
        if token.kind is Kind.QUOTED:
            return token.text.lower()
        text, end = token.text, token.end
        while (
            (follows := self.peek()) is not None
            and follows.kind in (Kind.WORD, Kind.NUMBER)
            and follows.start == end
        ):
            text, end = text + follows.text, follows.end
            self.at += 1
        return text.lower()

    def table(self, default_database: str) -> TableName:
        """Read a name of one, two or three parts; the catalog is always Glue's."""
        parts = [self.identifier()]
        while len(parts) < 3 and self.accept_symbol("."):
            parts.append(self.identifier())
        if len(parts) == 3 and parts[0] != "awsdatacatalog":
            raise ApiError(
                f"CATALOG_NOT_FOUND: Catalog '{parts[0]}' not found: only awsdatacatalog is here"
            )
        return TableName(parts[-2] if len(parts) > 1 else default_database, parts[-1])

    def pairs(self, key: Callable[[], str], value: Callable[[], str]) -> dict[str, str]:
        """Read `(key = value, …)`; `key` and `value` are methods of this reader."""
        self.expect_symbol("(")
        found: dict[str, str] = {}
        while True:
            name = key()
            self.expect_symbol("=")
            found[name] = value()
            if not self.accept_symbol(","):
                break
        self.expect_symbol(")")
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if not self.finished:
            raise self.error("<EOF>")

    def rest(self) -> str:
        """The text from the next token on."""
        token = self.peek()
        return "" if token is None else self.statement.text[token.start :]

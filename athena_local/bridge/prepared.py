"""PREPARE, EXECUTE … USING and DEALLOCATE: named statements of a workgroup."""

from __future__ import annotations

from dataclasses import dataclass

from athena_local.bridge.errors import ApiError
from athena_local.bridge.names import Reader
from athena_local.bridge.statements import Statement, bind
from athena_local.bridge.tokens import Kind


@dataclass(frozen=True)
class Prepare:
    """PREPARE name FROM statement."""

    name: str
    sql: str


@dataclass(frozen=True)
class Execute:
    """EXECUTE name USING values."""

    name: str
    values: list[str]

    def bind(self, sql: str) -> str:
        """The statement with its values in place."""
        return bind(sql, self.values)


def read_prepare(statement: Statement) -> Prepare:
    """Read a PREPARE."""
    reader = Reader(statement)
    reader.expect("PREPARE")
    name = reader.identifier()
    reader.expect("FROM")
    if reader.finished:
        raise reader.error("<statement>")
    return Prepare(name, reader.rest())


def read_execute(statement: Statement) -> Execute:
    """Read an EXECUTE; its values stay as they are written."""
    reader = Reader(statement)
    reader.expect("EXECUTE")
    name = reader.identifier()
    if reader.finished:
        return Execute(name, [])
    reader.expect("USING")
    if reader.finished:
        raise reader.error("<expression>")
    values, start, depth = [], reader.tokens[reader.at].start, 0
    for token in reader.tokens[reader.at :]:
        if token.kind is Kind.SYMBOL:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            if depth == 0 and token.text == ",":
                values.append(statement.text[start : token.start].strip())
                start = token.end
    values.append(statement.text[start : reader.tokens[-1].end].strip())
    if not all(values):
        raise ApiError("line 1:1: EXECUTE … USING has an empty value")
    return Execute(name, values)


def read_deallocate(statement: Statement) -> str:
    """Read a DEALLOCATE PREPARE: the name."""
    reader = Reader(statement)
    reader.expect("DEALLOCATE", "PREPARE")
    name = reader.identifier()
    reader.end()
    return name

"""Number literals: `1.5` is a double to Athena and a decimal to Trino.

The adapter's own suite shows it: on Athena `1 / 0.0` is Infinity. A decimal is written
`DECIMAL '1.5'` on both.
"""

from __future__ import annotations

from athena_local.bridge.statements import Statement
from athena_local.bridge.tokens import Kind, splice, tokenize


def with_doubles(statement: Statement) -> Statement:
    """The statement with an exponent behind every literal that has a point and none."""
    tokens = statement.tokens
    edits = []
    for at, token in enumerate(tokens):
        if token.kind is not Kind.NUMBER:
            continue
        before = tokens[at - 1] if at else None
        # `.5` may be two tokens; after a name the point would be a part of it.
        pointed = (
            before is not None
            and before.is_symbol(".")
            and before.end == token.start
            and not (at > 1 and tokens[at - 2].end == before.start)
        )
        if ("." in token.text or pointed) and "E" not in token.text.upper():
            edits.append((token.end, token.end, "E0"))
    if not edits:
        return statement
    text = splice(statement.text, edits)
    return Statement(statement.kind, text, tuple(tokenize(text)))

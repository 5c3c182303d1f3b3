"""What a refusal is about, in words that hold no value of the record.

The sentence of a quarantine entry quotes values, which may be a CPF or an e-mail, so it never
leaves the lake (CONTRACT 7). Everything said here comes from the declarations: the sentence only
chooses among declared names, and whatever it holds, nothing else of it can come out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from synapse.declarations import Declarations, DmsTable, Topic
from synapse.ingest.quarantine_index import Entry
from synapse.ingest.reading import shape_of

# How ingest begins its sentences: `column x is`, `x is`, `x was`, `x.y.z: …`, `"x" is a required`.
_ABOUT = re.compile(
    r"(?:column )?(?P<value>\w+) (?:is|was) |(?P<path>\w+)(?:[.][^:]*)?: |"
    r"\"(?P<field>\w+)\" is a required property"
)
_ENVELOPE = ("op", "before", "after", "source")
_EXPECTATIONS = {
    "readable": "must be readable in the format of its source",
    "schema": "must satisfy the JSON Schema of the topic",
    "key_present": "the key must not be NULL",
    "known_op": "must be a known operation",
    "commit_time": "must be a moment such as 2026-01-31 12:00:00.000000",
    "column_type": "must fit its declared type without loss",
    "sequence": "must carry a position in the source's log, which orders the change",
    "declared": "its source must be declared",
}


@dataclass(frozen=True)
class Fault:
    """columns: at fault, as declared; empty when unknown. expectation: None for an unknown rule."""

    columns: tuple[str, ...] = ()
    expectation: str | None = None


class Faults:
    """Finds faults of entries; what is declared of a source is looked up once."""

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations
        self._declared: dict[str, _Declared] = {}

    def of(self, entry: Entry) -> Fault:
        """The declared columns that an entry is about, and what was expected of them."""
        declared = self._declared.get(entry.source)
        if declared is None:
            declared = _declared(self._declarations, entry.source)
            self._declared[entry.source] = declared
        expectation = _EXPECTATIONS.get(entry.rule)
        found = _ABOUT.match(entry.sentence)
        said = next((text for text in found.groups() if text), "") if found else ""
        name = declared.names.get(said.lower())
        if name is None:
            return Fault(declared.key if entry.rule == "key_present" else (), expectation)
        if entry.rule == "column_type":
            kind = declared.types.get(name.removeprefix("BI_"))
            expectation = f"must fit {kind} without loss" if kind else expectation
        return Fault((name,), expectation)


@dataclass(frozen=True)
class _Declared:
    """names: in lower case -> as declared. types: of columns. key: of a table."""

    names: dict[str, str]
    types: dict[str, str]
    key: tuple[str, ...]


def _declared(declarations: Declarations, source: str) -> _Declared:
    target = declarations.table_of(source) or declarations.topic_of(source)
    if target is None:
        return _Declared({}, {}, ())
    names = _technical(target)
    names += [column.name for column in target.columns]
    return _Declared(
        names={name.lower(): name for name in names},
        types={column.name: column.data_type for column in target.columns},
        key=target.key if isinstance(target, DmsTable) else (),
    )


def _technical(target: DmsTable | Topic) -> list[str]:
    if isinstance(target, Topic):
        return sorted(shape_of(target).fields)
    before = [f"BI_{key}" for key in target.key]
    return [*_ENVELOPE, *before, target.op_column, target.commit_column, target.sequence_column]

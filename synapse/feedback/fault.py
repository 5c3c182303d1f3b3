"""What a refusal is about, in words that hold no value of the record.

The sentence of a quarantine entry quotes values, which may be a CPF or an e-mail, so it never
leaves the lake (CONTRACT 7). Everything said here comes from the declarations: the sentence only
chooses among declared names, and whatever it holds, nothing else of it can come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def fault_of(entry: Entry, declarations: Declarations) -> Fault:
    """The declared columns that an entry is about, and what was expected of them."""
    table = declarations.table_of(entry.source)
    target = table or declarations.topic_of(entry.source)
    expectation = _EXPECTATIONS.get(entry.rule)
    found = _ABOUT.match(entry.sentence)
    said = next((text for text in found.groups() if text), "") if found else ""
    name = _declared_name(said, _names(target)) if target else None
    if name is None:
        key = table.key if table is not None and entry.rule == "key_present" else ()
        return Fault(key, expectation)
    if entry.rule == "column_type" and target is not None:
        types = {column.name.lower(): column.data_type for column in target.columns}
        declared = types.get(name.removeprefix("BI_").lower())
        expectation = f"must fit {declared} without loss" if declared else expectation
    return Fault((name,), expectation)


def _names(target: DmsTable | Topic) -> Iterable[str]:
    names = [column.name for column in target.columns]
    if isinstance(target, Topic):
        return [*names, *sorted(shape_of(target).fields)]
    before = [f"BI_{key}" for key in target.key]
    technical = [target.op_column, target.commit_column, target.sequence_column]
    return [*names, *before, *technical, *_ENVELOPE]


def _declared_name(said: str, names: Iterable[str]) -> str | None:
    return next((name for name in names if name.lower() == said.lower()), None)

"""What the source's tables said at any moment of the past: replayed from the truth, row by row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from synapse_tests.oracle_truth import read_truth

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """A row's values from one instant to another (None = until further notice)."""

    begins: datetime
    ends: datetime | None
    values: Row


@dataclass(frozen=True)
class Past:
    """All versions of a table's rows by key, in order of time."""

    versions: dict[int, list[Version]]

    def at(self, key: int | None, instant: datetime) -> Row | None:
        """Return the row as at an instant; what the first version says also holds before it."""
        known = self.versions.get(key, []) if key is not None else []
        if known and instant < known[0].begins:
            return known[0].values
        for version in known:
            if version.begins <= instant and (version.ends is None or instant < version.ends):
                return version.values
        return None

    def before(self, key: int | None, end: datetime) -> Row | None:
        """Return the row as it stood when a date that ends at `end` ended."""
        known = self.versions.get(key, []) if key is not None else []
        if known and end <= known[0].begins:
            return known[0].values
        for version in known:
            if version.begins < end and (version.ends is None or end <= version.ends):
                return version.values
        return None


def read_past(lake: Path, table: str, key: str) -> Past:
    """Replay the history of a table of a generated lake, in the order in which it counts."""
    opened: dict[int, tuple[datetime, Row]] = {}
    latest: dict[int, datetime] = {}
    found: dict[int, list[Version]] = defaultdict(list)

    def close(identity: int, instant: datetime) -> None:
        if identity in opened:
            begins, values = opened.pop(identity)
            if begins < instant:
                found[identity].append(Version(begins, instant, values))

    for change in read_truth(lake, f"history_{table}"):
        identity, old = change[key], change[f"bi_{key}"]
        instant = max(change["committed_at"], latest.get(identity, change["committed_at"]))
        latest[identity] = instant
        if old is not None and old != identity:
            close(old, instant)
        close(identity, instant)
        if change["op"] not in ("D", "A"):
            opened[identity] = (instant, change)
    for identity, (begins, values) in opened.items():
        found[identity].append(Version(begins, None, values))
    return Past(dict(found))

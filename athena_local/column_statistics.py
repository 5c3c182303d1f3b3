"""Column statistics of Glue tables and partitions, kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Statistics = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """What statistics belong to: a table, or with values one of its partitions."""

    region: str
    database: str
    table: str
    values: tuple[str, ...] | None = None


@dataclass
class ColumnStatistics:
    """Statistics by owner and column, in the shape in which Glue's API hands them over."""

    _kept: dict[Owner, dict[str, Statistics]] = field(default_factory=dict)

    def put(self, owner: Owner, columns: Iterable[Statistics]) -> None:
        """Replace the statistics of these columns; others keep theirs."""
        kept = self._kept.setdefault(owner, {})
        for column in columns:
            kept[column["ColumnName"].lower()] = column

    def get(self, owner: Owner, names: Iterable[str]) -> tuple[list[Statistics], list[str]]:
        """The statistics that are known, and the names of the columns that have none."""
        kept = self._kept.get(owner, {})
        wanted = list(names)
        found = [kept[name.lower()] for name in wanted if name.lower() in kept]
        return found, [name for name in wanted if name.lower() not in kept]

    def delete(self, owner: Owner, name: str) -> None:
        """Forget one column's statistics, if there are any."""
        self._kept.get(owner, {}).pop(name.lower(), None)

    def forget(self, owner: Owner) -> None:
        """Forget an owner; a table takes its partitions' statistics with it."""
        self._kept.pop(owner, None)
        if owner.values is None:
            table = (owner.region, owner.database, owner.table)
            for other in list(self._kept):
                if (other.region, other.database, other.table) == table:
                    del self._kept[other]

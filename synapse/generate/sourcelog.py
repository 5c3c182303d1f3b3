"""The source's own log of a table, and what it means: which rows live, in which version."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synapse.generate.frames import Bools, Ints, numpy_of
from synapse.generate.tables import change_schema, key_of


def living_rows(changes: pa.Table, table: str) -> Ints:
    """Positions of the rows that are alive after `changes` (in order), by key.

    `changes` has `op`, `before_key` and the key; op D (deleted) and A (absent from a reload) end
    a row, and an update whose before_key differs ends the row of the old key.
    """
    count = len(changes)
    key = numpy_of(changes[key_of(table)])
    place = np.arange(count, dtype=np.int64) * 2
    alive = ~numpy_of(pc.is_in(changes["op"], pa.array(["D", "A"])))
    before = pc.fill_null(changes["before_key"], -1)
    old: Ints = numpy_of(before)
    moved = (old >= 0) & (old != key)
    all_keys = np.concatenate([key, old[moved]])
    # The old key ends just before the new one begins: a move onto itself would be no move.
    all_places = np.concatenate([place, place[moved] - 1])
    all_alive: Bools = np.concatenate([alive, np.zeros(int(moved.sum()), dtype=np.bool_)])
    order = np.lexsort((all_places, all_keys))
    sorted_keys = all_keys[order]
    last = np.append(sorted_keys[1:] != sorted_keys[:-1], [True]) if len(order) else np.empty(0)
    winners = order[last.astype(np.bool_)]
    return np.asarray(all_places[winners[all_alive[winners]]] // 2, dtype=np.int64)


def known_keys(changes: pa.Table, table: str) -> Ints:
    """Every key that the changes mention, new and old ones, sorted."""
    old = changes["before_key"].drop_null()
    return np.unique(np.concatenate([numpy_of(changes[key_of(table)]), numpy_of(old)]))


@dataclass
class SourceLog:
    """All changes of a table since the beginning, whether or not they ever land."""

    table: str
    _parts: list[pa.Table] = field(default_factory=list)

    def add(self, changes: pa.Table) -> None:
        """Append a day's changes."""
        self._parts.append(changes)

    def until(self, moment_us: int) -> pa.Table:
        """The changes committed before a moment, in order."""
        if not self._parts:
            return change_schema(self.table).empty_table()
        everything = pa.concat_tables(self._parts)
        return everything.filter(pc.less(everything["committed_us"], moment_us))

    def living(self, moment_us: int) -> pa.Table:
        """The table as it stood at a moment, by key (columns of change_schema)."""
        changes = self.until(moment_us)
        return changes.take(living_rows(changes, self.table))

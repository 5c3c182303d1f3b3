"""What changed in the columns of a table's files: added, dropped, renamed, widened, narrowed.

Files are compared in the order in which they were written, each with the newest one before it. A
file that lands late is older than that, and its columns are no news; it only may teach a column.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime

from synapse.ingest.lossless import compare_types
from synapse.ingest.model import BronzeFile, Drift, DriftKind, LayoutColumn

_DIGITS = re.compile(r"[0-9]")


def mark_of(file: BronzeFile, transfer_to: datetime | None) -> str:
    """When a file was written, as text that sorts: from its name, for a load by its newest row.

    A load without transfer time sorts before everything.
    """
    if transfer_to is not None:
        return f"{transfer_to:%Y%m%d%H%M%S%f}"
    if file.name.upper().startswith("LOAD"):
        return ""
    return "".join(_DIGITS.findall(file.name.rsplit(".", 1)[0]))


class Layouts:
    """The layout of one table while its files pass by, oldest first."""

    def __init__(self, source: str, known: list[LayoutColumn]) -> None:
        self._source = source
        self._known = {(item.column, item.physical_type): item for item in known}
        self._newest = max((item.last_mark for item in known), default="")

    @property
    def columns(self) -> list[LayoutColumn]:
        """All columns that ever came."""
        return list(self._known.values())

    def see(self, path: str, mark: str, layout: dict[str, str]) -> list[Drift]:
        """Take the data columns (name -> type) of a file, and say what is new in them."""
        current = {item.column: item for item in self._known.values() if item.is_current}
        is_late = bool(current) and mark < self._newest
        drift = [] if is_late or not current else self._compare(path, current, layout)
        if not is_late:
            self._newest = mark
            for key, item in self._known.items():
                self._known[key] = replace(item, is_current=False)
        for position, (name, physical) in enumerate(layout.items()):
            known = self._known.get((name, physical))
            if known is None:
                self._known[name, physical] = LayoutColumn(
                    self._source, name, physical, position, path, path, mark, not is_late
                )
            elif not is_late:
                self._known[name, physical] = replace(
                    known, position=position, last_path=path, last_mark=mark, is_current=True
                )
        return drift

    def _compare(
        self, path: str, current: dict[str, LayoutColumn], layout: dict[str, str]
    ) -> list[Drift]:
        added = [name for name in layout if name not in current]
        dropped = [name for name in current if name not in layout]
        renamed = dict(_renames(current, layout, dropped, added))
        drift = [
            self._drift(new, DriftKind.RENAMED, layout[new], path, old)
            for old, new in renamed.items()
        ]
        known = {*renamed.values()}
        drift += [
            self._drift(name, DriftKind.ADDED, layout[name], path)
            for name in added
            if name not in known
        ]
        drift += [
            self._drift(name, DriftKind.DROPPED, current[name].physical_type, path)
            for name in dropped
            if name not in renamed
        ]
        for name, physical in layout.items():
            before = current.get(name)
            change = compare_types(before.physical_type, physical) if before else None
            if before and change:
                drift.append(self._drift(name, change, physical, path, before.physical_type))
        return drift

    def _drift(
        self, column: str, change: DriftKind, physical: str, path: str, was: str = ""
    ) -> Drift:
        return Drift(self._source, column, change, physical, path, was)


def _renames(
    current: dict[str, LayoutColumn], layout: dict[str, str], dropped: list[str], added: list[str]
) -> list[tuple[str, str]]:
    """(old, new) of the columns that went and came with one type in one file.

    Where several of a type went and came at once, only those in the same place of the file count.
    """
    # A hostile file has a hundred thousand columns: none is held against all others.
    came: defaultdict[str, list[str]] = defaultdict(list)
    for name in added:
        came[layout[name]].append(name)
    went = Counter(current[name].physical_type for name in dropped)
    placed, new = list(layout), set(added)
    pairs = []
    for old in dropped:
        physical, position = current[old].physical_type, current[old].position
        if len(came[physical]) == went[physical] == 1:
            pairs.append((old, came[physical][0]))
            continue
        pairs += [
            (old, name)
            for name in placed[position : position + 1]
            if name in new and layout[name] == physical
        ]
    return pairs

"""Files on their way into the lake: what lands where, on which day, and with which bytes."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class BadRecord:
    """A record that must be refused: the rule that it breaks, and its bytes (with newline)."""

    rule: str
    raw: bytes


@dataclass(frozen=True)
class LandedFile:
    """A file of bronze and the day on which it arrives (0 = the first landed day)."""

    path: str  # relative to the lake, '/' separated
    arrival_day: int
    records: int  # rows or records in the file, bad ones included
    bad: tuple[str, ...]  # the rule that each of the bad ones breaks
    render: Callable[[], bytes]


@dataclass
class Arrival:
    """A row of truth/arrivals: one version of one file."""

    path: str
    arrival_day: int
    version: int  # counts from 1; higher only for files overwritten in place
    records: int
    bad: tuple[str, ...]
    copy: str  # where this version's bytes are: `path`, or a copy below truth/overwritten


@dataclass
class Yard:
    """Holds what has been sent until it arrives, and writes it when it does."""

    lake: Path
    files: int = 0
    size: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    _sent: dict[int, list[LandedFile]] = field(default_factory=dict)
    _latest: dict[str, Arrival] = field(default_factory=dict)
    _folders: set[Path] = field(default_factory=set)

    def send(self, files: Iterable[LandedFile]) -> None:
        """Put files on their way."""
        for one in files:
            self._sent.setdefault(one.arrival_day, []).append(one)

    def arrive(self, day: int, *, write: bool) -> None:
        """Let the files of a day arrive; with `write` False they are known to be there already."""
        for one in sorted(self._sent.pop(day, []), key=lambda landed: landed.path):
            before = self._latest.get(one.path)
            version = 1 if before is None else before.version + 1
            arrival = Arrival(one.path, day, version, one.records, one.bad, copy=one.path)
            if before is not None:
                before.copy = f"truth/overwritten/{before.version}/{one.path}"
                if write:
                    self._keep(one.path, before.copy)
            self._latest[one.path] = arrival
            self.arrivals.append(arrival)
            if write:
                self._write(one)

    def _keep(self, path: str, copy: str) -> None:
        target = self.lake / copy
        if target.exists():  # an append that was cut short had come this far
            return
        self._make(target.parent)
        shutil.copyfile(self.lake / path, target)

    def _write(self, one: LandedFile) -> None:
        data = one.render()
        target = self.lake / one.path
        self._make(target.parent)
        target.write_bytes(data)
        self.files += 1
        self.size += len(data)

    def _make(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

"""A folder of many files, listed by another process while this one loads what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from synapse.ingest.companion import Companion
from synapse.ingest.model import BronzeFile
from synapse.lake import Lake, LocalLake

_PROCESS = "synapse.ingest.lister_process"


class Listed(NamedTuple):
    """Files of one folder, column by column: file by file the journey takes three times as long."""

    folder: str
    names: list[str]
    sizes: list[int]
    etags: list[str]

    def files(self) -> list[BronzeFile]:
        """The files."""
        before = f"{self.folder}/"
        return list(map(BronzeFile, [before + name for name in self.names], self.sizes, self.etags))


class Finished(NamedTuple):
    """There are no more files. passed_over: as of a Lake."""

    passed_over: set[str]


class EarlyListing:
    """A folder of a lake that is a folder, as Lake.listing tells it of all dates; told once."""

    def __init__(self, root: Path, folder: str) -> None:
        self._root = root
        self._folder = folder
        self._is_taken = False
        self._lister = Companion(_PROCESS, str(root), folder)

    def take(self, lake: Lake, folder: str, since: date | None) -> Iterator[BronzeFile] | None:
        """The files, where it is this that was listed, and nobody has taken it."""
        is_this = isinstance(lake, LocalLake) and (lake.root, folder) == (self._root, self._folder)
        if not is_this or since is not None or self._is_taken:
            return None
        self._is_taken = True
        return chain.from_iterable(self._pieces(lake))

    def _pieces(self, lake: Lake) -> Iterator[list[BronzeFile]]:
        while isinstance(answer := self._lister.answer(), Listed):
            yield answer.files()
        lake.passed_over |= answer.passed_over

    def end(self) -> None:
        """End the process, whether or not it was done."""
        self._lister.end()

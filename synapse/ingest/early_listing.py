"""A folder of many files, listed by another process while this one loads what it needs."""

from __future__ import annotations

from array import array
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
    """Files of one folder, of which there is one at least, column by column.

    Texts are joined by what none of them has: a hundred thousand files wait in 6 MB, and travel
    three times as fast as file by file.
    """

    folder: str
    names: str
    sizes: array[int]
    etags: str

    @classmethod
    def of(cls, files: list[BronzeFile]) -> Listed:
        """The files, as they travel."""
        paths, sizes, etags = zip(*files, strict=True)
        folder = files[0].path[: -len(files[0].name) - 1]
        names = "/".join([path[len(folder) + 1 :] for path in paths])
        return cls(folder, names, array("q", sizes), "/".join(etags))

    def files(self) -> list[BronzeFile]:
        """The files, as they were."""
        before = f"{self.folder}/"
        paths = [before + name for name in self.names.split("/")]
        return list(map(BronzeFile, paths, self.sizes, self.etags.split("/")))


class Finished(NamedTuple):
    """There are no more files. passed_over: as of a Lake."""

    passed_over: set[str]


class EarlyListing:
    """A folder of a lake that is a folder, as Lake.listing tells it of all dates; told once.

    forks: as of a Companion.
    """

    def __init__(self, root: Path, folder: str, *, forks: bool = False) -> None:
        self._root = root
        self._folder = folder
        self._is_taken = False
        self._lister = Companion(_PROCESS, str(root), folder, forks=forks)

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

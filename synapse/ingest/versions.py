"""Versions of files, as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from synapse.ingest.model import BronzeFile, State


@dataclass(frozen=True)
class Version:
    """A version of a file that the ledger knows."""

    path: str
    sha256: str
    size: int
    etag: str
    landed: int
    state: State

    def is_of(self, file: BronzeFile) -> bool:
        """Whether the file lies in bronze as it did when this version was dealt with."""
        return (self.path, self.size, self.etag) == (file.path, file.size, file.etag)

    @property
    def is_held(self) -> bool:
        """Whether it waits, and is looked at again by every ingest that lists it."""
        return self.state == State.HELD


@dataclass(frozen=True)
class LoadVersion:
    """A version of a LOAD file that the ledger knows."""

    path: str
    sha256: str
    size: int
    etag: str
    state: State
    epoch: int | None
    transfer_from: datetime | None

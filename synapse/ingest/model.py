"""The nouns of ingest: files, what became of them, what was refused and what was accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """How silver reads a file: a full load, changes, truncates, or records of a topic."""

    LOAD = "load"
    CHANGE = "change"
    TRUNCATE = "truncate"
    TOPIC = "topic"


class State(StrEnum):
    """What became of a file.

    HELD waits (a reload that is not complete) and is looked at again; DISCARDED was quarantined,
    and a person decided that it is not wanted.
    """

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    HELD = "held"
    DISCARDED = "discarded"


class Unit(StrEnum):
    """What a quarantine entry is: a row of Parquet, a record of a topic, or a whole file."""

    ROW = "row"
    RECORD = "record"
    FILE = "file"


class BronzeFile(NamedTuple):
    """A file in bronze: path relative to the lake ('/' separated), size in bytes, and its version.

    etag: changes when the file is written again: S3's ETag, or the local modification time in ns.
    """

    path: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path[self.path.rfind("/") + 1 :]


class Mark(NamedTuple):
    """What reading one file of a job came to; `position` is the file's in the job.

    There is one for each of millions of files, most of which need no more than that: an Outcome is
    only made of it where something has to be decided.
    """

    position: int
    sha256: str
    state: str
    landed: int
    accepted: int
    quarantined: int
    kafka_partition: int | None
    kafka_offset: int | None


@dataclass
class Marks:
    """The marks of a job, column by column: as lists of plain values they travel and add up fast.

    Iterating gives each as a Mark.
    """

    positions: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    landed: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    quarantined: list[int] = field(default_factory=list)
    partitions: list[int | None] = field(default_factory=list)
    offsets: list[int | None] = field(default_factory=list)

    @classmethod
    def of(cls, marks: list[Mark]) -> Marks:
        """The columns of some marks."""
        return cls(*map(list, zip(*marks, strict=True))) if marks else cls()

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Mark]:
        return map(Mark._make, zip(*vars(self).values(), strict=True))


@dataclass
class Counts:
    """Rows or records. Always: landed = accepted + duplicate + quarantined; pending is apart."""

    landed: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    pending: int = 0
    files: int = 0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.landed += other.landed
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.quarantined += other.quarantined
        self.pending += other.pending
        self.files += other.files


@dataclass(slots=True)
class Outcome:
    """What became of one version (path, sha256) of a file.

    transfer_from, transfer_to: earliest and latest transfer time of a LOAD file, naive UTC.
    kafka_topic, kafka_partition, kafka_offset: identity taken from the path of a topic file; offset
    is that of its first record.
    """

    file: BronzeFile
    sha256: str
    source: str
    kind: Kind
    state: State
    landed: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    epoch: int | None = None
    transfer_from: datetime | None = None
    transfer_to: datetime | None = None
    kafka_topic: str | None = None
    kafka_partition: int | None = None
    kafka_offset: int | None = None

    def counts(self) -> Counts:
        """The rows of this file; a held file has only pending ones."""
        if self.state is State.HELD:
            return Counts(pending=self.landed, files=1)
        return Counts(self.landed, self.accepted, self.duplicate, self.quarantined, files=1)


@dataclass(frozen=True)
class Refusal:
    """Something refused, with all that a person needs to understand and to cure it.

    number: 1-based row or record in the file; byte_start and byte_end: its range [start, end) in
    the (unzipped) file. payload: the record's raw bytes, the row as JSON of texts, or empty for a
    whole file, whose bytes lie at quarantine/files/<sha256>.
    """

    source: str
    kind: Kind
    unit: Unit
    path: str
    sha256: str
    rule: str
    sentence: str
    number: int | None = None
    byte_start: int | None = None
    byte_end: int | None = None
    payload: bytes = b""
    kafka_partition: int | None = None
    kafka_offset: int | None = None

    @property
    def id(self) -> str:
        """The same refusal has the same id in every run, so that a rebuilt ledger knows it."""
        text = f"{self.source}\n{self.path}\n{self.sha256}\n{self.number}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ManifestRow:
    """A file that silver reads; the columns are those of the manifest (see manifest.py).

    layout: how the file holds its moments (see moments.py).
    """

    path: str
    landed_path: str
    source: str
    kind: Kind
    rows: int
    bytes: int
    sha256: str
    epoch: int | None = None
    epoch_at: datetime | None = None
    layout: str = ""


class DriftKind(StrEnum):
    """How the columns of a file differ: from the declaration, or from the table's last layout.

    UNDECLARED came without being declared, MISSING is declared and did not come. The others compare
    with the files before: RETYPED is a new type that holds neither more nor less, but other values.
    """

    UNDECLARED = "undeclared"
    MISSING = "missing"
    ADDED = "added"
    DROPPED = "dropped"
    RENAMED = "renamed"
    WIDENED = "widened"
    NARROWED = "narrowed"
    RETYPED = "retyped"


_DRIFT = {
    DriftKind.UNDECLARED: "column {column} ({physical_type}) of {path} is not declared; it is not "
    "in silver until models/bronze declares it",
    DriftKind.MISSING: "declared column {column} is missing from {path}",
    DriftKind.ADDED: "column {column} ({physical_type}) is new since {path}",
    DriftKind.DROPPED: "column {column} ({physical_type}) no longer comes since {path}",
    DriftKind.RENAMED: "column {was} is probably called {column} ({physical_type}) since {path}: "
    "one went as the other came; declare the new name, and coalesce the two where both are read",
    DriftKind.WIDENED: "column {column} was {was} and is {physical_type} since {path}; values that "
    "the declared type cannot hold are quarantined",
    DriftKind.NARROWED: "column {column} was {was} and is only {physical_type} since {path}; what "
    "the source cut off cannot be seen here",
    DriftKind.RETYPED: "column {column} was {was} and is {physical_type} since {path}; values that "
    "do not become the declared type exactly are quarantined",
}


@dataclass(frozen=True)
class Drift:
    """A difference between the columns of a file and what was to be expected (`change`).

    was: the former name of a renamed column, the former type of a retyped one.
    """

    source: str
    column: str
    change: DriftKind
    physical_type: str
    path: str
    was: str = ""

    def sentence(self) -> str:
        """For a person."""
        return f"{self.source}: {_DRIFT[self.change].format(**vars(self))}"


@dataclass(frozen=True)
class LayoutColumn:
    """A column of a table as its files carry it.

    physical_type: DuckDB's name. first_path, last_path: files that carried it so, the oldest and
    the newest; last_mark orders files by when they were written (see layouts.py). is_current: it is
    so in the newest file.
    """

    source: str
    column: str
    physical_type: str
    position: int
    first_path: str
    last_path: str
    last_mark: str
    is_current: bool


@dataclass
class Harvest:
    """All that one step of ingest brings in; steps are merged before anything is committed.

    touched: (source, file, sha256) of bytes known under the same path, with new size and etag.
    layouts: columns of the tables whose layouts were looked at, all of each table's.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    manifest: list[ManifestRow] = field(default_factory=list)
    drift: dict[tuple[str, str, str], Drift] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    touched: list[tuple[str, BronzeFile, str]] = field(default_factory=list)
    layouts: list[LayoutColumn] = field(default_factory=list)

    def see_drift(self, drift: Drift) -> None:
        """Keep the first sighting."""
        self.drift.setdefault((drift.source, drift.column, drift.change), drift)

    def merge(self, other: Harvest) -> None:
        """Take over what another step brought in."""
        self.outcomes += other.outcomes
        self.refusals += other.refusals
        self.manifest += other.manifest
        self.notices += other.notices
        self.touched += other.touched
        self.layouts += other.layouts
        for drift in other.drift.values():
            self.see_drift(drift)


@dataclass(frozen=True)
class Recorded:
    """What manifest parts say that the ledger has not recorded (it was lost, or a run was killed).

    paths: topic files whose records are in consolidated parts already. refusals: path -> number of
    a record -> what was refused then.
    """

    paths: frozenset[str] = frozenset()
    refusals: dict[str, dict[int, Refusal]] = field(default_factory=dict)

"""A published set, and how it is written down."""

from __future__ import annotations

from datetime import date, datetime

import orjson
from pydantic import BaseModel, ConfigDict

FOLDER = "published"
POINTER = f"{FOLDER}/current.json"


class Pin(BaseModel):
    """The commit of an Iceberg table that a set holds.

    database, table: its own entry in Glue, which names that commit for ever. of: the table that
    runs write. snapshot_id: None while the table is empty. snapshot_at: when it was committed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    table: str
    of: str
    metadata_location: str
    snapshot_id: int | None
    snapshot_at: datetime | None


class PublishedTable(BaseModel):
    """One table of a set.

    relation: the warehouse's, as schema.name. columns: types by name, of the engine. files: paths
    in the lake, and bytes their size; pin: on Athena, in place of files. run_id, as_of (UTC): of
    the run that built and tested these rows. classification: the highest of its columns'; pii: what
    kinds of it they hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    relation: str
    columns: dict[str, str]
    files: tuple[str, ...] = ()
    bytes: int = 0
    pin: Pin | None = None
    rows: int
    run_id: str
    as_of: datetime
    classification: str
    pii: tuple[str, ...] = ()


class PublishedSet(BaseModel):
    """What readers see: `tables` by name, all at once.

    number: grows with each set. run_id, as_of, complete_date: of the run that moved the pointer.
    fencing_tokens: of the lease under which it did. Moments are UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    set_id: str
    run_id: str
    as_of: datetime
    complete_date: date
    fencing_tokens: dict[str, int]
    published_at: datetime
    target: str
    tables: dict[str, PublishedTable]

    @property
    def files(self) -> frozenset[str]:
        """The files of all tables."""
        return frozenset(path for table in self.tables.values() for path in table.files)

    @property
    def pins(self) -> list[Pin]:
        """The commits that it holds, on Athena."""
        return [table.pin for table in self.tables.values() if table.pin is not None]

    def document(self) -> bytes:
        """The pointer's text."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2)

    @classmethod
    def read(cls, document: bytes | str) -> PublishedSet:
        """A set as a pointer, or the state store, has it."""
        return cls.model_validate_json(document)

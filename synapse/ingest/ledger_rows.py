"""Writing rows of the ledger, inside a transaction that the ledger opens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection, Dialect

from synapse.ingest import tables as t
from synapse.ingest.model import BronzeFile, Counts, Drift, LayoutColumn, Outcome, Refusal, State

_BATCH = 5_000


_Row = TypeVar("_Row")


def chunks(rows: list[_Row]) -> Iterable[list[_Row]]:
    """Cut rows into pieces that one statement takes."""
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


class FileRow(NamedTuple):
    """A row of the ledger's table of files, in the order of its columns: the key comes first."""

    source: str
    name: str = ""
    path: str = ""
    sha256: str = ""
    size: int = 0
    etag: str = ""
    kind: str = ""
    state: str = ""
    landed: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    epoch: int | None = None
    transfer_from: datetime | None = None
    transfer_to: datetime | None = None
    kafka_partition: int | None = None
    kafka_offset: int | None = None
    run_id: str = ""


# What all rows of a topic have in common, but for the rare ones; SQL that holds it takes a third
# less time.
_SHARED = (
    "source",
    "kind",
    "state",
    "duplicate",
    "epoch",
    "transfer_from",
    "transfer_to",
    "run_id",
)


_SHARED_BY = attrgetter(*_SHARED)
_OWN = tuple(name for name in FileRow._fields if name not in _SHARED)
_OWN_BY = attrgetter(*_OWN)


class FileRows:
    """Rows to write, gathered by what they have in common. Each holds the values of _OWN."""

    def __init__(self) -> None:
        self.groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self.groups.values()))

    def add(self, row: FileRow) -> None:
        """Take a row."""
        self.groups[_SHARED_BY(row)].append(_OWN_BY(row))

    def add_alike(self, shared: FileRow, *own: Iterable[Any]) -> None:
        """Take many rows with what they share, and a column for each value of _OWN."""
        self.groups[_SHARED_BY(shared)] += zip(*own, strict=True)


def add_files(connection: Connection, rows: FileRows) -> None:
    """Write versions of topic files that the ledger does not know.

    Straight to the driver, which takes half the time: these rows have no value (a moment, say) that
    SQLAlchemy would have to convert.
    """
    for shared, alike in rows.groups.items():
        # In the order of the key, so that the store's pages are filled one after another.
        alike.sort()
        statement = _insert(connection.dialect, shared)
        if connection.dialect.positional:
            connection.exec_driver_sql(statement, alike)
        else:
            named = [dict(zip(_OWN, values, strict=True)) for values in alike]
            connection.exec_driver_sql(statement, named)


@lru_cache(maxsize=64)
def _insert(dialect: Dialect, shared: tuple[Any, ...]) -> str:
    """A statement that holds what many rows share, and takes the values of _OWN.

    Each value that is handed over for each row costs as much as a tenth of the row.
    """
    same = dict(zip(_SHARED, shared, strict=True))
    values = {
        column.name: bindparam(
            column.name,
            same.get(column.name),
            type_=column.type,
            literal_execute=column.name in same,
        )
        for column in t.FILES.columns
    }
    statement = insert(t.FILES).values(values)
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    assert compiled.positiontup is None or tuple(compiled.positiontup) == _OWN
    return str(compiled)


def replace_files(connection: Connection, run_id: str, outcomes: list[Outcome]) -> None:
    """Write versions that the ledger may know."""
    rows = [file_row(outcome, run_id)._asdict() for outcome in outcomes]
    keys = [
        {f"b_{name}": row[name] for name in ("source", "name", "path", "sha256")} for row in rows
    ]
    if keys:
        connection.execute(
            delete(t.FILES).where(
                *(t.FILES.c[name[2:]] == bindparam(name) for name in sorted(keys[0]))
            ),
            keys,
        )
    for batch in chunks(rows):
        connection.execute(insert(t.FILES), batch)


def forget_versions(connection: Connection, gone: list[tuple[str, str]]) -> None:
    """Delete held versions, by (source, path), that left bronze."""
    files = t.FILES.c
    for source, path in gone:
        connection.execute(
            delete(t.FILES).where(
                files.source == source, files.path == path, files.state == State.HELD
            )
        )


def touch_files(connection: Connection, touched: list[tuple[str, BronzeFile, str]]) -> None:
    """Give known bytes their new size and etag."""
    if touched:
        connection.execute(
            update(t.FILES)
            .where(
                t.FILES.c.source == bindparam("b_source"),
                t.FILES.c.name == bindparam("b_name"),
                t.FILES.c.path == bindparam("b_path"),
                t.FILES.c.sha256 == bindparam("b_sha256"),
            )
            .values(size=bindparam("b_size"), etag=bindparam("b_etag")),
            [
                {
                    "b_source": source,
                    "b_name": file.name,
                    "b_path": file.path,
                    "b_sha256": digest,
                    "b_size": file.size,
                    "b_etag": file.etag,
                }
                for source, file, digest in touched
            ],
        )


def add_refusals(
    connection: Connection, run_id: str, refusals: list[Refusal], now: datetime
) -> None:
    """Add refusals that the index does not hold yet."""
    table = t.QUARANTINE
    wanted = {refusal.id: refusal for refusal in refusals}
    known: set[str] = set()
    ids = sorted(wanted)
    for start in range(0, len(ids), 500):
        query = select(table.c.id).where(table.c.id.in_(ids[start : start + 500]))
        known.update(connection.execute(query).scalars())
    rows = [
        {
            "id": key,
            "source": refusal.source,
            "kind": str(refusal.kind),
            "unit": str(refusal.unit),
            "path": refusal.path,
            "sha256": refusal.sha256,
            "number": refusal.number,
            "byte_start": refusal.byte_start,
            "byte_end": refusal.byte_end,
            "rule": refusal.rule,
            "sentence": refusal.sentence,
            "kafka_partition": refusal.kafka_partition,
            "kafka_offset": refusal.kafka_offset,
            "run_id": run_id,
            "first_seen": now,
            "last_attempt": now,
            "attempts": 1,
            "state": "open",
        }
        for key, refusal in wanted.items()
        if key not in known
    ]
    for batch in chunks(rows):
        connection.execute(insert(table), batch)


def add_drift(connection: Connection, run_id: str, drift: list[Drift], now: datetime) -> None:
    """Add drift, or say that it was seen again."""
    table = t.DRIFT
    key = (table.c.source, table.c.column_name, table.c.change)
    known: set[tuple[str, str, str]] = set()
    for source in sorted({item.source for item in drift}):
        known.update(
            (row.source, row.column_name, row.change)
            for row in connection.execute(select(*key).where(table.c.source == source))
        )
    again: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for item in drift:
        named = (item.source, item.column, str(item.change))
        if named in known:
            again.append({f"b_{each.name}": value for each, value in zip(key, named, strict=True)})
            continue
        known.add(named)
        rows.append(
            {
                "source": item.source,
                "column_name": item.column,
                "change": str(item.change),
                "physical_type": item.physical_type,
                "was": item.was,
                "path": item.path,
                "run_id": run_id,
                "first_seen": now,
                "last_seen": now,
            }
        )
    same = and_(*(each == bindparam(f"b_{each.name}") for each in key))
    for batch in chunks(again):
        connection.execute(update(table).where(same).values(last_seen=now), batch)
    for batch in chunks(rows):
        connection.execute(insert(table), batch)


def replace_layouts(connection: Connection, layouts: list[LayoutColumn]) -> None:
    """Write the layouts of the tables that are named."""
    table = t.LAYOUTS
    for source in sorted({item.source for item in layouts}):
        connection.execute(delete(table).where(table.c.source == source))
    rows = [
        {("column_name" if name == "column" else name): value for name, value in vars(item).items()}
        for item in layouts
    ]
    for batch in chunks(rows):
        connection.execute(insert(table), batch)


def read_layout(connection: Connection, source: str) -> list[LayoutColumn]:
    """A table's columns as they have ever come, in the order of the files."""
    table = t.LAYOUTS
    query = select(table).where(table.c.source == source).order_by(table.c.position)
    return [
        LayoutColumn(
            **{("column" if name == "column_name" else name): value for name, value in row.items()}
        )
        for row in connection.execute(query).mappings()
    ]


def add_counts(connection: Connection, run_id: str, counts: dict[str, Counts]) -> None:
    """Add to what a run has counted."""
    sums = t.RUN_SOURCES
    for source, count in sorted(counts.items()):
        added = connection.execute(
            update(sums)
            .where(sums.c.run_id == run_id, sums.c.source == source)
            .values({name: sums.c[name] + value for name, value in vars(count).items()})
        )
        if added.rowcount == 0:
            connection.execute(insert(sums).values(run_id=run_id, source=source, **vars(count)))


def file_row(outcome: Outcome, run_id: str) -> FileRow:
    """What the ledger keeps of an outcome."""
    file = outcome.file
    return FileRow(
        outcome.source,
        file.name,
        file.path,
        outcome.sha256,
        file.size,
        file.etag,
        outcome.kind.value,
        outcome.state.value,
        outcome.landed,
        outcome.accepted,
        outcome.duplicate,
        outcome.quarantined,
        outcome.epoch,
        outcome.transfer_from,
        outcome.transfer_to,
        outcome.kafka_partition,
        outcome.kafka_offset,
        run_id,
    )

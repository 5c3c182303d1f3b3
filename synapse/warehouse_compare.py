"""Compare two embedded warehouses row for row, as CONTRACT 6 says, and say readably what differs.

Compared are all columns but `_ingested_at`, `_source_file` and run ids; the schemas `snapshots` and
`ops` are exempt. Rows are multisets: a row that is there twice differs from one that is there once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

COMPARED_SCHEMAS = ("silver", "gold")
EXEMPT_COLUMNS = frozenset({"_ingested_at", "_source_file", "run_id", "_run_id"})
_SHOWN_ROWS = 3


@dataclass(frozen=True)
class TableDifference:
    """One relation that is not the same on both sides."""

    relation: str
    problem: str
    only_left: int = 0
    only_right: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.relation}: {self.problem}"]
        return "\n    ".join(lines + self.examples)


def relations(warehouse: Path, schemas: Sequence[str] = COMPARED_SCHEMAS) -> dict[str, str]:
    """Return `schema.name` to table type for every relation of the schemas."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select table_schema || '.' || table_name, table_type from information_schema.tables "
            "where list_contains(?, table_schema) order by 1",
            [list(schemas)],
        ).fetchall()
    return dict(rows)


def read_relation(warehouse: Path, relation: str, ignore: Collection[str] = ()) -> pa.Table:
    """Return a relation's rows without the ignored columns, columns in name order.

    Through a connection of its own: a view names its database, so it cannot be read attached.
    """
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        listed = ", ".join(f'"{name}"' for name in _columns(connection, relation, ignore))
        return connection.execute(f"select {listed} from {relation}").to_arrow_table()


def _columns(
    connection: duckdb.DuckDBPyConnection, relation: str, ignore: Collection[str]
) -> list[str]:
    described = connection.execute(f"describe {relation}").fetchall()
    return sorted(name for (name, *_) in described if name not in ignore)


def fingerprint(warehouse: Path, relation: str, ignore: Collection[str] = ()) -> tuple[object, ...]:
    """Return the column names, the number of rows and the sum of the rows' 64-bit hashes.

    A multiset's: order says nothing, repetition does. Read in a stream, so that tables of any size
    are compared in little memory.
    """
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        columns = _columns(connection, relation, ignore)
        listed = ", ".join(f'"{name}"' for name in columns)
        told = connection.execute(
            f"select count(*), sum(cast(hash({listed}) as hugeint)) from {relation}"
        ).fetchone()
    return (*columns, *(told or ()))


def compare_tables(relation: str, left: pa.Table, right: pa.Table) -> TableDifference | None:
    """Return how two tables differ as multisets of rows, or None."""
    if left.schema.names != right.schema.names:
        return TableDifference(
            relation,
            f"columns only left {sorted(set(left.schema.names) - set(right.schema.names))}, "
            f"only right {sorted(set(right.schema.names) - set(left.schema.names))}",
        )
    with duckdb.connect() as connection:
        connection.register("left_rows", left)
        connection.register("right_rows", right)
        sides = {
            "left": "select * from left_rows except all select * from right_rows",
            "right": "select * from right_rows except all select * from left_rows",
        }
        counts: dict[str, int] = {}
        examples = []
        for side, query in sides.items():
            found = connection.execute(f"select count(*) from ({query})").fetchone()
            counts[side] = found[0] if found else 0
            cursor = connection.execute(f"from ({query}) order by all limit {_SHOWN_ROWS}")
            for row in cursor.fetchall():
                pairs = zip(left.schema.names, row, strict=True)
                shown = ", ".join(f"{name}={value}" for name, value in pairs if value is not None)
                examples.append(f"only {side}: {shown}")
    if not any(counts.values()):
        return None
    return TableDifference(
        relation,
        f"{left.num_rows} rows left, {right.num_rows} right; "
        f"{counts['left']} only left, {counts['right']} only right",
        counts["left"],
        counts["right"],
        examples,
    )


def compare_warehouses(
    left: Path,
    right: Path,
    schemas: Sequence[str] = COMPARED_SCHEMAS,
    ignore: Collection[str] = EXEMPT_COLUMNS,
) -> list[TableDifference]:
    """Return every difference between two warehouse files (which nobody else holds open)."""
    left_names, right_names = relations(left, schemas), relations(right, schemas)
    differences = [
        TableDifference(name, "only in the " + ("left" if name in left_names else "right"))
        for name in sorted(left_names.keys() ^ right_names.keys())
    ]
    for name in sorted(left_names.keys() & right_names.keys()):
        if fingerprint(left, name, ignore) == fingerprint(right, name, ignore):
            continue
        found = compare_tables(
            name, read_relation(left, name, ignore), read_relation(right, name, ignore)
        )
        if found is not None:
            differences.append(found)
    return differences


def assert_same_warehouse(
    left: Path, right: Path, schemas: Sequence[str] = COMPARED_SCHEMAS
) -> None:
    """Fail with one paragraph for each relation that differs; an empty comparison fails too."""
    assert relations(left, schemas), f"{left} holds nothing in {', '.join(schemas)} to compare"
    differences = compare_warehouses(left, right, schemas)
    assert not differences, "\n".join(
        [f"{len(differences)} relations differ ({left} against {right}):", *map(str, differences)]
    )

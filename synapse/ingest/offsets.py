"""Kafka offsets that have landed, kept as ranges, so that a gap costs a row and not a scan."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from synapse.ingest import tables as t

Ranges = list[tuple[int, int]]


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Closed ranges, sorted, those that touch or overlap made one."""
    result: Ranges = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def add_offsets(connection: Connection, landed: dict[tuple[str, int], Ranges]) -> None:
    """Add ranges by (topic, partition)."""
    table = t.OFFSETS
    for (topic, partition), ranges in sorted(landed.items()):
        here = (table.c.topic == topic) & (table.c.partition == partition)
        query = select(table.c.first_offset, table.c.last_offset).where(here)
        before: Ranges = [(row[0], row[1]) for row in connection.execute(query)]
        after = merged([*before, *ranges])
        stale = set(before) - set(after)
        for first, _ in sorted(stale):
            connection.execute(delete(table).where(here, table.c.first_offset == first))
        for first, last in after:
            if (first, last) not in before:
                connection.execute(
                    insert(table).values(
                        topic=topic, partition=partition, first_offset=first, last_offset=last
                    )
                )


def gaps(connection: Connection, limit: int) -> list[str]:
    """A sentence for each gap, at most `limit` and one that counts the others."""
    table = t.OFFSETS.c
    query = select(t.OFFSETS).order_by(table.topic, table.partition, table.first_offset)
    sentences = []
    before: tuple[str, int, int] | None = None
    for row in connection.execute(query):
        if before is not None and (row.topic, row.partition) == before[:2]:
            sentences.append(
                f"{row.topic}, partition {row.partition}: offsets {before[2] + 1} to "
                f"{row.first_offset - 1} have not landed"
            )
        before = (row.topic, row.partition, row.last_offset)
    more = len(sentences) - limit
    return sentences[:limit] + ([f"and {more} more gaps in Kafka offsets"] if more > 0 else [])

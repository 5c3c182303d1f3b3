"""How old a source is at as-of, and when it is stale: the one home of that rule in Python.

`dbt source freshness` answers from the same rows (macros/ops/collect_freshness.sql): the newest
as-of at which ingest accepted something of the source, out of the manifest, which is the same on
every engine and survives a lost state store. A source that never landed has no age.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.errors import SynapseError
from synapse.lake import Lake
from synapse.runner.clock import naive_utc

_FILTER = re.compile(r"\s*source\s*=\s*'([^']+)'\s*")
_PARTS_AT_ONCE = 64


@dataclass(frozen=True)
class Limit:
    """When a source is stale: error_after as it is declared. source: its name in the manifest."""

    source: str
    seconds: float


@dataclass(frozen=True)
class Age:
    """A source that has landed, at as-of; negative where it landed after that."""

    source: str
    seconds: float
    limit_seconds: float

    @property
    def is_stale(self) -> bool:
        """Older than the limit; exactly as old is not, which is how dbt has it."""
        return self.seconds > self.limit_seconds


def declared_limits(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Limit | None]:
    """Limits of dbt's source nodes by the source's name; None for one without error_after.

    Raises SynapseError, with file and source, for a declaration that asks something else than the
    manifest can answer.
    """
    found: dict[str, Limit | None] = {}
    for node in nodes:
        declared = node.get("freshness") or {}
        if not any(_seconds(declared.get(name)) for name in ("warn_after", "error_after")):
            continue
        where = f"{node['original_file_path']}, source {node['source_name']}.{node['name']}"
        named = _FILTER.fullmatch(declared.get("filter") or "")
        if named is None or node.get("loaded_at_field") != "as_of":
            raise SynapseError(
                f"{where}: freshness is asked of the manifest: declare `loaded_at_field: as_of` "
                "and `filter: source = '<name>'`, with the name that `synapse ingest` counts it by"
            )
        seconds = _seconds(declared.get("error_after"))
        found[named[1]] = Limit(named[1], seconds) if seconds else None
    return found


def _seconds(threshold: Mapping[str, Any] | None) -> float:
    if not threshold or not threshold.get("count") or not threshold.get("period"):
        return 0.0
    return timedelta(**{f"{threshold['period']}s": threshold["count"]}).total_seconds()


def stale_sources(lake: Lake, limits: Iterable[Limit], as_of: datetime) -> dict[str, Age]:
    """Those of the sources that have landed and are stale at as-of, each with its age."""
    open_ = {limit.source: limit for limit in limits}
    newest: dict[str, datetime] = {}
    if not open_:
        return {}
    now = naive_utc(as_of)
    folder = lake.sync("manifest")
    # A year of hourly runs has thousands of parts: the last written ones nearly always answer.
    parts = sorted(folder.glob("part-*.parquet"), key=lambda path: -path.stat().st_mtime_ns)
    for source, moment in _landed(parts, open_):
        newest[source] = max(moment, newest.get(source, moment))
        if not _age(open_[source], newest[source], now).is_stale:
            del open_[source]
            if not open_:
                break
    ages = {source: _age(open_[source], newest[source], now) for source in open_.keys() & newest}
    return {source: age for source, age in sorted(ages.items()) if age.is_stale}


def _age(limit: Limit, landed: datetime, now: datetime) -> Age:
    return Age(limit.source, (now - landed).total_seconds(), limit.seconds)


def _landed(parts: list[Path], wanted: Mapping[str, Limit]) -> Iterator[tuple[str, datetime]]:
    """Source and as-of of what parts list, as long as the source is wanted."""
    for begin in range(0, len(parts), _PARTS_AT_ONCE):
        tables = [
            pq.read_table(path, columns=["source", "as_of"])
            for path in parts[begin : begin + _PARTS_AT_ONCE]
        ]
        last = pa.concat_tables(tables).group_by("source").aggregate([("as_of", "max")])
        for row in last.to_pylist():
            if row["source"] in wanted:
                yield row["source"], row["as_of_max"]

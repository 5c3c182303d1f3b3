"""Finding what lies in bronze, and telling which declared table or topic it belongs to."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synapse.declarations import Declarations, DmsTable, Topic
from synapse.errors import SynapseError
from synapse.ingest.model import BronzeFile

DMS_ROOT = "bronze/dms"
TOPICS_ROOT = "bronze/kconnect/topics"


@dataclass
class Routed:
    """Files by the table or topic that they belong to.

    unknown: undeclared sources and how many files they hold; they are reported, not refused.
    """

    dms: dict[DmsTable, list[BronzeFile]] = field(default_factory=lambda: defaultdict(list))
    cdc: dict[DmsTable, list[BronzeFile]] = field(default_factory=lambda: defaultdict(list))
    topics: dict[Topic, list[BronzeFile]] = field(default_factory=lambda: defaultdict(list))
    unknown: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def scan_bronze(lake: Path) -> list[BronzeFile]:
    """Every file below the two roots of bronze, sorted by path.

    Names that start with '.' or '_' are the writers' own and are skipped.

    Raises SynapseError when there is nothing at all: an empty lake is a mistake in the settings.
    """
    require_bronze(lake)
    return sorted(_files(lake), key=lambda file: file.path)


def require_bronze(lake: Path) -> None:
    """Raise SynapseError for a lake in which nothing has landed; looks no further than one file."""
    if next(_files(lake), None) is None:
        raise SynapseError(
            f"Nothing has landed in {lake}: no file in {lake / DMS_ROOT} or {lake / TOPICS_ROOT}. "
            f"Make a sample with `synapse generate --lake {lake}`, or point --lake (SYNAPSE_LAKE) "
            "at a folder whose bronze/ holds what DMS and Kafka Connect wrote."
        )


def _files(lake: Path) -> Iterator[BronzeFile]:
    for root in (DMS_ROOT, TOPICS_ROOT):
        if (lake / root).is_dir():
            yield from _walk(str(lake / root), root)


def _walk(folder: str, relative: str) -> Iterator[BronzeFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            path = f"{relative}/{entry.name}"
            if entry.is_dir():
                yield from _walk(entry.path, path)
            else:
                stat = entry.stat()
                yield BronzeFile(path, stat.st_size, stat.st_mtime_ns)


def route(files: list[BronzeFile], declarations: Declarations) -> Routed:
    """Sort files by the declared source that they belong to."""
    # The longest prefix wins, so that a reload's folder may lie below another one.
    prefixes = sorted(
        (
            (f"{DMS_ROOT}/{prefix}/", table)
            for table in declarations.tables
            for prefix in table.prefixes
        ),
        key=lambda pair: -len(pair[0]),
    )
    topics = {topic.name: topic for topic in declarations.topics}
    cdc_topics = {table.topic: table for table in declarations.tables}
    routed = Routed()
    for file in files:
        if file.path.startswith(f"{TOPICS_ROOT}/"):
            name = file.path[len(TOPICS_ROOT) + 1 :].split("/", 1)[0]
            if name in topics:
                routed.topics[topics[name]].append(file)
            elif name in cdc_topics:
                routed.cdc[cdc_topics[name]].append(file)
            else:
                routed.unknown[f"kconnect.{name}"] += 1
            continue
        table = next((table for prefix, table in prefixes if file.path.startswith(prefix)), None)
        if table is not None:
            routed.dms[table].append(file)
        else:
            folders = file.path[len(DMS_ROOT) + 1 :].split("/")[:-1][:2]
            routed.unknown[".".join(["dms", *folders])] += 1
    return routed

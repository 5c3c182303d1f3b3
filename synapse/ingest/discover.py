"""Finding what is new in bronze, and telling which declared table or topic it belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, islice

from synapse.declarations import Declarations, DmsTable, Topic
from synapse.errors import SynapseError
from synapse.ingest import DMS_ROOT, TOPICS_ROOT
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import BronzeFile, Kind
from synapse.ingest.readers import Readers
from synapse.lake import Lake

# DMS counts LOAD files in hexadecimal: ...09, 0A.
_LOAD_NAME = re.compile(r"LOAD[0-9A-F]{8}\.parquet", re.IGNORECASE)
_FILES_AT_ONCE = 5_000
_FILES_COUNTED = 1_000

Stat = tuple[str, int, str]  # path, size, etag


@dataclass
class Listing:
    """One look at bronze. since: dated folders before it are left out (None: a sweep of all).

    readers: those that may have listed some of it already. files: how many were listed. dms_paths:
    paths of those that DMS landed. unknown: undeclared sources and how many files they hold; they
    are reported, not refused.
    """

    lake: Lake
    declarations: Declarations
    since: date | None
    readers: Readers = field(default_factory=Readers)
    files: int = 0
    dms_paths: set[str] = field(default_factory=set)
    unknown: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def below(self, folder: str) -> Iterator[BronzeFile]:
        """Files below a folder, counted a thousand at a time."""
        return chain.from_iterable(
            self._counted(self.readers.listed(self.lake, folder, self.since))
        )

    def _counted(self, listed: Iterator[BronzeFile]) -> Iterator[list[BronzeFile]]:
        while some := list(islice(listed, _FILES_COUNTED)):
            self.files += len(some)
            yield some

    def tables(self, ledger: Ledger) -> tuple[dict[DmsTable, list[BronzeFile]], frozenset[Stat]]:
        """What DMS landed: new files by table, and the LOAD files that lie there, new or not."""
        owner = _Owner(self.declarations)
        fresh: dict[DmsTable, list[BronzeFile]] = defaultdict(list)
        loads: set[Stat] = set()
        listed = self.below(DMS_ROOT)
        while some := list(islice(listed, _FILES_AT_ONCE)):
            by_table: dict[DmsTable, list[BronzeFile]] = defaultdict(list)
            for file in some:
                self.dms_paths.add(file.path)
                table = owner.of(file.path)
                if table is None:
                    folders = file.path[len(DMS_ROOT) + 1 :].split("/")[:-1][:2]
                    self.unknown[".".join(["dms", *folders])] += 1
                    continue
                by_table[table].append(file)
                if kind_of(file) is Kind.LOAD:
                    loads.add((file.path, file.size, file.etag))
            for table, files in by_table.items():
                fresh[table] += new_among(ledger, table.source, files)
        return dict(fresh), frozenset(loads)

    def topics(self) -> Iterator[tuple[Topic | DmsTable, Iterator[BronzeFile]]]:
        """What Kafka Connect landed: each declared topic with its files, which are listed as read.

        Debezium topics of tables come first, in order of their sources.
        """
        strays, folders = self.lake.entries(TOPICS_ROOT)
        for file in strays:
            self.unknown[f"kconnect.{file.name}"] += 1
        tables = {table.topic: table for table in self.declarations.tables}
        topics = {topic.name: topic for topic in self.declarations.topics}
        found = [*sorted(set(folders) & tables.keys()), *sorted(set(folders) & topics.keys())]
        for name in found:
            yield tables.get(name) or topics[name], self.below(f"{TOPICS_ROOT}/{name}")
        for name in sorted(set(folders) - set(found)):
            count = sum(1 for _ in self.below(f"{TOPICS_ROOT}/{name}"))
            if count:
                self.unknown[f"kconnect.{name}"] += count


class _Owner:
    """Which table a path below bronze/dms belongs to."""

    def __init__(self, declarations: Declarations) -> None:
        # The longest prefix wins, so that a reload's folder may lie below another one.
        self._prefixes = sorted(
            (
                (f"{DMS_ROOT}/{prefix}/", table)
                for table in declarations.tables
                for prefix in table.prefixes
            ),
            key=lambda pair: -len(pair[0]),
        )

    def of(self, path: str) -> DmsTable | None:
        return next((table for prefix, table in self._prefixes if path.startswith(prefix)), None)


def kind_of(file: BronzeFile) -> Kind:
    """Whether DMS wrote the file as a full load or as changes."""
    return Kind.LOAD if _LOAD_NAME.fullmatch(file.name) else Kind.CHANGE


def new_among(ledger: Ledger, source: str, files: Iterable[BronzeFile]) -> list[BronzeFile]:
    """Files of a source whose path, size and etag the ledger does not know.

    Changes that wait are among them; LOAD files that wait are not, which are asked for by source.
    """
    listed = list(files)
    known = ledger.known(source, [file.name for file in listed])
    return [
        file
        for file in listed
        if not any(
            version.is_of(file) and not (version.is_held and kind_of(file) is not Kind.LOAD)
            for version in known.get(file.name, ())
        )
    ]


def require_bronze(lake: Lake) -> None:
    """Raise SynapseError for a lake in which nothing has landed; looks no further than one file.

    An empty lake is a mistake in the settings.
    """
    for root in (DMS_ROOT, TOPICS_ROOT):
        if lake.has_files(root):
            return
    raise SynapseError(
        f"Nothing has landed in {lake.location}: no file in {lake.location}/{DMS_ROOT} or "
        f"{lake.location}/{TOPICS_ROOT}. Make a sample with `synapse generate --lake LAKE`, or "
        "point --lake (SYNAPSE_LAKE) at a folder or s3:// prefix whose bronze/ holds what DMS and "
        "Kafka Connect wrote."
    )


def loads_of(lake: Lake, tables: Iterable[DmsTable]) -> frozenset[Stat]:
    """The LOAD files of some tables that lie in bronze."""
    return frozenset(
        (file.path, file.size, file.etag)
        for table in tables
        for prefix in table.prefixes
        for file in lake.entries(f"{DMS_ROOT}/{prefix}")[0]
        if kind_of(file) is Kind.LOAD
    )


def find(lake: Lake, paths: Iterable[str]) -> dict[str, BronzeFile]:
    """Those of the paths that lie in the lake."""
    by_folder: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        by_folder[path.rsplit("/", 1)[0]].add(path)
    return {
        file.path: file
        for folder, wanted in by_folder.items()
        for file in lake.entries(folder)[0]
        if file.path in wanted
    }

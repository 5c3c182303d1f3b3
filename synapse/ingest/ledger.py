"""The ledger of ingest in the state store: files, runs, counts, quarantine index, drift, offsets.

A file is claimed by the row that says what became of it: the row counts once its run is done, and
is deleted when its run died. Every write of a run begins by touching the run's own row, which fails
when another ingest has taken over, and whose lock keeps the other out until the write is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Engine

from synapse.errors import SynapseError
from synapse.ingest import DMS_ROOT
from synapse.ingest import tables as t
from synapse.ingest.ledger_rows import (
    FileRows,
    add_counts,
    add_drift,
    add_files,
    add_refusals,
    forget_versions,
    read_layout,
    replace_files,
    replace_layouts,
    touch_files,
)
from synapse.ingest.model import (
    BronzeFile,
    Counts,
    Drift,
    Kind,
    LayoutColumn,
    Outcome,
    Refusal,
    State,
)
from synapse.ingest.offsets import add_offsets, gaps
from synapse.ingest.version_query import VersionQuery
from synapse.ingest.versions import LoadVersion, Version
from synapse.runner.clock import utc_now
from synapse.state_store import make_indexes, make_tables, open_store

_NAMES_PER_QUERY = 500  # below every engine's limit of parameters
_SWEEP_EVERY = timedelta(days=1)


class Ledger:
    """Reads and writes the ledger at an SQLAlchemy URL. Close it, or use it in a with block."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_store(url)
        make_tables(self.engine, t.METADATA)
        make_indexes(self.engine, t.RUNS, t.QUARANTINE)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    @cached_property
    def _versions(self) -> VersionQuery:
        return VersionQuery(self.engine.dialect)  # dear to compile: only who lists files needs it

    def known(self, source: str, names: Iterable[str]) -> dict[str, list[Version]]:
        """Versions of files of these names, by name; claims of the running run among them."""
        with self.engine.connect() as connection:
            return self._versions.of(connection, source, sorted(set(names)))

    def known_parts(self) -> set[str]:
        """Names of the manifest's parts that this ledger knows."""
        with self.engine.connect() as connection:
            return set(connection.execute(select(t.PARTS.c.name)).scalars())

    def held(self, source: str | None = None) -> list[tuple[str, BronzeFile]]:
        """(source, LOAD file) of files that wait for their reload to be complete."""
        files = t.FILES.c
        query = select(files.source, files.path, files.size, files.etag).where(
            files.state == State.HELD, files.kind == Kind.LOAD
        )
        if source is not None:
            query = query.where(files.source == source)
        with self.engine.connect() as connection:
            return [
                (row.source, BronzeFile(row.path, row.size, row.etag))
                for row in connection.execute(query)
            ]

    def loads(self, source: str) -> list[LoadVersion]:
        """Every version of the source's LOAD files that is not held."""
        files = t.FILES.c
        query = select(
            files.path,
            files.sha256,
            files.size,
            files.etag,
            files.state,
            files.epoch,
            files.transfer_from,
        ).where(files.source == source, files.kind == Kind.LOAD, files.state != State.HELD)
        with self.engine.connect() as connection:
            return [
                LoadVersion(**{**row._mapping, "state": State(row.state)})
                for row in connection.execute(query)
            ]

    def hashes(
        self,
        source: str,
        digests: Iterable[str],
        forget: frozenset[tuple[str, str]] = frozenset(),
    ) -> dict[str, list[tuple[str, int]]]:
        """sha256 -> (path, rows landed) of a table's files that were dealt with.

        forget: (path, sha256) of versions to leave out.
        """
        files = t.FILES.c
        wanted = sorted(set(digests))
        found: dict[str, list[tuple[str, int]]] = {}
        with self.engine.connect() as connection:
            for start in range(0, len(wanted), _NAMES_PER_QUERY):
                query = (
                    select(files.sha256, files.path, files.landed)
                    .where(
                        files.source == source,
                        files.kind.in_((Kind.LOAD, Kind.CHANGE)),
                        files.sha256.in_(wanted[start : start + _NAMES_PER_QUERY]),
                        files.state != State.HELD,
                    )
                    .order_by(files.path)
                )
                for row in connection.execute(query):
                    if (row.path, row.sha256) not in forget:
                        found.setdefault(row.sha256, []).append((row.path, row.landed))
        return found

    def layout(self, source: str) -> list[LayoutColumn]:
        """The source's columns as its files have ever carried them."""
        with self.engine.connect() as connection:
            return read_layout(connection, source)

    def accepted_dms_files(self) -> dict[str, list[tuple[str, Kind]]]:
        """Source -> (path, kind) of its Parquet files that were accepted, in whole or in part."""
        files = t.FILES.c
        query = (
            select(files.source, files.path, files.kind)
            .where(files.state == State.ACCEPTED, files.path.startswith(f"{DMS_ROOT}/"))
            .distinct()
        )
        found: dict[str, list[tuple[str, Kind]]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(query):
                found.setdefault(row.source, []).append((row.path, Kind(row.kind)))
        return found

    def has_files_below(self, source: str, prefix: str) -> bool:
        """Whether a file of the source below that folder was accepted, in whole or in part."""
        files = t.FILES.c
        query = select(files.path).where(
            files.source == source,
            files.state == State.ACCEPTED,
            files.path.startswith(prefix, autoescape=True),
        )
        with self.engine.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def version(self, source: str, path: str, sha256: str) -> Any:
        """The row of one version of a file (columns of tables.FILES), or None."""
        files = t.FILES
        query = select(files).where(
            files.c.source == source,
            files.c.name == path.rsplit("/", 1)[-1],
            files.c.path == path,
            files.c.sha256 == sha256,
        )
        with self.engine.connect() as connection:
            return connection.execute(query).first()

    def uncounted(self, source: str, path: str, sha256: str) -> Counts:
        """What to add so that a version that is dealt with again is counted once."""
        row = self.version(source, path, sha256)
        if row is None or row.state == State.HELD:
            return Counts()
        return Counts(
            landed=-row.landed,
            accepted=-row.accepted,
            duplicate=-row.duplicate,
            quarantined=-row.quarantined,
            files=-1,
        )

    def discard_files(self, versions: list[tuple[str, str, str]]) -> None:
        """Record that whole files (source, path, sha256) that were quarantined are not wanted."""
        files = t.FILES
        with self.engine.begin() as connection:
            for source, path, sha256 in versions:
                connection.execute(
                    update(files)
                    .where(files.c.source == source, files.c.path == path, files.c.sha256 == sha256)
                    .values(state=str(State.DISCARDED))
                )

    def offset_gaps(self, limit: int = 20) -> list[str]:
        """Sentences about Kafka offsets that no landed file covers: lost is not late."""
        with self.engine.connect() as connection:
            return gaps(connection, limit)

    def sweep_is_due(self, as_of: datetime) -> bool:
        """Whether a day has passed, by the clock or by as-of, since all of bronze was listed."""
        query = select(
            func.max(t.SWEEPS.c.as_of).label("as_of"), func.max(t.SWEEPS.c.swept_at).label("at")
        )
        with self.engine.connect() as connection:
            last: Any = connection.execute(query).one()
        if last.at is None:
            return True
        return bool(utc_now() - last.at >= _SWEEP_EVERY or as_of - last.as_of >= _SWEEP_EVERY)

    def has_run(self, run_id: str) -> bool:
        """Whether a run of that id was begun before."""
        with self.engine.connect() as connection:
            query = select(t.RUNS.c.run_id).where(t.RUNS.c.run_id == run_id)
            return connection.execute(query).first() is not None

    def begin(self, run_id: str, as_of: datetime) -> None:
        """Record a run, and free what runs that died had claimed.

        The caller holds the ingest lease, so a run that says it is running is a killed one.
        """
        with self.engine.begin() as connection:
            dead = select(t.RUNS.c.run_id).where(t.RUNS.c.state == "running")
            killed: list[str] = list(connection.execute(dead).scalars())
            _free(connection, killed)
            connection.execute(
                update(t.RUNS).where(t.RUNS.c.run_id.in_(killed)).values(state="killed")
            )
            connection.execute(
                insert(t.RUNS).values(
                    run_id=run_id, as_of=as_of, state="running", started_at=utc_now()
                )
            )

    def claim(self, run_id: str, rows: FileRows, refusals: list[Refusal]) -> None:
        """Write down what became of some files, in one transaction; it counts once the run is done.

        Raises SynapseError when another ingest took over (the lease had expired).
        """
        with self.engine.begin() as connection:
            _hold(connection, run_id)
            add_files(connection, rows)
            add_refusals(connection, run_id, refusals, utc_now())

    def note(self, run_id: str, message: str) -> None:
        """Record with a run what a person decided for it."""
        with self.engine.begin() as connection:
            connection.execute(
                update(t.RUNS).where(t.RUNS.c.run_id == run_id).values(message=message)
            )

    def fail(self, run_id: str, message: str) -> None:
        """Record that a run failed, and free what it had claimed."""
        with self.engine.begin() as connection:
            ended = connection.execute(
                update(t.RUNS)
                .where(t.RUNS.c.run_id == run_id, t.RUNS.c.state == "running")
                .values(state="failed", finished_at=utc_now(), message=message)
            )
            if ended.rowcount:
                _free(connection, [run_id])

    def commit(
        self,
        run_id: str,
        *,
        outcomes: list[Outcome],
        refusals: list[Refusal],
        drift: list[Drift],
        layouts: list[LayoutColumn],
        counts: dict[str, Counts],
        offsets: dict[tuple[str, int], list[tuple[int, int]]],
        touched: list[tuple[str, BronzeFile, str]],
        gone: list[tuple[str, str]],
        publish: Callable[[], str | None],
        sweep: dict[str, Any] | None = None,
    ) -> None:
        """Record all that a run did, and publish its part of the manifest, in one transaction.

        touched: known bytes whose file has a new size or etag. gone: (source, path) whose held
        version is no longer in bronze. publish: makes the part visible and returns its name; called
        when nothing else can fail and no other ingest can come between. Raises SynapseError when
        another ingest took over.
        """
        now = utc_now()
        with self.engine.begin() as connection:
            _hold(connection, run_id)
            forget_versions(connection, gone)
            replace_files(connection, run_id, outcomes)
            touch_files(connection, touched)
            add_refusals(connection, run_id, refusals, now)
            add_drift(connection, run_id, drift, now)
            replace_layouts(connection, layouts)
            add_counts(connection, run_id, counts)
            add_offsets(connection, offsets)
            if sweep is not None:
                connection.execute(insert(t.SWEEPS).values(run_id=run_id, swept_at=now, **sweep))
            part = publish()
            if part is not None:
                connection.execute(insert(t.PARTS).values(name=part, run_id=run_id))
            connection.execute(
                update(t.RUNS)
                .where(t.RUNS.c.run_id == run_id)
                .values(state="done", finished_at=now)
            )

    def seed(
        self,
        run_id: str,
        *,
        as_of: datetime,
        outcomes: list[Outcome],
        refusals: list[Refusal],
        counts: dict[str, Counts],
        parts: list[str],
    ) -> None:
        """Take over what manifest parts say that this ledger has never seen."""
        now = utc_now()
        with self.engine.begin() as connection:
            connection.execute(
                insert(t.RUNS).values(
                    run_id=run_id, as_of=as_of, state="done", started_at=now, finished_at=now
                )
            )
            replace_files(connection, run_id, outcomes)
            add_refusals(connection, run_id, refusals, now)
            add_counts(connection, run_id, counts)
            connection.execute(
                insert(t.PARTS), [{"name": name, "run_id": run_id} for name in parts]
            )

    def totals(self) -> dict[str, Counts]:
        """Counts of every source over all runs. pending is what is held now."""
        sums = t.RUN_SOURCES.c
        names = ("landed", "accepted", "duplicate", "quarantined", "files")
        query = select(sums.source, *(func.sum(sums[name]).label(name) for name in names))
        pending = (
            select(t.FILES.c.source, func.sum(t.FILES.c.landed).label("pending"))
            .where(t.FILES.c.state == State.HELD)
            .group_by(t.FILES.c.source)
        )
        with self.engine.connect() as connection:
            totals = {
                row.source: Counts(**{name: int(getattr(row, name)) for name in names})
                for row in connection.execute(query.group_by(sums.source))
            }
            for row in connection.execute(pending):
                totals.setdefault(row.source, Counts()).pending = int(row.pending)
        return dict(sorted(totals.items()))


def _hold(connection: Connection, run_id: str) -> None:
    """Lock the run's own row until the transaction ends: the fence against a second ingest."""
    held = connection.execute(
        update(t.RUNS)
        .where(t.RUNS.c.run_id == run_id, t.RUNS.c.state == "running")
        .values(state="running")
    )
    if held.rowcount != 1:
        raise SynapseError(
            "Another ingest took over the files of this one, whose lease had expired; nothing was "
            "accepted. Run it again."
        )


def _free(connection: Connection, run_ids: list[str]) -> None:
    if run_ids:
        connection.execute(delete(t.FILES).where(t.FILES.c.run_id.in_(run_ids)))
        connection.execute(delete(t.QUARANTINE).where(t.QUARANTINE.c.run_id.in_(run_ids)))

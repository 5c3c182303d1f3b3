"""The ledger of ingest in the state store: files, claims, runs, counts, quarantine index, drift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Engine, create_engine, make_url

from synapse.errors import SynapseError
from synapse.ingest import tables as t
from synapse.ingest.ledger_rows import (
    add_counts,
    add_drift,
    add_refusals,
    chunks,
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
from synapse.runner.clock import utc_now


@dataclass(frozen=True)
class LoadVersion:
    """A version of a LOAD file that the ledger knows."""

    path: str
    sha256: str
    size: int
    mtime_ns: int
    state: State
    epoch: int | None
    transfer_from: datetime | None


class Ledger:
    """Reads and writes the ledger at an SQLAlchemy URL. Close it, or use it in a with block."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = _engine(url)
        t.METADATA.create_all(self.engine)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    def known_stats(self) -> set[tuple[str, int, int]]:
        """(path, size, mtime_ns) of every file version that was dealt with, held ones included."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(t.FILES.c.path, t.FILES.c.size, t.FILES.c.mtime_ns))
            return {(row[0], row[1], row[2]) for row in rows}

    def known_parts(self) -> set[str]:
        """Names of the manifest's parts that this ledger knows."""
        with self.engine.connect() as connection:
            return set(connection.execute(select(t.PARTS.c.name)).scalars())

    def held(self, source: str) -> dict[str, BronzeFile]:
        """LOAD files that wait for their reload to be complete, by path."""
        files = t.FILES
        query = select(files.c.path, files.c.size, files.c.mtime_ns).where(
            files.c.source == source, files.c.state == State.HELD
        )
        with self.engine.connect() as connection:
            return {
                row.path: BronzeFile(row.path, row.size, row.mtime_ns)
                for row in connection.execute(query)
            }

    def sources_held(self) -> set[str]:
        """Sources with files that wait."""
        query = select(t.FILES.c.source).where(t.FILES.c.state == State.HELD).distinct()
        with self.engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def loads(self, source: str) -> list[LoadVersion]:
        """Every version of the source's LOAD files that is not held."""
        files = t.FILES.c
        query = select(
            files.path,
            files.sha256,
            files.size,
            files.mtime_ns,
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
        self, source: str, forget: frozenset[tuple[str, str]] = frozenset()
    ) -> dict[str, list[tuple[str, int]]]:
        """sha256 -> (path, rows landed) of the files that were dealt with.

        forget: (path, sha256) of versions to leave out.
        """
        files = t.FILES
        query = (
            select(files.c.sha256, files.c.path, files.c.landed)
            .where(files.c.source == source, files.c.state != State.HELD)
            .order_by(files.c.path)
        )
        found: dict[str, list[tuple[str, int]]] = {}
        with self.engine.connect() as connection:
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
            .where(files.state == State.ACCEPTED, files.path.startswith("bronze/dms/"))
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

    def version(self, path: str, sha256: str) -> Any:
        """The row of one version of a file (columns of tables.FILES), or None."""
        files = t.FILES
        query = select(files).where(files.c.path == path, files.c.sha256 == sha256)
        with self.engine.connect() as connection:
            return connection.execute(query).first()

    def uncounted(self, path: str, sha256: str) -> Counts:
        """What to add so that a version that is dealt with again is counted once."""
        row = self.version(path, sha256)
        if row is None or row.state == State.HELD:
            return Counts()
        return Counts(
            landed=-row.landed,
            accepted=-row.accepted,
            duplicate=-row.duplicate,
            quarantined=-row.quarantined,
            files=-1,
        )

    def discard_files(self, versions: list[tuple[str, str]]) -> None:
        """Record that whole files (path, sha256) that were quarantined are not wanted."""
        files = t.FILES
        with self.engine.begin() as connection:
            for path, sha256 in versions:
                connection.execute(
                    update(files)
                    .where(files.c.path == path, files.c.sha256 == sha256)
                    .values(state=str(State.DISCARDED))
                )

    def offset_gaps(self, limit: int = 20) -> list[str]:
        """Sentences about Kafka offsets that no landed file covers: lost is not late."""
        files = t.FILES.c
        query = (
            select(files.kafka_topic, files.kafka_partition, files.kafka_offset, files.landed)
            .where(
                files.kafka_offset.is_not(None), files.state.in_((State.ACCEPTED, State.DUPLICATE))
            )
            .order_by(files.kafka_topic, files.kafka_partition, files.kafka_offset, files.landed)
        )
        gaps: list[str] = []
        place: tuple[str, int] | None = None
        expected = 0
        with self.engine.connect() as connection:
            for row in connection.execute(query):
                topic, partition = str(row.kafka_topic), int(row.kafka_partition)
                offset, landed = int(row.kafka_offset), int(row.landed)
                if (topic, partition) == place and offset > expected:
                    gaps.append(
                        f"{topic}, partition {partition}: offsets {expected} to {offset - 1} "
                        "have not landed"
                    )
                start = expected if (topic, partition) == place else 0
                place, expected = (topic, partition), max(start, offset + landed)
        more = [f"and {len(gaps) - limit} more gaps in Kafka offsets"] if len(gaps) > limit else []
        return gaps[:limit] + more

    def has_run(self, run_id: str) -> bool:
        """Whether a run of that id was begun before."""
        with self.engine.connect() as connection:
            query = select(t.RUNS.c.run_id).where(t.RUNS.c.run_id == run_id)
            return connection.execute(query).first() is not None

    def begin(self, run_id: str, as_of: datetime, files: list[BronzeFile]) -> None:
        """Record a run and claim its files in one transaction.

        The caller holds the ingest lease, so claims of other runs are those of killed ones.
        """
        with self.engine.begin() as connection:
            connection.execute(delete(t.CLAIMS))
            connection.execute(
                update(t.RUNS).where(t.RUNS.c.state == "running").values(state="killed")
            )
            connection.execute(
                insert(t.RUNS).values(
                    run_id=run_id, as_of=as_of, state="running", started_at=utc_now()
                )
            )
            claims = [{**vars(file), "run_id": run_id} for file in files]
            for batch in chunks(claims):
                connection.execute(insert(t.CLAIMS), batch)

    def check_claims(self, run_id: str, count: int) -> None:
        """Raise SynapseError when another run took the files over (the lease had expired)."""
        query = select(func.count()).select_from(t.CLAIMS).where(t.CLAIMS.c.run_id == run_id)
        with self.engine.connect() as connection:
            if connection.execute(query).scalar_one() != count:
                raise SynapseError(
                    "Another ingest took over the files of this one, whose lease had expired; "
                    "nothing was accepted. Run it again."
                )

    def note(self, run_id: str, message: str) -> None:
        """Record with a run what a person decided for it."""
        with self.engine.begin() as connection:
            connection.execute(
                update(t.RUNS).where(t.RUNS.c.run_id == run_id).values(message=message)
            )

    def fail(self, run_id: str, message: str) -> None:
        """Record that a run failed, and release its claims."""
        with self.engine.begin() as connection:
            connection.execute(delete(t.CLAIMS).where(t.CLAIMS.c.run_id == run_id))
            connection.execute(
                update(t.RUNS)
                .where(t.RUNS.c.run_id == run_id)
                .values(state="failed", finished_at=utc_now(), message=message)
            )

    def commit(
        self,
        run_id: str,
        *,
        outcomes: list[Outcome],
        refusals: list[Refusal],
        drift: list[Drift],
        layouts: list[LayoutColumn],
        counts: dict[str, Counts],
        part: str | None,
        touched: list[tuple[BronzeFile, str]],
        gone: list[str],
    ) -> None:
        """Record all that a run did, in one transaction.

        touched: known bytes whose file has a new size or time. gone: paths whose held version is
        no longer in bronze.
        """
        now = utc_now()
        with self.engine.begin() as connection:
            replace_files(connection, run_id, outcomes, gone)
            touch_files(connection, touched)
            add_refusals(connection, run_id, refusals, now)
            add_drift(connection, run_id, drift, now)
            replace_layouts(connection, layouts)
            add_counts(connection, run_id, counts)
            if part is not None:
                connection.execute(insert(t.PARTS).values(name=part, run_id=run_id))
            connection.execute(delete(t.CLAIMS).where(t.CLAIMS.c.run_id == run_id))
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
            replace_files(connection, run_id, outcomes, [])
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


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url)
    # Another process may be writing its heartbeat: wait for it rather than fail.
    return create_engine(url, connect_args={"timeout": 60})

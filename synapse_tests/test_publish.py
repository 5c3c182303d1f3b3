"""What readers see: one whole set at every moment, whatever becomes of those who publish."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from synapse.errors import LeaseLostError, SynapseError
from synapse.publish import service
from synapse.publish.copies import copy_tables, stored_copies
from synapse.publish.model import POINTER, PublishedSet
from synapse.publish.pointer import move_pointer, read_pointer
from synapse.publish.readers import classification, exposed_nodes, movable
from synapse.publish.reading import open_published, published_set, published_sql
from synapse.publish.service import KEPT_SETS
from synapse.publish.sets import PublishedSets
from synapse.runner.lease import Lease, lease
from synapse.runner.lease_rows import LEASES
from synapse.settings import Settings
from synapse.state_store import open_store
from synapse_tests.commit import commit
from synapse_tests.lakes import is_full_proof, lake_settings
from synapse_tests.publishing import (
    TABLES,
    build_and_publish,
    node,
    publish_and_die,
    publish_and_die_copying,
    publish_tables,
    unequal_copies,
    write_run,
)
from synapse_tests.s3_server import Bucket, s3_bucket

# Forked from a process that has loaded everything: a child costs 0.1 s, not 2.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["synapse_tests.publishing"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake with one published set, of run `old`."""
    made = lake_settings(tmp_path / "lake")
    made.lake.mkdir()
    build_and_publish(made, "old")
    return made


def seen(settings: Settings) -> tuple[int, str]:
    """How many rows a reader sees, and of which run; of two runs there must be none."""
    with open_published(settings) as connection:
        every = " union all ".join(f"select run from published.{table}" for table in TABLES)
        rows = connection.execute(f"select count(*), run from ({every}) group by run").fetchall()
    ((count, run),) = rows
    return count, run


def digest(settings: Settings) -> str:
    """Of all that is published, pointer and files."""
    total = hashlib.sha256()
    for path in sorted((settings.lake / "published").rglob("*")):
        if path.is_file():
            total.update(f"{path}\0".encode() + path.read_bytes())
    return total.hexdigest()


# --- which tables move ----------------------------------------------------------------------------


def test_an_exposure_moves_as_a_whole_or_not_at_all() -> None:
    hourly, daily = frozenset({"errors", "events"}), frozenset({"users", "events"})
    assert movable([hourly, daily], {"errors", "events", "users", "else"}) == hourly | daily
    # The hour builds all of its dashboard, but `events` is another's too, whose users are older.
    assert movable([hourly, daily], {"errors", "events"}) == frozenset()
    apart = frozenset({"users", "days"})
    assert movable([hourly, apart], {"errors", "events", "days"}) == hourly
    # For a table that a gate kept back nobody waits: it stays as it was published before.
    assert movable([hourly], {"events"}, left_out={"errors"}) == {"events"}
    assert movable([hourly], {"events"}) == frozenset()


def test_only_tables_that_exposures_read_are_published() -> None:
    def exposure(*reads: str, **meta: object) -> dict[str, object]:
        return {"depends_on": {"nodes": list(reads)}, "config": {"meta": meta}}

    manifest = {
        "exposures": {
            "a": exposure("model.p.x", "seed.p.s", "source.p.raw", "metric.p.m"),
            "b": exposure("model.p.y", published=False),
        }
    }
    assert exposed_nodes(manifest) == [frozenset({"model.p.x", "seed.p.s"})]


def test_a_copy_says_who_may_read_it() -> None:
    def columns(*metas: dict[str, str]) -> dict[str, object]:
        named = {str(n): {"name": str(n), "config": {"meta": m}} for n, m in enumerate(metas)}
        return {**node("t"), "columns": named}

    public, internal = {"classification": "public"}, {"classification": "internal"}
    private = {"classification": "confidential", "pii": "cpf"}
    assert classification(columns(public)) == ("public", ())
    assert classification(columns(public, private, internal)) == ("confidential", ("cpf",))
    with pytest.raises(SynapseError, match=r"models/t.sql, column 1: .*classification"):
        classification(columns(public, {}))


# --- one set after another ------------------------------------------------------------------------


def test_copies_equal_the_warehouse_row_for_row(settings: Settings) -> None:
    assert published_set(settings).tables.keys() == set(TABLES)
    assert unequal_copies(settings) == []
    write_run(settings, "not published yet")
    assert unequal_copies(settings) == list(TABLES)


def test_what_a_run_did_not_build_is_not_copied_again(settings: Settings) -> None:
    before = published_set(settings)
    with lease(settings.state, "hourly") as held:
        write_run(settings, "hourly")  # `second` and `third` are not its to publish
        publish_tables(settings, held, "hourly", moving=("first",), hours=1)
    after = published_set(settings)
    assert after.number == before.number + 1
    assert [after.tables[name].run_id for name in TABLES] == ["hourly", "old", "old"]
    assert [after.tables[name].as_of.hour for name in TABLES] == [13, 12, 12]
    assert after.tables["second"] == before.tables["second"]
    # A table that no exposure reads any more leaves the set.
    with lease(settings.state, "later") as held:
        publish_tables(settings, held, "later", moving=("first",), exposed=("first", "third"))
    assert published_set(settings).tables.keys() == {"first", "third"}


def test_old_sets_stay_for_their_readers_and_then_go(settings: Settings) -> None:
    reader = open_published(settings)
    for number in range(1, KEPT_SETS):
        build_and_publish(settings, f"run {number}")
    assert reader.execute("select distinct run from published.third").fetchall() == [("old",)]
    assert len(stored_copies(settings.open_lake())) == KEPT_SETS * len(TABLES)
    build_and_publish(settings, "one more")
    assert len(stored_copies(settings.open_lake())) == KEPT_SETS * len(TABLES)
    with pytest.raises(Exception, match=r"third[.]parquet"):
        reader.execute("select * from published.third")
    reader.close()
    assert len(list((settings.lake / "published" / "sets").iterdir())) == KEPT_SETS


def test_readers_in_a_loop_never_see_two_runs(settings: Settings) -> None:
    runs: set[str] = set()
    failures: list[BaseException] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            while not is_over.is_set():
                count, run = seen(settings)
                assert count == 500 * len(TABLES)
                runs.add(run)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(6):
        build_and_publish(settings, f"run {number}")
    is_over.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(runs) > 1, "they did read while others published"


# --- those who die --------------------------------------------------------------------------------


def test_killed_at_any_step_readers_see_the_old_set_or_the_new(
    settings: Settings, tmp_path: Path
) -> None:
    with lease(settings.state, "new"):
        write_run(settings, "new")
    shutil.copytree(settings.lake, tmp_path / "before")
    steps = tmp_path / "steps"
    ends = []
    # Every other step, which ones by the commit; all of them in the full proof.
    stride = 1 if is_full_proof() else 2
    number, total = 0, 1
    while number <= total:
        case = tmp_path / f"case{number}"
        shutil.copytree(tmp_path / "before", case)
        here = lake_settings(case)
        child = CHILDREN.Process(target=publish_and_die, args=(here, "new", number, steps))
        child.start()
        child.join(60)
        assert child.exitcode == (-9 if number else 0)
        if number == 0:
            total = int(steps.read_text())
        # One that sees the lake only, as it lies; then one that may mend it.
        count, lying = seen(here)
        assert count == 500 * len(TABLES)
        mended = published_set(here).run_id
        assert seen(here) == (count, mended)
        assert (lying, mended) in {("old", "old"), ("old", "new"), ("new", "new")}
        ends.append((lying, mended))
        with lease(here.state, "next") as held:
            publish_tables(here, held, "next")
        assert seen(here) == (count, "new")
        kept = 3 if mended == "new" else 2
        assert len(stored_copies(here.open_lake())) == kept * len(TABLES), "no rubbish is left"
        left = [path for path in case.rglob("*") if path.name.endswith(".tmp")]
        assert not left
        shutil.rmtree(case)
        number += stride if number else 1 + int(commit()[-1], 36) % stride
    assert total > 20
    assert set(ends) == {("old", "old"), ("old", "new"), ("new", "new")}


def test_killed_in_the_midst_of_a_copy_readers_see_the_old_set(settings: Settings) -> None:
    with lease(settings.state, "new"):
        write_run(settings, "new", rows=300_000)
    for copies in range(1, len(TABLES) + 1):
        child = CHILDREN.Process(target=publish_and_die_copying, args=(settings, "new", copies))
        child.start()
        child.join(60)
        assert child.exitcode == -9
        assert published_set(settings).run_id == "old"
        assert seen(settings) == (500 * len(TABLES), "old")
        assert len(stored_copies(settings.open_lake())) > len(TABLES), "it had begun to copy"
    build_and_publish(settings, "next")
    assert len(stored_copies(settings.open_lake())) == 2 * len(TABLES)


def overtake(settings: Settings, held: Lease) -> Lease:
    """What a successor does to the lease of a holder that sleeps; returns the successor's."""
    engine = open_store(settings.state)
    with engine.begin() as connection:
        connection.execute(update(LEASES).values(token=LEASES.c.token + 1, owner="successor"))
    engine.dispose()
    return Lease("successor", {name: token + 1 for name, token in held.tokens.items()})


def test_a_stale_holder_publishes_nothing(settings: Settings) -> None:
    before = digest(settings)
    with lease(settings.state, "stale") as held:
        write_run(settings, "stale")
        overtake(settings, held)
        with pytest.raises(LeaseLostError, match="lost the lease"):
            publish_tables(settings, held, "stale")
    assert digest(settings) == before
    assert seen(settings)[1] == "old"


def test_who_is_overtaken_while_it_copies_moves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointed = read_pointer(settings.open_lake())
    with lease(settings.state, "stale") as held:
        write_run(settings, "stale")

        def copy_and_sleep(*given: Any) -> Any:
            copies = copy_tables(*given)
            overtake(settings, held)
            return copies

        monkeypatch.setattr(service, "copy_tables", copy_and_sleep)
        with pytest.raises(LeaseLostError, match="lost the lease"):
            publish_tables(settings, held, "stale")
    assert read_pointer(settings.open_lake()) == pointed
    assert published_set(settings) == pointed
    assert seen(settings)[1] == "old"


def test_a_holder_that_slept_before_its_pointer_does_not_turn_it_back(settings: Settings) -> None:
    lake = settings.open_lake()
    slept = build_and_publish(settings, "slept")
    (settings.lake / POINTER).unlink()
    newer = build_and_publish(settings, "newer")
    move_pointer(lake, slept)
    assert read_pointer(lake) == newer
    # A compare-and-set on what it saw before it slept fails, too.
    older = lake.peek(POINTER)
    assert older is not None
    assert not lake.swap(POINTER, slept.document(), "another")
    assert not lake.swap(POINTER, slept.document(), None)
    assert lake.peek(POINTER) == older


def test_a_holder_that_slept_before_it_removed_takes_nothing_from_its_successor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = PublishedSets.kept

    def sleep_after(self: PublishedSets, held: Lease) -> list[PublishedSet]:
        """It has been told what is kept, and sleeps; meanwhile a successor publishes."""
        kept = asked(self, held)
        monkeypatch.setattr(PublishedSets, "kept", asked)
        publish_tables(settings, overtake(settings, held), "successor")
        return kept

    with lease(settings.state, "sleeper") as held:
        write_run(settings, "new")
        monkeypatch.setattr(PublishedSets, "kept", sleep_after)
        with pytest.raises(LeaseLostError):
            publish_tables(settings, held, "sleeper")
    assert published_set(settings).run_id == "successor"
    assert seen(settings) == (500 * len(TABLES), "new")


# --- what was lost --------------------------------------------------------------------------------


def test_a_lost_pointer_comes_back_and_lost_copies_are_not_pointed_at(settings: Settings) -> None:
    first = published_set(settings)
    (settings.lake / POINTER).unlink()
    with pytest.raises(SynapseError, match="nothing is published"):
        open_published(settings)
    assert published_set(settings) == first
    assert read_pointer(settings.open_lake()) == first
    shutil.rmtree(settings.lake / "published")
    with pytest.raises(SynapseError, match="nothing is published"):
        published_set(settings)
    second = build_and_publish(settings, "again")
    assert second.number == first.number + 1
    assert seen(settings)[1] == "again"


def test_a_lost_state_store_loses_no_readers(settings: Settings) -> None:
    first = published_set(settings)
    (settings.lake / "state.db").unlink()
    assert published_set(settings) == first
    second = build_and_publish(settings, "after")
    assert (second.number, seen(settings)[1]) == (first.number + 1, "after")


def test_a_pointer_that_is_none_is_told(settings: Settings) -> None:
    (settings.lake / POINTER).write_text('{"number": 1}')
    with pytest.raises(SynapseError, match=r"current.json is no pointer .* delete it"):
        published_set(settings)
    (settings.lake / POINTER).unlink()
    assert seen_after_repair(settings) == "old"


def seen_after_repair(settings: Settings) -> str:
    """Which run a reader sees once somebody has asked for the set."""
    published_set(settings)
    return seen(settings)[1]


# --- a lake on S3 ---------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with s3_bucket(monkeypatch) as made:
        yield made


def test_on_s3_the_pointer_is_moved_by_s3_itself(bucket: Bucket, tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = Settings(
        lake=home,
        remote=f"s3://{bucket.name}/lake",
        warehouse=home / "warehouse.duckdb",
        state=f"sqlite:///{home / 'state.db'}",
    )
    home.mkdir()
    lake = settings.open_lake()
    slept = build_and_publish(settings, "one")
    assert not list(home.rglob("*.parquet")), "what is in the lake need not lie here as well"
    for number in range(KEPT_SETS):
        build_and_publish(settings, f"run {number}")
    assert len(stored_copies(lake)) == KEPT_SETS * len(TABLES)
    assert seen(settings) == (500 * len(TABLES), f"run {KEPT_SETS - 1}")
    move_pointer(lake, slept)
    now = lake.peek(POINTER)
    assert now is not None
    assert not lake.swap(POINTER, slept.document(), None)
    assert not lake.swap(POINTER, slept.document(), '"' + "0f" * 16 + '"')
    assert lake.peek(POINTER) == now
    assert lake.swap(POINTER, now[0], now[1])
    statements = published_sql(settings, published_set(settings))
    assert f"read_parquet(['s3://{bucket.name}/lake/published/sets/" in statements[1]

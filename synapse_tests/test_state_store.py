"""The state store on SQLite and on a real PostgreSQL: the same answers, and only one writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from queue import Empty

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from synapse.errors import LeaseHeldError, SynapseError
from synapse.ingest.ledger import Ledger
from synapse.ingest.ledger_rows import FileRows
from synapse.ingest.offsets import merged
from synapse.ingest.quarantine import discard, entries
from synapse.ingest.replay import replay
from synapse.ingest.service import ingest
from synapse.runner.history import RunHistory
from synapse.settings import Settings
from synapse.state_store import open_store, shown
from synapse_tests.ingest_lake import AS_OF, EVENTS, Lake, event, lines, new_lake
from synapse_tests.test_ingest_recovery import READS, land_some_of_everything

FILES = 300


def at(lake: Lake, url: str) -> Settings:
    return replace(lake.settings, state=url)


def test_everything_that_ingest_does_is_the_same_on_every_store(store: str, tmp_path: Path) -> None:
    """Compared with SQLite: counts, quarantine, what silver reads, replay, discard, recovery."""
    seen = []
    for name, state in (("sqlite", f"sqlite:///{tmp_path / 'other.db'}"), ("here", store)):
        lake = new_lake(tmp_path / name)
        settings = at(lake, state)
        land_some_of_everything(lake)
        reports = [ingest(settings, lake.project, as_of=AS_OF) for _ in range(2)]
        lake.land(f"{EVENTS}/app-events+0+0000000050.json", lines([event(6), b"}"]))
        reports.append(ingest(settings, lake.project, as_of=AS_OF))
        first, *_ = entries(settings)
        discard(settings, [first.id], "not wanted")
        again = replay(settings, lake.project, as_of=AS_OF)
        with Ledger(state) as ledger:
            totals, gaps = ledger.totals(), ledger.offset_gaps()
        seen.append(
            (
                [(report.sources, report.notices) for report in reports],
                [
                    (entry.id, entry.state, entry.attempts)
                    for entry in entries(settings, state=None)
                ],
                {source: lake.rows(source, columns) for source, columns in READS.items()},
                again,
                totals,
                gaps,
            )
        )
    assert seen[0] == seen[1]
    assert seen[0][5], "the case has a gap in the offsets"


def test_the_history_of_runs_keeps_its_times(store: str) -> None:
    history = RunHistory(store)
    history.start("a", "daily", AS_OF)
    history.finish("a", "succeeded", landed=3)
    (run,) = history.latest()
    assert (run.run_id, run.status, run.landed) == ("a", "succeeded", 3)
    assert history.newest_as_of() == AS_OF.replace(tzinfo=None)
    history.close()


def _race(
    settings: Settings, project: Path, results: multiprocessing.Queue[tuple[str, int]]
) -> None:
    while True:
        try:
            report = ingest(settings, project, as_of=AS_OF)
        except LeaseHeldError:
            results.put(("held", 0))
            time.sleep(0.01)
            continue
        results.put(("done", report.landed))
        if report.landed == 0:
            return


def test_tables_are_made_once_by_whoever_comes_first(store: str) -> None:
    barrier = threading.Barrier(8)

    def first_use() -> None:
        barrier.wait()
        with Ledger(store):
            pass

    with ThreadPoolExecutor(barrier.parties) as pool:
        for began in [pool.submit(first_use) for _ in range(barrier.parties)]:
            began.result()


def test_ingests_at_once_never_take_the_same_file(store: str, tmp_path: Path) -> None:
    """Four processes race while files land: every record is accepted once, by one of them."""
    lake = new_lake(tmp_path)
    settings = at(lake, store)
    folder = "bronze/kconnect/topics/app-events/year=2026/month=03/day=01/hour=00"
    for number in range(FILES):
        lake.land(f"{folder}/app-events+0+{number:010d}.json", lines([event(number)]))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[str, int]] = context.Queue()
    racers = [
        context.Process(target=_race, args=(settings, lake.project, results)) for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    said = []
    try:
        while True:
            said.append(results.get(timeout=0.2))
    except Empty:
        pass
    assert sum(landed for what, landed in said if what == "done") == FILES
    assert len(lake.rows("kconnect.app-events", "event_id")) == FILES


def _ingest(settings: Settings, project: Path) -> None:
    ingest(settings, project, as_of=AS_OF)


def test_an_ingest_that_was_overtaken_accepts_nothing(store: str, tmp_path: Path) -> None:
    """A holder that slept past its lease wakes up behind its successor: it must not write."""
    lake = new_lake(tmp_path)
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1), event(2)]))
    settings = at(lake, store)
    with Ledger(store) as ledger:
        ledger.begin("sleeper", AS_OF.replace(tzinfo=None))
        assert ingest(settings, lake.project, as_of=AS_OF).accepted == 2
        with pytest.raises(SynapseError, match="Another ingest took over"):
            ledger.claim("sleeper", FileRows(), [])
        published = []
        with pytest.raises(SynapseError, match="Another ingest took over"):
            ledger.commit(
                "sleeper",
                outcomes=[],
                refusals=[],
                drift=[],
                layouts=[],
                counts={},
                offsets={},
                touched=[],
                gone=[],
                publish=lambda: published.append("a part"),
            )
        assert published == []
        # Its last words do not undo what the successor did either.
        ledger.fail("sleeper", "overtaken")
        assert ledger.totals()["kconnect.app-events"].accepted == 2


def test_what_a_killed_ingest_claimed_is_free_again(store: str, tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    for number in range(20_000):
        path = f"{EVENTS}/app-events+0+{number:010d}.json"
        lake.land(path, lines([event(number)]))
    settings = at(lake, store)
    context = multiprocessing.get_context("spawn")
    victim = context.Process(target=_ingest, args=(settings, lake.project))
    victim.start()
    engine = open_store(store)
    claimed = 0
    while not claimed and victim.is_alive():
        time.sleep(0.01)
        try:
            with engine.connect() as connection:
                claimed = connection.execute(text("select count(*) from ingest_files")).scalar_one()
        except Exception:
            continue
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert 0 < claimed < 20_000, "killed in the middle"
    with Ledger(store) as ledger:
        assert ledger.totals() == {}
    report = ingest(settings, lake.project, as_of=AS_OF)
    assert (report.landed, report.accepted) == (20_000, 20_000)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("no url", "SYNAPSE_STATE is no SQLAlchemy URL"),
        ("nosuchdatabase://host/x", "SYNAPSE_STATE is no SQLAlchemy URL"),
        (
            "postgresql://synapse:secret@127.0.0.1:1/x",  # pragma: allowlist secret
            "state store postgresql://synapse:\\*\\*\\*@",
        ),
    ],
)
def test_a_store_that_cannot_be_used_is_one_clear_error(
    url: str, says: str, tmp_path: Path
) -> None:
    lake = new_lake(tmp_path)
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1)]))
    with pytest.raises(SynapseError, match=says) as error:
        ingest(at(lake, url), lake.project, as_of=AS_OF)
    assert "secret" not in str(error.value)
    assert "secret" not in shown(url)


def test_the_sweep_is_due_once_a_day_by_as_of(store: str, tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1)]))
    settings = at(lake, store)
    sweeps = [
        ingest(settings, lake.project, as_of=AS_OF + timedelta(hours=hours), sweep=None).is_sweep
        for hours in (0, 1, 23, 24, 25)
    ]
    assert sweeps == [True, False, False, True, False]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=30))
def test_merged_ranges_cover_the_same_offsets_with_the_fewest_ranges(
    pairs: list[tuple[int, int]],
) -> None:
    ranges = [(first, first + more) for first, more in pairs]
    result = merged(ranges)
    covered = {offset for first, last in ranges for offset in range(first, last + 1)}
    assert {offset for first, last in result for offset in range(first, last + 1)} == covered
    assert all(a[1] + 1 < b[0] for a, b in pairwise(result))
    assert merged(reversed(ranges)) == result

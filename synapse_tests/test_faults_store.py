"""A state store that goes away while a run publishes or records its end, and comes back.

Readers see one whole set at every moment, the old one or the new one; and the run after it ends as
if nothing had happened. (That a store which is away for a while costs a run nothing, and one that
stays away ends it before its lease does, is shown in test_lease.py.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synapse.publish.reading import open_published
from synapse.runner.history import RunHistory
from synapse.settings import Settings
from synapse_tests.lakes import lake_settings
from synapse_tests.postgres_server import cluster
from synapse_tests.probe_project import land_events, probe_project
from synapse_tests.store_faults import Outcome, Store, run_command, sqlite_store

FIRST = datetime(2026, 3, 2, 3, tzinfo=UTC)
# What the store is asked when it goes away, and whether readers see the new set by then.
MOMENTS = {
    "recording the step": ("INSERT INTO node_runs", False),
    "before the set is recorded": ("INSERT INTO published_sets", False),
    "the set is recorded, old ones are given up": ("UPDATE published_sets", True),
    "recording the end": ("UPDATE schedule_runs SET status=.*fingerprint", True),
    "recording the end in the marts": ("INSERT INTO run_ends", True),
}


@dataclass
class Lake:
    """A lake of the probe project on a store that can go away. day: of its last run, from 0."""

    settings: Settings
    project: Path
    store: Store
    day: int = 0

    def run(self, at: str | None = None) -> Outcome:
        """A run as of the end of the day."""
        as_of = FIRST + timedelta(days=self.day)
        arguments = [
            "run", "probe", "--lake", str(self.settings.lake), "--as-of", as_of.isoformat(),
            "--project-dir", str(self.project),
        ]  # fmt: skip
        return run_command(arguments, self.store, self.settings.lake.parent / "log", at=at)

    def next_day(self) -> None:
        """Another day begins, and an event lands."""
        self.day += 1
        land_events(self.settings.lake, self.day)

    def seen(self) -> int:
        """Of which day the set is that readers see; of two there must be none."""
        with open_published(self.settings) as connection:
            found = connection.execute(
                "from published.apart union from published.behind union from published.below"
            ).fetchall()
        ((_, built_at),) = found
        return int((built_at - FIRST.replace(tzinfo=None)).days)

    def statuses(self) -> list[str]:
        """How its runs ended, the newest first."""
        history = RunHistory(self.settings.state)
        try:
            return [run.status for run in history.latest()]
        finally:
            history.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    """One for all tests of a kind of store; its first day is published."""
    folder = tmp_path_factory.mktemp("store")
    settings = lake_settings(folder / "lake")
    project = probe_project(folder / "project")
    land_events(settings.lake, 0)
    with contextlib.ExitStack() as stack:
        store = sqlite_store(settings.lake / "state.db")
        if request.param == "postgresql":
            server = stack.enter_context(cluster())
            store = Store(server.url, server.stop, server.start)
        made = Lake(replace(settings, state=store.url), project, store)
        assert made.run().code == 0
        yield made


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_store_goes_away_and_the_run_after_it_ends_right(lake: Lake, moment: str) -> None:
    statement, is_new = MOMENTS[moment]
    before = lake.seen()
    lake.next_day()
    broken = lake.run(at=statement)
    seen = lake.seen()  # which takes no store
    lake.store.up()
    assert broken.code == 1
    assert "the state store" in broken.said
    assert "Traceback" not in broken.said
    assert seen == (lake.day if is_new else before)
    after = lake.run()
    assert after.code == 0, after.said
    assert lake.seen() == lake.day
    # What could not be recorded is known for what it is, and nothing passes for being at work.
    assert set(lake.statuses()) <= {"succeeded", "unchanged", "killed"}

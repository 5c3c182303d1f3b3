"""A day of hourly runs, with files that come late, twice and broken, equals one rebuild.

`make proof` simulates all 24 hours; CI as many as it has time for.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from synapse.generate.calendar import DEFAULT_START
from synapse.generate.service import generate
from synapse.ingest.ledger import Ledger
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.runner.dbt import DbtProject
from synapse.runner.service import run
from synapse.settings import Settings
from synapse.warehouse_compare import assert_same_warehouse
from synapse_tests.arrivals import Arrivals
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, copy_lake, is_full_proof, lake_settings

USERS, DAYS, HOURS = (150, 12, 24) if is_full_proof() else (60, 8, 2)
# Of the last days' files: how many land a second time, under another name.
TWICE = 0.2


class LastDays:
    """The files of a lake's last two days, each with the hour of the simulated day it lands in."""

    def __init__(self, lake: Path, aside: Path, before: set[Path]) -> None:
        self._lake = lake
        self._aside = aside
        self._by_hour: dict[int, list[tuple[Path, Path]]] = defaultdict(list)
        chance = random.Random(11)
        for path in sorted(set(bronze(lake)) - before):
            relative = path.relative_to(lake)
            kept = aside / relative
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, kept)
            hour = chance.randrange(HOURS)
            self._by_hour[hour].append((kept, path))
            if chance.random() < TWICE and "/dms/" in str(relative) and "LOAD" not in path.name:
                again = path.with_name(path.name.replace(".parquet", "7.parquet"))
                self._by_hour[chance.randrange(hour, HOURS)].append((kept, again))

    def land(self, hour: int) -> int:
        """Copy an hour's files into bronze; returns how many."""
        for kept, path in self._by_hour[hour]:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, path)
        return len(self._by_hour[hour])


def bronze(lake: Path) -> list[Path]:
    return [path for path in (lake / "bronze").rglob("*") if path.is_file()]


def as_of(hour: int) -> datetime:
    """The end of an hour of the simulated day."""
    start = end_of_date(DEFAULT_START + timedelta(days=DAYS - 2), TIMEZONE)
    return start + timedelta(hours=hour + 1)


def hourly(settings: Settings, dbt: DbtProject, hour: int) -> Counter[str]:
    report = run(settings, PROJECT_DIR, schedule="hourly", as_of=as_of(hour), dbt=dbt)
    assert report.status in ("succeeded", "unchanged"), "\n".join(report.dbt.failures)
    counts = report.ingest
    assert counts.landed == counts.accepted + counts.duplicate + counts.quarantined
    return Counter(
        accepted=counts.accepted, duplicate=counts.duplicate, quarantined=counts.quarantined
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, LastDays]:
    """A hostile lake up to its last two days, and the files of these."""
    root = tmp_path_factory.mktemp("day")
    settings = lake_settings(root / "lake")
    generate(root / "generated", users=USERS, days=DAYS, seed=4, append=False, hazards="hostile")
    arrivals = Arrivals(root / "generated", settings.lake)
    for day in range(DAYS - 2):
        if arrivals.overwrites(day):  # a reload: the load before it has to be seen
            seen_at = end_of_date(DEFAULT_START + timedelta(days=day - 1), TIMEZONE)
            ingest(settings, PROJECT_DIR, as_of=seen_at)
        arrivals.land(day)
    before = set(bronze(settings.lake))
    for day in range(DAYS - 2, DAYS):
        assert not arrivals.overwrites(day), "a reload has no hour: choose other days"
        arrivals.land(day)
    return settings, LastDays(settings.lake, root / "aside", before)


def test_a_day_of_hourly_runs_equals_one_rebuild(
    lake: tuple[Settings, LastDays], tmp_path: Path
) -> None:
    settings, last_days = lake
    dbt = DbtProject(settings, PROJECT_DIR)
    total: Counter[str] = Counter()
    busy = 0
    for hour in range(HOURS):
        busy += last_days.land(hour) > 0
        if hour == HOURS - 1:
            # The day's sweep finds what landed in folders older than an hourly run lists.
            ingest(settings, PROJECT_DIR, as_of=as_of(hour), sweep=True)
        total += hourly(settings, dbt, hour)
    assert busy > HOURS / 2, "in most hours something lands"
    assert min(total["accepted"], total["duplicate"], total["quarantined"]) > 0, total
    with Ledger(settings.state) as ledger:
        for source, counts in ledger.totals().items():
            assert counts.landed == counts.accepted + counts.duplicate + counts.quarantined, source

    rebuilt = copy_lake(settings.lake, tmp_path / "lake")
    rebuilt.warehouse.unlink()
    for path in rebuilt.lake.glob("state.db*"):
        path.unlink()
    hourly(rebuilt, DbtProject(rebuilt, PROJECT_DIR), HOURS - 1)
    assert_same_warehouse(settings.warehouse, rebuilt.warehouse)

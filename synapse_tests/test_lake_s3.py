"""A lake on S3 gives what the same lake in a folder gives, and costs few LIST requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from synapse.dated_folders import is_before
from synapse.errors import SynapseError
from synapse.generate.service import generate
from synapse.ingest.ledger import Ledger
from synapse.ingest.quarantine import entries, show
from synapse.ingest.service import IngestReport, ingest
from synapse.publish.reading import published_set
from synapse.runner.service import run
from synapse.settings import Settings
from synapse.warehouse_compare import compare_warehouses
from synapse_tests.ingest_lake import AS_OF, EVENTS, Lake, event, lines, new_lake
from synapse_tests.lakes import PROJECT_DIR, lake_settings
from synapse_tests.publishing import unequal_copies
from synapse_tests.s3_server import Bucket, s3_bucket
from synapse_tests.test_ingest_recovery import READS, land_some_of_everything

PREFIX = "some/lake"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with s3_bucket(monkeypatch) as made:
        yield made


def on_s3(bucket: Bucket, home: Path) -> Settings:
    return Settings(
        lake=home,
        remote=f"s3://{bucket.name}/{PREFIX}",
        warehouse=home / "warehouse.duckdb",
        state=f"sqlite:///{home / 'state.db'}",
    )


@dataclasses.dataclass(frozen=True)
class Pair:
    """The same bronze in a folder and on S3."""

    folder: Lake
    bucket: Bucket
    settings: Settings

    def ingest(self, sweep: bool | None = True) -> IngestReport:
        self.settings.lake.mkdir(parents=True, exist_ok=True)
        return ingest(self.settings, self.folder.project, as_of=AS_OF, sweep=sweep)

    def upload(self) -> None:
        self.bucket.upload(self.folder.root / "bronze", f"{PREFIX}/bronze")

    def landed(self, folder: Path) -> Lake:
        """What S3 holds, as a folder."""
        self.bucket.download(PREFIX, folder)
        return Lake(folder, self.folder.project)


@pytest.fixture
def pair(bucket: Bucket, tmp_path: Path) -> Pair:
    folder = new_lake(tmp_path / "local")
    return Pair(folder, bucket, on_s3(bucket, tmp_path / "home"))


def test_an_ingest_on_s3_equals_one_in_a_folder(pair: Pair, tmp_path: Path) -> None:
    land_some_of_everything(pair.folder)
    pair.upload()
    there, here = pair.ingest(), pair.folder.ingest()
    assert there.sources == here.sources
    assert there.requests > 0 == here.requests
    copy = pair.landed(tmp_path / "copy")
    for source, columns in READS.items():
        assert copy.rows(source, columns) == pair.folder.rows(source, columns)
    refused = [(entry.id, entry.sentence) for entry in entries(pair.settings)]
    assert refused == [(entry.id, entry.sentence) for entry in entries(pair.folder.settings)]
    for entry in entries(pair.settings):
        assert show(pair.settings, entry.id).payload == show(pair.folder.settings, entry.id).payload
    assert {path.name for path in (copy.root / "quarantine" / "files").iterdir()} == {
        path.name for path in (pair.folder.root / "quarantine" / "files").iterdir()
    }
    # Nothing but what never changes stays on this machine.
    kept = {path.name for path in pair.settings.lake.iterdir()}
    assert kept == {"manifest", "quarantine", "state.db"}
    assert pair.ingest().files == 0


def test_a_lost_state_and_machine_are_rebuilt_from_s3(pair: Pair, tmp_path: Path) -> None:
    land_some_of_everything(pair.folder)
    pair.upload()
    pair.ingest()
    with Ledger(pair.settings.state) as ledger:
        before = ledger.totals()
    another = Pair(pair.folder, pair.bucket, on_s3(pair.bucket, tmp_path / "another"))
    another.ingest()
    with Ledger(another.settings.state) as ledger:
        assert ledger.totals() == before
    assert another.ingest().files == 0


def test_an_hourly_look_lists_the_lookback_and_the_sweep_finds_what_came_late(pair: Pair) -> None:
    for days in range(400):
        day = AS_OF.date() - timedelta(days=days)
        folder = f"bronze/kconnect/topics/app-events/year={day:%Y}/month={day:%m}/day={day:%d}"
        pair.folder.land(f"{folder}/hour=00/app-events+0+{days:010d}.json", lines([event(days)]))
    pair.upload()
    first = pair.ingest(sweep=None)
    assert (first.is_sweep, first.accepted) == (True, 400)
    second = pair.ingest(sweep=None)
    assert (second.is_sweep, second.listed) == (False, 4)
    # Roots, the topic, two years, two months, and four days: no request for older folders.
    assert second.requests <= 16
    late = "bronze/kconnect/topics/app-events/year=2025/month=04/day=01/hour=00"
    pair.folder.land(f"{late}/app-events+0+{900:010d}.json", lines([event(900)]))
    pair.upload()
    assert pair.ingest(sweep=None).accepted == 0
    tomorrow = AS_OF + timedelta(days=1)
    swept = ingest(pair.settings, pair.folder.project, as_of=tomorrow, sweep=None)
    assert (swept.is_sweep, swept.accepted) == (True, 1)


def test_a_file_that_is_overwritten_is_read_anew(pair: Pair) -> None:
    path = f"{EVENTS}/app-events+0+0000000000.json"
    pair.folder.land(path, lines([event(1)]))
    pair.upload()
    pair.ingest()
    pair.folder.land(path, lines([event(2)]))
    pair.upload()
    assert pair.ingest().accepted == 1


def test_silver_and_gold_on_s3_equal_those_in_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    local = lake_settings(tmp_path / "local")
    made = generate(local.lake, users=40, days=36, seed=3, append=False, hazards="normal")
    bucket.upload(local.lake / "bronze", f"{PREFIX}/bronze")
    remote = on_s3(bucket, tmp_path / "home")
    as_of = datetime.fromisoformat(made.as_of)
    # One key: pseudonyms are compared as well.
    (tmp_path / "home").mkdir()
    for settings in (local, remote):
        (settings.lake / "pseudonym.key").write_text("a-key-for-tests-of-32-characters")
        report = run(settings, PROJECT_DIR, schedule="daily", as_of=as_of)
        assert report.status == "succeeded", report.dbt.failures
    assert compare_warehouses(local.warehouse, remote.warehouse) == []
    for settings in (local, remote):
        assert len(published_set(settings).tables) == 30, "all that exposures read"
        assert unequal_copies(settings) == []


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("gs://bucket/lake", "neither a folder nor an s3://"),
        ("s3://", "neither a folder nor an s3://"),
        ("s3://UPPER/lake", "neither a folder nor an s3://"),
    ],
)
def test_a_location_that_cannot_be_is_refused(location: str, says: str) -> None:
    with pytest.raises(SynapseError, match=says):
        Settings.load(lake=location)


def test_a_bucket_that_is_not_there_is_one_clear_error(bucket: Bucket, tmp_path: Path) -> None:
    settings = on_s3(dataclasses.replace(bucket, name="no-such-bucket"), tmp_path)
    with pytest.raises(SynapseError, match=r"s3://no-such-bucket/some/lake.*AWS_ENDPOINT_URL"):
        ingest(settings, PROJECT_DIR, as_of=AS_OF)


@pytest.mark.parametrize(
    ("folders", "is_old"),
    [
        (["2026", "03", "01"], True),
        (["2026", "03", "09"], False),
        (["2025"], True),
        (["year=2026", "month=02"], True),
        (["year=2026", "month=03", "day=08", "hour=23"], True),
        (["year=2026", "month=03", "day=09", "hour=00"], False),
        (["partition=3", "year=2026", "month=01"], True),
        (["20260301"], True),
        (["2026-03-09"], False),
        (["dt=2026-03-01"], True),
        (["01032026"], False),
        (["20032026"], False),
        (["orders"], False),
        (["partition=3"], False),
    ],
)
def test_a_folder_is_old_when_all_its_dates_are(folders: list[str], is_old: bool) -> None:
    digits, found = "", False
    for folder in folders:
        found, digits = is_before(digits, folder, date(2026, 3, 9))
        if found:
            break
    assert found is is_old

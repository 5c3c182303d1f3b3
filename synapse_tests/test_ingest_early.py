"""What an ingest begins with early: a listing by another process, and what arguments it goes by."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import psutil
import pytest

from synapse.errors import SynapseError
from synapse.ingest import early_start
from synapse.ingest.early_listing import EarlyListing
from synapse.lake import LocalLake
from synapse.settings import Settings
from synapse_tests.ingest_lake import EVENTS, Lake, new_lake
from synapse_tests.killed_run import survivors
from synapse_tests.test_ingest_readers import MANY, landed

TOPIC = "bronze/kconnect/topics/app-events"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Folders of folders, with more than one piece of files, and what is no file."""
    lake = new_lake(tmp_path)
    for number in range(1_100):
        lake.land(f"{TOPIC}/year=2026/month=03/day=01/x+0+{number:010d}.json", b"{}" * (number % 3))
    lake.land(f"{TOPIC}/a.json", b"{}")
    lake.land(f"{TOPIC}/year=2025/é.json", b"{}")
    lake.land(f"{TOPIC}/year=2025/.hidden.json", b"{}")
    (lake.root / TOPIC / "empty").mkdir()
    (lake.root / TOPIC / "up").symlink_to(lake.root / TOPIC)
    (lake.root / TOPIC / "nowhere").symlink_to(lake.root / "nowhere")
    (lake.root / TOPIC / os.fsdecode(b"latin-\xe9.json")).write_bytes(b"{}")
    return lake


def test_an_early_listing_tells_what_the_lake_lists(lake: Lake) -> None:
    ours, others = LocalLake(lake.root), LocalLake(lake.root)
    early = EarlyListing(lake.root, TOPIC)
    try:
        taken = early.take(others, TOPIC, None)
        assert taken is not None
        assert list(taken) == (expected := list(ours.listing(TOPIC)))
        assert len(expected) == 1_102
        assert others.passed_over == ours.passed_over != set()
        assert early.take(others, TOPIC, None) is None
    finally:
        early.end()


def test_an_early_listing_is_for_one_folder_of_one_lake_and_all_dates(lake: Lake) -> None:
    early = EarlyListing(lake.root, TOPIC)
    try:
        assert early.take(LocalLake(lake.root), f"{TOPIC}/year=2025", None) is None
        assert early.take(LocalLake(lake.root / "other"), TOPIC, None) is None
        assert early.take(LocalLake(lake.root), TOPIC, date(2026, 1, 1)) is None
        assert early.take(LocalLake(lake.root), TOPIC, None) is not None
    finally:
        early.end()


def test_what_listing_raises_in_the_other_process_is_raised_here(lake: Lake) -> None:
    folder = f"{TOPIC}/{'x' * 300}"
    early = EarlyListing(lake.root, folder)
    try:
        taken = early.take(LocalLake(lake.root), folder, None)
        assert taken is not None
        with pytest.raises(OSError, match="too long"):
            list(taken)
    finally:
        early.end()


def begun(lake: Lake) -> tuple[EarlyListing, psutil.Process]:
    """An early listing, and the process that lists."""
    before = set(psutil.Process().children())
    early = EarlyListing(lake.root, TOPIC)
    (lister,) = set(psutil.Process().children()) - before
    return early, lister


def test_a_lister_that_is_killed_is_told(lake: Lake) -> None:
    early, lister = begun(lake)
    lister.kill()
    taken = early.take(LocalLake(lake.root), TOPIC, None)
    assert taken is not None
    with pytest.raises(SynapseError, match="ended by itself"):
        list(taken)
    early.end()


def test_a_lister_that_nobody_listens_to_ends(lake: Lake) -> None:
    early, lister = begun(lake)
    early.end()
    assert not lister.is_running()


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        (["--lake", "LAKE"], True),
        (["--json", "--lake=LAKE", "--recent"], True),
        (["--lake", "elsewhere", "--lake", "LAKE"], True),
        (["--lake", "LAKE", "--help"], False),
        (["--lake"], False),
        (["--lake", "s3://no bucket"], False),
        ([], False),
    ],
)
def test_what_begins_early_goes_by_the_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], starts: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNAPSE_LAKE", raising=False)
    monkeypatch.setenv("SYNAPSE_PROCESSES", "2")
    lake = landed(new_lake(tmp_path / "in"), MANY)
    before = set(psutil.Process().children())
    early_start.begin([argument.replace("LAKE", str(lake.root)) for argument in arguments])
    started = set(psutil.Process().children()) - before
    assert bool(started) == starts
    # A reader, and a lister where all is listed.
    assert len(started) == (1 if "--recent" in arguments else 2) * starts
    taken = early_start.take(Settings.load(lake=lake.root), recent=True)
    assert set(psutil.Process().children()) - before >= started
    taken.readers.close()
    assert not any(process.is_running() for process in started)


def test_what_began_for_another_lake_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_PROCESSES", "2")
    lake = landed(new_lake(tmp_path / "in"), MANY)
    before = set(psutil.Process().children())
    early_start.begin(["--lake", str(lake.root)])
    started = set(psutil.Process().children()) - before
    early_start.take(Settings.load(lake=tmp_path / "other"), recent=False).readers.close()
    assert len(started) == 2
    assert not any(process.is_running() for process in started)


def test_the_command_that_begins_early_takes_every_file(tmp_path: Path) -> None:
    lake = landed(new_lake(tmp_path), MANY + 3)
    lake.land(f"{EVENTS}/app-events+0+0000000000-late.json", b"no JSON")
    command = [sys.executable, "-m", "synapse", "ingest", "--lake", str(lake.root)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SYNAPSE_PROCESSES": "2"},
    )
    assert done.returncode == 0, done.stderr
    wanted = f"Landed {MANY + 4} records = {MANY + 3} accepted + 0 duplicate + 1 quarantined"
    assert wanted in done.stdout


BEGUN = """
import os, sys, time
from synapse.ingest import early_start
from synapse.settings import Settings
early_start.begin(["--lake", sys.argv[1]], forks=True)
taken = early_start.take(Settings.load(lake=sys.argv[1]), recent=False)
import psutil
children = psutil.Process().children()
"""


def begun_in_a_process(lake: Path, then: str) -> subprocess.CompletedProcess[str]:
    """A process that begins early by making copies of itself, and then does as it is told."""
    return subprocess.run(
        [sys.executable, "-c", BEGUN + then, str(lake)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"SYNAPSE_PROCESSES": "3"},
        start_new_session=True,
    )


def test_a_fresh_process_is_copied_for_its_companions(tmp_path: Path) -> None:
    """A copy holds nothing open but its end: else one would keep another from seeing an end."""
    lake = landed(new_lake(tmp_path), MANY)
    # The first lists, and has ended by then, perhaps.
    then = """
_, *readers = sorted(children, key=lambda child: child.create_time())
assert all(child.cmdline() == psutil.Process().cmdline() for child in readers)
opened = lambda: [len(os.listdir(f"/proc/{child.pid}/fd")) for child in readers]
until = time.monotonic() + 20
while opened() != [4, 4] and time.monotonic() < until:
    time.sleep(0.05)  # a copy closes what it was not given once it has its turn of the processor
print(opened(), [os.readlink(f"/proc/{child.pid}/fd/0") for child in readers])
taken.readers.close()
print(any(child.is_running() for child in children))
"""
    done = begun_in_a_process(lake.root, then)
    assert done.stdout.splitlines() == [
        "[4, 4] ['/dev/null', '/dev/null']",
        "False",
    ], done.stderr


def test_copies_end_with_the_process_that_was_killed(tmp_path: Path) -> None:
    lake = landed(new_lake(tmp_path), MANY)
    then = """
print(os.getpid(), len(children), flush=True)
os.kill(os.getpid(), 9)
"""
    done = begun_in_a_process(lake.root, then)
    session, count = map(int, done.stdout.split())
    assert count == 3, done.stderr
    assert not survivors(session, 20)


def test_a_copy_that_is_killed_is_told(tmp_path: Path) -> None:
    lake = landed(new_lake(tmp_path), MANY)
    then = """
for child in children:
    child.kill()
from synapse.ingest.service import ingest
from synapse.project import find_project
try:
    ingest(taken.settings, find_project(), as_of=taken.moment, readers=taken.readers)
except Exception as error:
    print(type(error).__name__, error)
"""
    done = begun_in_a_process(lake.root, then)
    assert "SynapseError" in done.stdout, done.stderr
    assert "exit code -9" in done.stdout

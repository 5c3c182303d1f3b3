"""No room, no permission: one sentence, exit code 1, nothing half accepted; cured, all is well.

No room is made twice: by a limit on the size of every file (works for anybody, anywhere), and by a
small disk of our own (tmpfs in a mount namespace), where the machine permits one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synapse_tests.ingest_lake import EVENTS, ORDERS, Lake, change, event, lines, new_lake
from synapse_tests.lakes import is_full_proof
from synapse_tests.test_ingest_recovery import land_some_of_everything, state

SYNAPSE = str(Path(sys.executable).with_name("synapse"))
AS_OF = "2026-03-10T12:00:00+00:00"
# Shares of what an undisturbed ingest writes: how much room there is.
ROOM = [each / 20 for each in range(17)] if is_full_proof() else [0.0, 0.3, 0.6]
FILE_SIZES = [0, 1, 4, 20, 60, 100] if is_full_proof() else [0, 60]
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class Whole:
    """A lake that was ingested undisturbed, and how many bytes that wrote."""

    lake: Lake
    written: int


def size_of(folder: Path) -> int:
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(-(-each.st_size // 4096) * 4096 for each in files)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    lake = new_lake(tmp_path_factory.mktemp("whole"))
    (lake.project / "dbt_project.yml").write_text("name: faults\n")
    land_some_of_everything(lake)
    texts = [os.urandom(1_000).hex() for _ in range(300)]
    lake.land(
        f"{EVENTS}/app-events+3+0000000000.json",
        lines([event(1_000 + n, properties={"t": text}) for n, text in enumerate(texts)]),
    )
    lake.land_rows(
        f"{ORDERS}/2026/03/02/20260302-000000001.parquet",
        [change(100 + n, n, op="X" if n % 2 else "I", label=text) for n, text in enumerate(texts)],
    )
    before = size_of(lake.root)
    lake.ingest()
    return Whole(lake, size_of(lake.root) - before)


@pytest.fixture
def lake(whole: Whole, tmp_path: Path) -> Lake:
    """The same bronze, not ingested."""
    lake = replace(whole.lake, root=tmp_path / "lake")
    shutil.copytree(whole.lake.root / "bronze", lake.root / "bronze")
    return lake


def command(lake: Lake, name: str = "ingest") -> list[str]:
    options = ["--lake", str(lake.root), "--project-dir", str(lake.project), "--as-of", AS_OF]
    return [SYNAPSE, *name.split(), *options]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNAPSE_")}
    return kept | {"COLUMNS": "200"}


def call(lake: Lake, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(lake), capture_output=True, text=True, check=False, env=environment(), **how
    )


def assert_one_sentence(exit_code: int, said: str, *names: str) -> None:
    assert exit_code == 1, said
    assert "Traceback" not in said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert any(name in errors[0] for name in names), errors[0]
    assert "run the command again" in errors[0], errors[0]


def assert_nothing_is_accepted(lake: Lake) -> None:
    assert not list((lake.root / "manifest").glob("part-*"))


def assert_whole(lake: Lake, whole: Whole) -> None:
    lake.ingest()
    assert state(lake) == state(whole.lake)
    assert not leftovers(lake), "what was not written to its end lies about"


def leftovers(lake: Lake) -> list[Path]:
    return [path for path in lake.root.rglob("*.tmp") if path.is_file()]


@pytest.mark.parametrize("kilobytes", FILE_SIZES)
def test_files_that_may_not_grow(lake: Lake, whole: Whole, kilobytes: int) -> None:
    limit = kilobytes * 1024
    limited = call(
        lake, preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    )
    assert_one_sentence(limited.returncode, limited.stderr, str(lake.root), "SYNAPSE_STATE")
    assert_nothing_is_accepted(lake)
    assert_whole(lake, whole)


_ON_A_SMALL_DISK = """
set -u
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK" || exit 99
mkdir "$DISK/lake" && cp -a "$BRONZE" "$DISK/lake/bronze" || exit 98
"$@" >"$OUT/first.out" 2>"$OUT/first.err"; echo $? >"$OUT/first"
ls "$DISK/lake/manifest" 2>/dev/null | grep -c '^part-' >"$OUT/parts"
mount -o remount,size=1g "$DISK" || exit 97
"$@" >"$OUT/second.out" 2>"$OUT/second.err"; echo $? >"$OUT/second"
cp -a "$DISK/lake" "$OUT/lake"
"""


def unshared() -> list[str] | None:
    """How a namespace is had in which a disk can be mounted; None where none is permitted."""
    for flags in (["-m"], ["-rm"]):
        way = ["unshare", *flags]
        probe = [*way, "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return way
    return None


@pytest.mark.parametrize("share", ROOM)
def test_a_disk_that_is_full(whole: Whole, tmp_path: Path, share: float) -> None:
    way = unshared()
    if way is None:
        pytest.skip("no mount namespace is permitted here: test_files_that_may_not_grow stands in")
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    lake = replace(whole.lake, root=disk / "lake")
    bronze = whole.lake.root / "bronze"
    folders = sum(1 for path in bronze.rglob("*") if path.is_dir())
    room = size_of(bronze) + 4096 * (folders + 20) + int(share * whole.written)
    variables = {"SIZE": str(room), "DISK": str(disk), "BRONZE": str(bronze), "OUT": str(out)}
    done = subprocess.run(
        [*way, "sh", "-c", _ON_A_SMALL_DISK, "sh", *command(lake)],
        capture_output=True,
        text=True,
        check=False,
        env=environment() | variables,
    )
    assert done.returncode == 0, done.stderr
    said = (out / "first.err").read_text()
    assert_one_sentence(int((out / "first").read_text()), said, str(lake.root), "SYNAPSE_STATE")
    # The part is seen before the state store has committed. Where that is what finds no room, the
    # next run adopts what it published, as after a kill there; silver reads it once either way.
    assert int((out / "parts").read_text()) <= int("state store" in said)
    assert int((out / "second").read_text()) == 0, (out / "second.err").read_text()
    after = replace(lake, root=out / "lake")
    assert state(after) == state(whole.lake)
    assert not leftovers(after)


def as_anybody() -> None:
    """In a child: permissions bind root as well, which gives up the right to pass them by."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                os._exit(70)


@contextlib.contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


BRONZE_PATHS = [
    f"{ORDERS}/LOAD00000001.parquet",
    f"{ORDERS}/2026/03/01/20260301-000000001.parquet",
    f"{EVENTS}/app-events+0+0000000000.json",
    EVENTS,
    "bronze/dms",
    "bronze",
]


@pytest.mark.parametrize("path", BRONZE_PATHS)
def test_bronze_that_may_not_be_read(lake: Lake, whole: Whole, path: str) -> None:
    with mode(lake.root / path, 0):
        denied = call(lake, preexec_fn=as_anybody)
    assert_one_sentence(denied.returncode, denied.stderr, str(lake.root / path))
    assert_nothing_is_accepted(lake)
    assert_whole(lake, whole)


@pytest.mark.parametrize("path", ["", "manifest", "consolidated", "quarantine", "retained"])
def test_a_folder_that_may_not_be_written(lake: Lake, whole: Whole, path: str) -> None:
    (lake.root / path).mkdir(exist_ok=True)
    with mode(lake.root / path, 0o555):
        denied = call(lake, preexec_fn=as_anybody)
    assert_one_sentence(denied.returncode, denied.stderr, str(lake.root / path))
    assert_nothing_is_accepted(lake)
    assert_whole(lake, whole)


@pytest.mark.parametrize("bits", [0o444, 0])
def test_a_state_store_that_may_not_be_written(lake: Lake, whole: Whole, bits: int) -> None:
    later = f"{EVENTS}/app-events+3+0000000000.json"
    held_back = lake.root.parent / "later.json"
    (lake.root / later).rename(held_back)
    lake.ingest()
    parts = sorted((lake.root / "manifest").glob("part-*"))
    held_back.rename(lake.root / later)
    with mode(lake.root / "state.db", bits):
        denied = call(lake, preexec_fn=as_anybody)
    assert_one_sentence(denied.returncode, denied.stderr, "state.db")
    assert sorted((lake.root / "manifest").glob("part-*")) == parts
    lake.ingest()
    ours, theirs = state(lake), state(whole.lake)
    assert ours[:2] == theirs[:2]
    assert ours[3] == theirs[3]

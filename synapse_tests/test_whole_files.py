"""A small file is there whole or not at all, and a writer that was killed leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from synapse.whole_files import aside, write_whole


def left(path: Path, process: int, seconds_ago: float = 60) -> Path:
    """What a writer has written of `path` when it stops before the rename."""
    temporary = Path(str(aside(path)).replace(f".{os.getpid()}.", f".{process}."))
    temporary.write_text("half")
    then = time.time() - seconds_ago
    os.utime(temporary, (then, then))
    return temporary


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_what_a_dead_writer_left_goes_with_the_next_file(tmp_path: Path) -> None:
    dead = ended_process()
    first, others = left(tmp_path / "a.html", dead), left(tmp_path / "b.json", dead)
    write_whole(tmp_path / "c.html", b"whole")
    assert not first.exists()
    assert not others.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["c.html"]


def test_what_may_be_at_work_stays(tmp_path: Path) -> None:
    stays = {
        left(tmp_path / "of a living writer", os.getppid()),
        left(tmp_path / "of another container", ended_process(), seconds_ago=0),
        left(tmp_path / "of no process that can be", 10**12),
    }
    for name in (".someone's own.tmp", "report.tmp", ".env", ".a.b.tmp"):
        stays.add(tmp_path / name)
        (tmp_path / name).write_text("not ours")
    write_whole(tmp_path / "c.html", b"whole")
    assert {*tmp_path.iterdir()} == stays | {tmp_path / "c.html"}

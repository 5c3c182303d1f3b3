"""Writing a small file on this machine so that no reader ever sees half of it."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

_ASIDE = re.compile(r"\..+\.([0-9]+)\.tmp")
# A writer in another container is none that this one can see; it takes less than this.
_WRITTEN_AFTER = 2.0


def aside(path: Path) -> Path:
    """Where to write what then becomes `path`; several processes may write the same at once.

    It lies beside it, so that the rename stays on one file system, and ends in no name that a
    collector of metrics or a glob over the folder reads.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_whole(path: Path, content: bytes) -> None:
    """Write the file under a temporary name and rename it; its folder is made.

    What a writer that was killed has left in the folder goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent)
    temporary = aside(path)
    temporary.write_bytes(content)
    temporary.replace(path)


def _tidy(folder: Path) -> None:
    for left in folder.glob(".*.tmp"):
        named = _ASIDE.fullmatch(left.name)
        if named is None or _is_alive(int(named[1])):
            continue
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _WRITTEN_AFTER:
                left.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

"""Writing a small file on this machine so that no reader ever sees half of it."""

from __future__ import annotations

import os
from pathlib import Path


def aside(path: Path) -> Path:
    """Where to write what then becomes `path`; several processes may write the same at once.

    It lies beside it, so that the rename stays on one file system, and ends in no name that a
    collector of metrics or a glob over the folder reads.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_whole(path: Path, content: bytes) -> None:
    """Write the file under a temporary name and rename it; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = aside(path)
    temporary.write_bytes(content)
    temporary.replace(path)

"""The files that outlive a disaster, laid out as a lake of their own without copying them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from synapse.errors import SynapseError
from synapse.ingest.discover import find
from synapse.ingest.manifest import part_names, read_parts
from synapse.lake import Lake

_SHOWN = 5


@dataclass(frozen=True)
class Survivors:
    """What was laid out: files by number, their bytes."""

    files: int
    bytes: int


def lay_out(lake: Lake, parts: Collection[str], into: Path) -> Survivors:
    """Make `into` a lake that holds what the named manifest parts list, and what was refused.

    Bronze has only what was accepted when those parts were written: what landed since is not in
    the warehouse that the rebuilt one is held against. Files are linked where the file system can:
    nothing rewrites them in place but DMS, whose loads were copied to retained/. Raises
    SynapseError when a file that silver reads is gone, which no rebuild can make good.
    """
    lost = sorted(set(parts) - set(part_names(lake)))
    rows = [] if lost else read_parts(lake, sorted(parts)).rows
    wanted = {row.path for row in rows}
    found = find(lake, wanted)
    gone = [f"manifest/{name}" for name in lost] or sorted(wanted - found.keys())
    if gone:
        raise SynapseError(
            f"{len(gone)} files that silver was read from are gone, so a rebuild "
            f"would lose them: {', '.join(gone[:_SHOWN])}{' …' if len(gone) > _SHOWN else ''}. "
            "Put them back, from a version of the bucket or a backup"
        )
    if not any(path.startswith("bronze/") for path in wanted):
        # Small files are read as they were consolidated; a lake without bronze is refused.
        landed = find(lake, [row.landed_path for row in rows[:1]])
        found.update(landed)
    files = [*found.values(), *lake.listing("quarantine")]
    lake.fetch(files)
    try:
        _link(lake.root, (file.path for file in files), into)
        _link(lake.root, (f"manifest/{name}" for name in parts), into)
    finally:
        lake.release(files)
    return Survivors(len(files), sum(file.size for file in files))


def _link(root: Path, paths: Iterable[str], into: Path) -> None:
    for path in paths:
        copy = into / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(root / path, copy)
        except OSError:  # another file system, or one without links
            shutil.copy2(root / path, copy)

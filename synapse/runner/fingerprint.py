"""What a run depends on, as one hash: equal hashes mean that there is nothing to build."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from synapse.ingest.manifest import part_names
from synapse.runner.clock import last_complete_date, naive_utc
from synapse.settings import Settings

_PROJECT_PARTS = ("models", "macros", "seeds", "snapshots", "tests", "dbt_project.yml",
                  "packages.yml", "selectors.yml")  # fmt: skip


def inputs_fingerprint(
    settings: Settings,
    project_dir: Path,
    *,
    selector: str,
    as_of: datetime,
    by_minute: bool = False,
) -> str:
    """Return the SHA-256 of all that decides a run's result.

    That is: the accepted files (the manifest is append-only, so its parts' names say which), the
    code and configuration, the business time zone, the last complete date and the warehouse file
    itself. Of as-of counts the last complete date and the hour, with which reports end (by_minute:
    the minute). selector: what the run selects, as one text.
    """
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update("\0".join(str(part) for part in parts).encode() + b"\n")

    add(selector, settings.target, settings.business_timezone, settings.location)
    add(last_complete_date(as_of, settings.business_timezone))
    minute = naive_utc(as_of).replace(second=0, microsecond=0)
    add(minute if by_minute else minute.replace(minute=0))
    for path in sorted((settings.lake / "manifest").glob("*.parquet")):
        add(path.name, path.stat().st_size)
    for name, checksum in project_files(project_dir):
        add(name, checksum)
    if settings.warehouse.exists():
        # A replaced warehouse has another inode: it holds nothing of the earlier run.
        add(settings.warehouse, settings.warehouse.stat().st_ino)
    return digest.hexdigest()


def readable_files(settings: Settings) -> str:
    """Return a digest of what silver may read: the parts of the manifest, which never change."""
    return hashlib.sha256("\n".join(part_names(settings.open_lake())).encode()).hexdigest()


def project_files(project_dir: Path) -> Iterator[tuple[Path, str]]:
    """The files that make up the dbt project, each with its SHA-256, in one order."""
    for part in _PROJECT_PARTS:
        root = project_dir / part
        files = sorted(root.rglob("*")) if root.is_dir() else [root]
        for path in files:
            if path.is_file():
                yield path.relative_to(project_dir), hashlib.sha256(path.read_bytes()).hexdigest()

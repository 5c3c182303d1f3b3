"""The project's semantic manifest: parsed once, and again when what it says may have changed.

To parse takes dbt six seconds, most of it to import itself and to read what has not changed.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from synapse.runner.dbt import DbtProject
from synapse.runner.fingerprint import project_files
from synapse.settings import Settings
from synapse.whole_files import write_whole


def semantic_manifest(settings: Settings, project_dir: Path, dbt: DbtProject) -> str:
    """The JSON of dbt's semantic manifest: the last one where nothing that decides it has changed.

    Raises SynapseError for a project that does not parse.
    """
    known = dbt.target_path / "metrics" / f"{_fingerprint(settings, project_dir, dbt)}.json"
    if known.is_file():
        return known.read_text()
    dbt.parse()
    parsed = (dbt.target_path / "semantic_manifest.json").read_text()
    for outdated in known.parent.glob("*.json"):
        outdated.unlink(missing_ok=True)
    write_whole(known, parsed.encode())
    return parsed


def _fingerprint(settings: Settings, project_dir: Path, dbt: DbtProject) -> str:
    digest = hashlib.sha256()
    decisive = (version("dbt-core"), settings.target, settings.warehouse, dbt.profiles_dir)
    digest.update("\0".join(map(str, decisive)).encode())
    digest.update((dbt.profiles_dir / "profiles.yml").read_bytes())
    for name, checksum in project_files(project_dir):
        digest.update(f"{name}\0{checksum}\n".encode())
    return digest.hexdigest()

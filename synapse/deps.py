"""The dbt packages of a project: from the hub, or stand-ins where the hub cannot be reached.

`dbt deps` on a machine without the hub waits, fails, and leaves dbt_packages/ empty. So the hub is
asked first, briefly; only when it cannot be reached are the stand-ins of dbt_standins/ copied.
A marker in dbt_packages/ makes every later call instant.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from synapse.errors import SynapseError
from synapse.project import find_project

PACKAGES_DIR = "dbt_packages"
STANDINS_DIR = "dbt_standins"
MARKER = ".synapse-deps.json"

_STANDIN_VERSION = "0.0.0"
_DEFAULT_HUB = "https://hub.getdbt.com/"
_PROBE_SECONDS = 3
_DEPS_SECONDS = 180
# What dbt prints when its own retries could not connect, to the hub or to where archives lie.
_CONNECTION_FAILED = "External connection exception occurred"


class Origin(StrEnum):
    """Where the packages in dbt_packages/ came from."""

    HUB = "hub"
    STANDIN = "stand-in"
    USER = "installed by dbt deps"


@dataclass(frozen=True)
class DepsReport:
    """What `ensure_packages` found or did; `changed` is False when all was in place."""

    origin: Origin
    changed: bool
    packages: tuple[str, ...]

    @property
    def message(self) -> str:
        """One line for a person; empty when nothing had to be done."""
        names = ", ".join(self.packages)
        if not self.changed:
            return ""
        if self.origin is Origin.STANDIN:
            return (
                f"The dbt hub cannot be reached: using the stand-ins of {STANDINS_DIR}/ for {names}"
            )
        return f"dbt packages installed from the hub: {names}"


def ensure_packages(project_dir: Path) -> DepsReport:
    """Make dbt_packages/ complete for the project's packages.yml, and say from where.

    Packages that someone installed with `dbt deps` are kept where the hub cannot be reached.
    Raises SynapseError when dbt refuses packages.yml, or a package has neither hub nor stand-in.
    """
    names = _locked_names(project_dir)
    installed = project_dir / PACKAGES_DIR
    marker = _read_marker(installed)
    complete = _is_complete(installed, names)
    if complete and marker is not None and marker["hash"] == _fingerprint(project_dir, marker):
        return DepsReport(Origin(marker["origin"]), changed=False, packages=names)
    if _hub_answers(project_dir) and _install_from_hub(project_dir):
        _write_marker(project_dir, installed, Origin.HUB)
        return DepsReport(Origin.HUB, changed=True, packages=names)
    if complete and marker is None and not _are_standins(installed, names):
        return DepsReport(Origin.USER, changed=False, packages=names)
    _install_standins(project_dir, names)
    return DepsReport(Origin.STANDIN, changed=True, packages=names)


def _locked_names(project_dir: Path) -> tuple[str, ...]:
    path = project_dir / "package-lock.yml"
    try:
        lock = yaml.safe_load(path.read_text(encoding="utf-8"))
        return tuple(package["name"] for package in lock["packages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SynapseError(
            f"{path} does not name the packages: restore it, or run `dbt deps --lock` where the "
            "dbt hub can be reached"
        ) from error


def _is_complete(installed: Path, names: tuple[str, ...]) -> bool:
    return all((installed / name / "dbt_project.yml").is_file() for name in names)


def _are_standins(installed: Path, names: tuple[str, ...]) -> bool:
    projects = [(installed / name / "dbt_project.yml").read_text("utf-8") for name in names]
    return any(yaml.safe_load(text).get("version") == _STANDIN_VERSION for text in projects)


def _read_marker(installed: Path) -> dict[str, str] | None:
    path = installed / MARKER
    try:
        marker: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return marker if {"origin", "hash"} <= marker.keys() else None


def _write_marker(project_dir: Path, folder: Path, origin: Origin) -> None:
    marker = {"origin": origin.value}
    marker["hash"] = _fingerprint(project_dir, marker)
    (folder / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")


def _fingerprint(project_dir: Path, marker: dict[str, str]) -> str:
    """Return the hash of all that decides the content of dbt_packages/ for the marker's origin."""
    paths = [project_dir / "packages.yml", project_dir / "package-lock.yml"]
    if marker["origin"] == Origin.STANDIN:
        # An edited stand-in is copied again.
        standins = project_dir / STANDINS_DIR
        paths += sorted(path for path in standins.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.relative_to(project_dir).as_posix()}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _hub_answers(project_dir: Path) -> bool:
    """Tell whether the hub can be reached, in seconds rather than after dbt's five retries."""
    hub = os.environ.get("DBT_PACKAGE_HUB_URL", _DEFAULT_HUB)
    packages = yaml.safe_load((project_dir / "packages.yml").read_text(encoding="utf-8"))
    first = next((p["package"] for p in packages["packages"] if "package" in p), None)
    if first is None:
        return True
    try:
        with urllib.request.urlopen(f"{hub}api/v1/{first}.json", timeout=_PROBE_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        # "No such package" comes from the hub itself; a refusal or a gateway's error does not.
        return error.code == http.client.NOT_FOUND
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _install_from_hub(project_dir: Path) -> bool:
    """Run `dbt deps`; False when it lost the connection, SynapseError when it failed otherwise."""
    with tempfile.TemporaryDirectory(prefix="synapse-deps-") as logs:
        command = [
            sys.executable,
            "-m",
            "dbt.cli.main",
            "--no-send-anonymous-usage-stats",
        ]
        command += ["--no-use-colors", "--log-path", logs]
        command += ["deps", "--project-dir", str(project_dir)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_DEPS_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    if done.returncode == 0:
        return True
    output = done.stdout + done.stderr
    if _CONNECTION_FAILED in output:
        return False
    raise SynapseError(
        f"dbt deps failed for {project_dir / 'packages.yml'}; mend what it says and run again:\n"
        + output.strip()
    )


def _install_standins(project_dir: Path, names: tuple[str, ...]) -> None:
    standins = project_dir / STANDINS_DIR
    missing = [name for name in names if not (standins / name / "dbt_project.yml").is_file()]
    if missing:
        raise SynapseError(
            f"The dbt hub cannot be reached and {standins} holds no stand-in for "
            f"{', '.join(missing)}: run `dbt deps` where the hub can be reached"
        )
    target = project_dir / PACKAGES_DIR
    try:
        # Staged beside the target: another process never sees half a copy.
        with tempfile.TemporaryDirectory(prefix=f".{PACKAGES_DIR}-", dir=project_dir) as staging:
            staged = Path(staging) / PACKAGES_DIR
            for name in names:
                shutil.copytree(standins / name, staged / name)
            _write_marker(project_dir, staged, Origin.STANDIN)
            if target.exists():
                target.rename(Path(staging) / "replaced")
            staged.rename(target)
    except OSError as error:
        if _is_complete(target, names):
            return  # another process was faster
        raise SynapseError(f"Cannot write {target}: {error.strerror}; make it writable") from error


def main() -> int:
    """Run `python -m synapse.deps` for the project at or above the working directory."""
    try:
        report = ensure_packages(find_project())
    except SynapseError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    sys.stdout.write(f"{report.message or f'dbt packages in place ({report.origin})'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

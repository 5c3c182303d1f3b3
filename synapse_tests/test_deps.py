"""`ensure_packages`: the hub first, stand-ins only without it, nothing when all is in place."""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dbt.config.project import package_config_from_data
from dbt.task.deps import _create_sha1_hash

from synapse.deps import MARKER, PACKAGES_DIR, STANDINS_DIR, Origin, ensure_packages
from synapse.errors import SynapseError

ROOT = Path(__file__).parent.parent
LOCK = yaml.safe_load((ROOT / "package-lock.yml").read_text("utf-8"))
NAMES = tuple(package["name"] for package in LOCK["packages"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what decides the packages, without any package installed."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("packages.yml", "package-lock.yml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / STANDINS_DIR, folder / STANDINS_DIR)
    (folder / "dbt_project.yml").write_text("name: tiny\nversion: 1.0.0\nprofile: tiny\n", "utf-8")
    return folder


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point dbt at a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", f"http://127.0.0.1:{port}/")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub on this machine, answering as the real one does, with an archive of each package."""
    site = tmp_path / "hub"
    handler = functools.partial(QuietHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}/"
    for package in LOCK["packages"]:
        publish(site, url, package["package"], package["name"], package["version"])
    names = [package["package"] for package in LOCK["packages"]]
    (site / "api/v1/index.json").write_text(json.dumps(names), "utf-8")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield site
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line on standard error for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def publish(site: Path, url: str, package: str, name: str, version: str) -> None:
    """Put one package with a project file of its own on the hub."""
    archive = site / "archives" / f"{name}.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    content = f"name: {name}\nversion: {version}\nconfig-version: 2\n".encode()
    with tarfile.open(archive, "w:gz") as tar:
        folder = tarfile.TarInfo(f"{name}-{version}")
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o755
        tar.addfile(folder)
        member = tarfile.TarInfo(f"{name}-{version}/dbt_project.yml")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    namespace, _, plain = package.partition("/")
    release = {
        "id": f"{package}/{version}",
        "name": plain,
        "version": version,
        "packages": [],
        "require_dbt_version": [],
        "downloads": {"tarball": f"{url}archives/{name}.tar.gz", "format": "tgz", "sha1": ""},
    }
    page = site / "api/v1" / f"{package}.json"
    page.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": plain, "namespace": namespace, "versions": {version: release}}
    page.write_text(json.dumps(document), "utf-8")


def installed_version(project: Path, name: str) -> str:
    text = (project / PACKAGES_DIR / name / "dbt_project.yml").read_text("utf-8")
    return str(yaml.safe_load(text)["version"])


@pytest.mark.usefixtures("no_hub")
def test_without_hub_the_stand_ins_are_copied_and_one_line_says_so(project: Path) -> None:
    report = ensure_packages(project)
    assert report.origin is Origin.STANDIN
    assert report.changed
    assert "hub cannot be reached" in report.message
    assert "\n" not in report.message
    assert [installed_version(project, name) for name in NAMES] == ["0.0.0"] * 3
    assert [path.name for path in project.glob(".dbt_packages-*")] == []


@pytest.mark.usefixtures("no_hub")
def test_second_call_changes_nothing_until_a_stand_in_is_edited(project: Path) -> None:
    ensure_packages(project)
    before = (project / PACKAGES_DIR).stat().st_ino
    second = ensure_packages(project)
    assert not second.changed
    assert second.message == ""
    assert (project / PACKAGES_DIR).stat().st_ino == before
    edited = Path("dbt_date", "macros", "added.sql")
    (project / STANDINS_DIR / edited).write_text("{# new #}", "utf-8")
    assert ensure_packages(project).changed
    assert (project / PACKAGES_DIR / edited).is_file()


@pytest.mark.usefixtures("no_hub")
def test_packages_that_someone_installed_are_kept_without_hub(project: Path) -> None:
    for name in NAMES:
        folder = project / PACKAGES_DIR / name
        folder.mkdir(parents=True)
        (folder / "dbt_project.yml").write_text(f"name: {name}\nversion: 9.9.9\n", "utf-8")
    report = ensure_packages(project)
    assert report.origin is Origin.USER
    assert not report.changed
    assert installed_version(project, NAMES[0]) == "9.9.9"


@pytest.mark.usefixtures("no_hub")
def test_half_an_installation_is_replaced(project: Path) -> None:
    (project / PACKAGES_DIR / NAMES[0]).mkdir(parents=True)
    assert ensure_packages(project).changed
    assert installed_version(project, NAMES[0]) == "0.0.0"


@pytest.mark.usefixtures("no_hub")
def test_a_package_with_neither_hub_nor_stand_in_is_named(project: Path) -> None:
    shutil.rmtree(project / STANDINS_DIR / "dbt_utils")
    with pytest.raises(SynapseError, match="no stand-in for dbt_utils"):
        ensure_packages(project)
    assert not (project / PACKAGES_DIR).exists()


@pytest.mark.usefixtures("no_hub")
def test_a_broken_lock_is_named(project: Path) -> None:
    (project / "package-lock.yml").write_text("packages: 3\n", "utf-8")
    with pytest.raises(SynapseError, match=r"package-lock\.yml"):
        ensure_packages(project)


@pytest.mark.usefixtures("hub")
def test_with_a_hub_dbt_deps_installs_the_locked_versions(project: Path) -> None:
    lock = (project / "package-lock.yml").read_bytes()
    report = ensure_packages(project)
    assert report.origin is Origin.HUB
    versions = {package["name"]: package["version"] for package in LOCK["packages"]}
    assert {name: installed_version(project, name) for name in NAMES} == versions
    # dbt found its own hash in the lock: it did not resolve and rewrite it.
    assert (project / "package-lock.yml").read_bytes() == lock
    assert not ensure_packages(project).changed
    assert json.loads((project / PACKAGES_DIR / MARKER).read_text("utf-8"))["origin"] == "hub"


def test_a_hub_page_that_dbt_refuses_is_an_error_not_a_stand_in(project: Path, hub: Path) -> None:
    """The hub answers, so the trouble is the package's: stand-ins would hide it."""
    (hub / "api/v1/metaplane/dbt_expectations.json").write_text("{}", "utf-8")
    with pytest.raises(SynapseError, match="dbt deps failed"):
        ensure_packages(project)


def test_lock_carries_the_hash_that_dbt_computes_from_packages_yml() -> None:
    data = yaml.safe_load((ROOT / "packages.yml").read_text("utf-8"))
    packages = package_config_from_data(data, data).packages
    assert LOCK["sha1_hash"] == _create_sha1_hash(packages)

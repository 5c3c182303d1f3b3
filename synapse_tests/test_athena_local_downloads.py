"""Trino's archives: fetched once, checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from athena_local.downloads import VERSION, Artifact, trino_home
from athena_local.errors import AthenaLocalError


def tarball(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def published(cache: Path, name: str, folder: str, files: dict[str, bytes]) -> Artifact:
    """Put an archive where Maven leaves what it fetched; as the artifact that we know."""
    packaging = "tar.gz" if folder == "." else "zip"
    unknown = Artifact(name, packaging, "", folder)
    path = cache / "maven" / unknown.path
    path.parent.mkdir(parents=True)
    (tarball if packaging == "tar.gz" else zipped)(path, files)
    return Artifact(name, packaging, hashlib.sha256(path.read_bytes()).hexdigest(), folder)


def small_trino(cache: Path) -> list[Artifact]:
    return [
        published(cache, "server", ".", {f"server-{VERSION}/lib/a.jar": b"a"}),
        published(cache, "hive", "plugin/hive", {f"hive-{VERSION}/h.jar": b"h"}),
    ]


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_archives_are_unpacked_where_trino_looks_and_then_removed(tmp_path: Path) -> None:
    said: list[str] = []
    home = trino_home(tmp_path, said.append, small_trino(tmp_path))
    assert files(home) == {"lib/a.jar": b"a", "plugin/hive/h.jar": b"h"}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [home.name]
    assert str(tmp_path) in said[0]
    said.clear()
    assert trino_home(tmp_path, said.append, []) == home
    assert said == []


def test_of_two_that_start_at_once_one_unpacks(tmp_path: Path) -> None:
    artifacts = small_trino(tmp_path)
    said: list[str] = []
    homes: list[Path] = []
    threads = [
        threading.Thread(target=lambda: homes.append(trino_home(tmp_path, said.append, artifacts)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(homes) == 4
    assert said.count("unpacking Trino") == 1


def test_what_a_killed_start_left_is_no_trino(tmp_path: Path) -> None:
    artifacts = small_trino(tmp_path)
    left = tmp_path / f"trino-{VERSION}.1.partial"
    (left / "home").mkdir(parents=True)
    home = trino_home(tmp_path, lambda _: None, artifacts)
    assert files(home).keys() == {"lib/a.jar", "plugin/hive/h.jar"}
    assert not left.exists()


def test_an_archive_that_is_not_the_known_one_is_refused_and_removed(tmp_path: Path) -> None:
    server, hive = small_trino(tmp_path)
    path = tmp_path / "maven" / hive.path
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(AthenaLocalError, match=f"SHA-256.*{hive.sha256}.*start again"):
        trino_home(tmp_path, lambda _: None, [server, hive])
    assert not path.exists()
    assert not (tmp_path / f"trino-{VERSION}").exists()


def test_without_maven_the_package_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AthenaLocalError, match="apt-get install maven"):
        trino_home(tmp_path / "cache", lambda _: None)


def test_an_artifact_that_maven_does_not_find_is_named_with_its_reason(tmp_path: Path) -> None:
    assert shutil.which("mvn"), "Maven belongs to the tests: make maven"
    nowhere = Artifact("trino-no-such-plugin", "zip", "", "plugin/none")
    with pytest.raises(AthenaLocalError, match=r"(?s)io\.trino:trino-no-such-plugin.*ERROR"):
        trino_home(tmp_path, lambda _: None, [nowhere])


def test_without_room_the_folder_and_the_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(AthenaLocalError, match=r"GB are free.*ATHENA_LOCAL_CACHE"):
        trino_home(tmp_path, lambda _: None, room_bytes=2**60)

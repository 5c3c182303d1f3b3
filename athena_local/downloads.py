"""Trino from Maven Central: fetched once, checked against our own SHA-256, unpacked whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from athena_local.errors import AthenaLocalError
from athena_local.locks import locked

VERSION = "476"  # the last whose server is published as a core tarball, without 50 plugins
_GROUP = "io.trino"
# Archives (0.8 GB) and what they unpack to (0.85 GB) exist side by side for a moment.
_ROOM_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Artifact:
    """An archive of Maven Central, and the folder that its contents belong in."""

    name: str
    packaging: str
    sha256: str
    folder: str

    @property
    def coordinates(self) -> str:
        """As Maven names it."""
        return f"{_GROUP}:{self.name}:{VERSION}:{self.packaging}"

    @property
    def path(self) -> str:
        """Where Maven's local repository keeps it."""
        group = _GROUP.replace(".", "/")
        return f"{group}/{self.name}/{VERSION}/{self.name}-{VERSION}.{self.packaging}"


ARTIFACTS = (
    Artifact(
        "trino-server-core",
        "tar.gz",
        # pragma: allowlist nextline secret
        "0f388f9967c177ae70a47c099082fc95387f0c3cb96d8000d1d41fc3a5223158",
        ".",
    ),
    Artifact(
        "trino-iceberg",
        "zip",
        # pragma: allowlist nextline secret
        "99edba5b491ed94d599aeb61e0794272d3569d8b563f3bb8569e8a49daa87b6c",
        "plugin/iceberg",
    ),
    Artifact(
        "trino-hive",
        "zip",
        # pragma: allowlist nextline secret
        "611bacdb07d9f3cf7b9d47f97ecc76fa2e7ff8bfe8a9728c3d06adc1bfb8662e",
        "plugin/hive",
    ),
)


def trino_home(
    cache: Path,
    say: Callable[[str], None],
    artifacts: Sequence[Artifact] = ARTIFACTS,
    room_bytes: int = _ROOM_BYTES,
) -> Path:
    """The folder of an unpacked Trino; fetches it first where there is none.

    Safe when several start at once: one fetches, the others wait for it. Raises AthenaLocalError
    without Maven, network or room, and for an archive that is not the one we know.
    """
    home = cache / f"trino-{VERSION}"
    if home.is_dir():
        return home
    with locked(cache / "trino.lock"):
        if home.is_dir():
            return home
        _require_room(cache, room_bytes)
        say(f"fetching Trino {VERSION} from Maven Central into {cache} (800 MB, once)")
        repository = cache / "maven"
        archives = [_fetch(artifact, repository) for artifact in artifacts]
        say("unpacking Trino")
        _unpack(artifacts, archives, home)
        shutil.rmtree(repository)
    return home


def _require_room(cache: Path, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise AthenaLocalError(
            f"Trino needs {needed / 1024**3:.0f} GB in {cache}, and {free / 1024**3:.1f} GB "
            "are free: make room, or name another folder in ATHENA_LOCAL_CACHE."
        )


def _fetch(artifact: Artifact, repository: Path) -> Path:
    archive = repository / artifact.path
    if not archive.exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise AthenaLocalError(
                "Trino is fetched with Maven, and there is no mvn on the PATH: "
                "apt-get install maven (or the same from your system's packages)."
            )
        command = [
            maven,
            "--quiet",
            "--batch-mode",
            "--strict-checksums",  # what Maven Central itself says the archive's SHA-1 is
            f"-Dmaven.repo.local={repository}",
            "dependency:get",
            f"-Dartifact={artifact.coordinates}",
            "-Dtransitive=false",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not archive.exists():
            raise AthenaLocalError(
                f"Maven could not fetch {artifact.coordinates}; it says:\n"
                f"{_errors_of(done.stdout + done.stderr)}\n"
                "Check the network and the mirrors in ~/.m2/settings.xml, then start again."
            )
    with archive.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != artifact.sha256:
        archive.unlink()
        raise AthenaLocalError(
            f"{artifact.coordinates} is not the archive that we know: its SHA-256 is {found}, "
            f"expected was {artifact.sha256}. It was removed; start again, and if it happens "
            "again ask who runs the mirror in ~/.m2/settings.xml."
        )
    return archive


def _errors_of(text: str) -> str:
    """What matters of Maven's output: its first lines marked as errors."""
    lines = [line for line in text.splitlines() if line.startswith("[ERROR]")]
    return "\n".join((lines or text.splitlines())[:5])


def _unpack(artifacts: Sequence[Artifact], archives: Sequence[Path], home: Path) -> None:
    temporary = home.with_name(f"{home.name}.{os.getpid()}.partial")
    for left in home.parent.glob(f"{home.name}.*.partial"):
        shutil.rmtree(left)  # of one that was killed: we hold the lock
    try:
        for artifact, archive in zip(artifacts, archives, strict=True):
            unpacked = temporary / "unpacked"
            if artifact.packaging == "zip":
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(unpacked)
            else:
                with tarfile.open(archive) as tar:
                    tar.extractall(unpacked, filter="data")
            (only,) = unpacked.iterdir()
            target = temporary / "home" / artifact.folder
            target.parent.mkdir(parents=True, exist_ok=True)
            only.rename(target)
            unpacked.rmdir()
        (temporary / "home").rename(home)
    except OSError as error:
        raise AthenaLocalError(
            f"Trino could not be unpacked below {home.parent}: {error}. "
            "Make room or mend the folder's permissions, then start again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

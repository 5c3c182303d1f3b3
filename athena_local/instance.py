"""One running local Athena: its folder, its ports, and what others need to know to use it."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from athena_local import aws
from athena_local.locks import is_locked
from athena_local.ports import HOST

PORTS = 4  # moto, Trino, Glue, Athena: consecutive


@dataclass(frozen=True)
class Instance:
    """What an instance's state file says."""

    folder: Path
    pid: int
    first_port: int
    state: str = "starting"  # or ready, failed
    reason: str = ""

    @property
    def moto_port(self) -> int:
        """S3 and every other service of AWS."""
        return self.first_port

    @property
    def trino_port(self) -> int:
        """The engine."""
        return self.first_port + 1

    @property
    def glue_port(self) -> int:
        """Glue, in front of moto's."""
        return self.first_port + 2

    @property
    def athena_port(self) -> int:
        """Athena's API."""
        return self.first_port + 3

    @property
    def parts_folder(self) -> Path:
        """Logs and data of the parts; made anew at each start."""
        return self.folder / "parts"

    def environment(self) -> dict[str, str]:
        """Variables for every program that is to use it."""
        return {
            **aws.environment(_url(self.moto_port), _url(self.glue_port), _url(self.athena_port)),
            "TRINO_HOST": HOST,
            "TRINO_PORT": str(self.trino_port),
            "NO_PROXY": _with_host(os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""),
        }

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        path = _state_file(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        fields = {**dataclasses.asdict(self), "folder": str(self.folder)}
        temporary.write_text(json.dumps(fields, indent=2) + "\n")
        temporary.replace(path)


def lock_file(folder: Path) -> Path:
    """The file that whoever runs the instance holds locked."""
    return folder / "lock"


def find_instance(folder: Path) -> Instance | None:
    """The instance that runs in a folder; None where none does, whatever its files say."""
    return last_instance(folder) if is_locked(lock_file(folder)) else None


def last_instance(folder: Path) -> Instance | None:
    """What the state file says; None where there is none."""
    try:
        fields = json.loads(_state_file(folder).read_text())
    except FileNotFoundError:
        return None
    return Instance(**{**fields, "folder": Path(fields["folder"])})


def foreign_settings(environment: dict[str, str]) -> list[str]:
    """Names of variables that would lead AWS's clients elsewhere, such as to a real account."""
    return sorted(
        name
        for name in environment
        if name.startswith("AWS_") or (name.startswith("BOTO_") and name.endswith("CONFIG"))
    )


def _state_file(folder: Path) -> Path:
    return folder / "state.json"


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _with_host(hosts: str) -> str:
    known = [host for host in hosts.split(",") if host]
    return ",".join(known if HOST in known else [*known, HOST])

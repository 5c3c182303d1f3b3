"""All parts of a local Athena, started together and ended together."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from athena_local.aws import create_buckets
from athena_local.downloads import trino_home
from athena_local.errors import AlreadyRunningError
from athena_local.folders import cache
from athena_local.instance import PORTS, Instance, foreign_settings, lock_file
from athena_local.java_cache import java_cache
from athena_local.local_http import answers
from athena_local.locks import try_lock
from athena_local.parts import Part, RunningPart, start, stop, wait_ready
from athena_local.ports import HOST, reserved_ports
from athena_local.trino_server import TrinoServer

_READY_SECONDS = 300  # a loaded machine takes ten times as long as an idle one


@dataclass(frozen=True)
class Stack:
    """A local Athena that serves."""

    instance: Instance
    parts: list[RunningPart]

    def require_alive(self) -> None:
        """Raise AthenaLocalError with the last lines of a part that has ended."""
        for part in self.parts:
            part.require_alive()


def environment_for(instance: Instance) -> dict[str, str]:
    """Our own environment, with the local services instead of any account's."""
    own = dict(os.environ)
    for name in foreign_settings(own):
        del own[name]
    return {**own, **instance.environment()}


@contextlib.contextmanager
def running_stack(
    folder: Path, first_port: int | None, say: Callable[[str], None]
) -> Iterator[Stack]:
    """Start everything in a folder, and end it all whatever happens.

    Raises AthenaLocalError when one runs there already, a port is taken, Trino cannot be had, or
    a part does not come up.
    """
    home = trino_home(cache(), say)
    classes = java_cache(home, cache(), say)
    with contextlib.ExitStack() as held:
        lock = try_lock(lock_file(folder))
        if lock is None:
            raise AlreadyRunningError(
                f"A local Athena runs in {folder} already: `athena-local down` ends it, --dir "
                "names another folder."
            )
        held.enter_context(lock)
        ports = held.enter_context(reserved_ports(PORTS, first_port, cache() / "ports"))
        instance = Instance(folder, os.getpid(), ports[0])
        shutil.rmtree(instance.parts_folder, ignore_errors=True)
        instance.save()
        running = start(_parts(instance, home, classes), environment_for(instance))
        held.callback(stop, running)
        wait_ready(running[:1], _READY_SECONDS)
        create_buckets(instance.environment()["AWS_ENDPOINT_URL"])
        wait_ready(running, _READY_SECONDS)
        yield Stack(dataclasses.replace(instance, state="ready"), running)


def _parts(instance: Instance, home: Path, classes: Path | None) -> list[Part]:
    folder = instance.parts_folder
    urls = instance.environment()
    s3, glue = urls["AWS_ENDPOINT_URL"], urls["AWS_ENDPOINT_URL_GLUE"]
    return [
        moto_part(folder, instance.moto_port),
        # Before the others, which are small: it takes longest.
        TrinoServer(home, folder / "trino", instance.trino_port, s3, glue, classes).part(),
        glue_part(folder, instance.glue_port, instance.moto_port),
        _ours(
            folder,
            "athena",
            "bridge",
            f"http://{HOST}:{instance.athena_port}/health",
            *("--port", str(instance.athena_port), "--trino-port", str(instance.trino_port)),
            *("--aws-endpoint", s3, "--glue-endpoint", glue),
            *("--state-dir", str(folder / "bridge")),
        ),
    ]


def moto_part(folder: Path, port: int) -> Part:
    """S3 and all other services of AWS that moto has; its log goes to the folder."""
    health = f"http://{HOST}:{port}/moto-api/"
    return _ours(folder, "moto", "moto_server", health, "--port", str(port))


def glue_part(folder: Path, port: int, moto_port: int) -> Part:
    """What stands before moto's Glue."""
    moto = f"http://{HOST}:{moto_port}"
    health = f"http://{HOST}:{port}/health"
    return _ours(folder, "glue", "glue_front", health, "--port", str(port), "--moto", moto)


def _ours(folder: Path, name: str, module: str, health: str, *arguments: str) -> Part:
    command = [sys.executable, "-m", f"athena_local.{module}", *arguments]
    return Part(name, command, folder, lambda: answers(health))

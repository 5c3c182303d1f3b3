"""athena-local as people call it: what it starts, says, exports, and that it leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from athena_local.folders import cache
from athena_local.instance import Instance, find_instance, last_instance
from athena_local.ports import reserved_ports

COMMAND = [str(Path(sys.executable).with_name("athena-local"))]
SECONDS = 300


def athena_local(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, **environment},
    )


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those whose command line names the instance's folder or one of its ports."""
    instance = last_instance(folder)
    marks = [str(folder)]
    if instance is not None and instance.first_port:
        marks += [str(instance.first_port + offset) for offset in range(4)]
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(mark in word for mark in marks for word in words):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def require_nothing_left(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while processes_of(folder):
        assert time.monotonic() < deadline, processes_of(folder)
        time.sleep(0.1)
    assert find_instance(folder) is None
    instance = last_instance(folder)
    assert instance is not None
    with reserved_ports(4, instance.first_port, cache() / "ports"):
        pass


def wait_for_parts(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until all parts have been started; none of them need serve yet."""
    deadline = time.monotonic() + SECONDS
    while not (folder / "parts" / "athena.log").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "instance"
    athena_local("down", "--dir", str(tmp_path / "instance"))


def test_status_and_env_lead_to_what_serves(athena: Instance) -> None:
    where = ("--dir", str(athena.folder))
    said = athena_local("status", *where)
    assert said.returncode == 0, said.stderr
    assert said.stdout.count(" serves") == 4
    script = f"eval \"$(athena-local env --dir '{athena.folder}')\" && env"
    found = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_PROFILE": "production",
            "AWS_SESSION_TOKEN": "real",
        },
    ).stdout.splitlines()
    variables = dict(line.split("=", 1) for line in found if "=" in line)
    assert variables["AWS_ENDPOINT_URL_ATHENA"] == f"http://127.0.0.1:{athena.athena_port}"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & variables.keys()


def test_up_again_finds_the_one_that_runs(athena: Instance) -> None:
    said = athena_local("up", "--dir", str(athena.folder))
    assert said.returncode == 0, said.stderr
    found = find_instance(athena.folder)
    assert found is not None
    assert found.pid == athena.pid


def test_run_gives_the_commands_exit_code_and_environment_and_leaves_nothing(
    folder: Path, tmp_path: Path
) -> None:
    """Beside the instance that the other tests use: two at once."""
    program = (
        "import json, os, sys, urllib.request as u\n"
        "url = os.environ['AWS_ENDPOINT_URL_ATHENA']\n"
        "u.build_opener(u.ProxyHandler({})).open(url + '/health')\n"
        f"json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w'))\n"
        "sys.exit(7)\n"
    )
    said = athena_local(
        "run", "--dir", str(folder), "--", sys.executable, "-c", program, AWS_PROFILE="production"
    )
    assert said.returncode == 7, said.stderr
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["AWS_ACCESS_KEY_ID"] == "testing"
    assert "AWS_PROFILE" not in seen
    require_nothing_left(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_run_leaves_nothing_whatever_ends_it(folder: Path, number: signal.Signals) -> None:
    command = [*COMMAND, "run", "--dir", str(folder), "--", "sleep", "1000"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        wait_for_parts(folder, process)
        process.send_signal(number)
        code = process.wait(SECONDS)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    require_nothing_left(folder)


def test_an_instance_ends_with_the_process_that_it_was_started_for(folder: Path) -> None:
    arguments = ["--dir", str(folder), "--while-pid", str(os.getpid())]
    supervisor = [sys.executable, "-m", "athena_local.supervisor", *arguments]
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        supervisor[-1] = str(sleeper.pid)
        sleeper.kill()
        sleeper.wait()
        done = subprocess.run(supervisor, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0
    require_nothing_left(folder)


def test_a_part_that_dies_is_named_with_its_last_lines(folder: Path) -> None:
    said = athena_local("up", "--dir", str(folder), JAVA_TOOL_OPTIONS="-XX:MaxMetaspaceSize=3m")
    assert said.returncode == 1
    assert "trino ended by itself" in said.stderr
    assert "Metaspace" in said.stderr
    require_nothing_left(folder)


def test_a_taken_port_is_named(folder: Path) -> None:
    with reserved_ports(5, None, cache() / "ports") as ports:
        first = ports[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 2))
        taken.listen()
        said = athena_local("up", "--dir", str(folder), "--port", str(first))
    assert said.returncode == 1
    assert f"Port {first + 2} is taken" in said.stderr
    assert not processes_of(folder)


def test_what_runs_already_is_not_disturbed(athena: Instance) -> None:
    said = athena_local("run", "--dir", str(athena.folder), "--", "true")
    assert said.returncode == 1
    assert "runs in" in said.stderr
    assert athena_local("status", "--dir", str(athena.folder)).returncode == 0


def test_where_nothing_runs_commands_say_how_to_start(folder: Path) -> None:
    said = athena_local("env", "--dir", str(folder))
    assert said.returncode == 1
    assert "athena-local up" in said.stderr
    assert athena_local("status", "--dir", str(folder)).returncode == 1
    assert athena_local("down", "--dir", str(folder)).returncode == 0


def test_run_asks_for_a_command() -> None:
    said = athena_local("run")
    assert said.returncode == 2
    assert "athena-local run -- COMMAND" in said.stderr

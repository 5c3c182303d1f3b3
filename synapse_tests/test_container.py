"""The image's definition: no Docker is needed to see that what it copies and installs works."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_tests.lakes import PROJECT_DIR

DOCKERFILE = PROJECT_DIR / "infra" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def copied() -> list[str]:
    """What is copied out of the repository."""
    found = []
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            found += shlex.split(rest)[:-1]
    return found


def test_hadolint_finds_nothing_and_would_find_something(tmp_path: Path) -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.read_text().replace("WORKDIR /src", "RUN cd /"))
    broken = subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, check=False)
    assert broken.returncode != 0


def test_what_it_copies_is_there_and_is_let_through() -> None:
    ignored = (PROJECT_DIR / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*", "everything is left out that is not named"
    for name in copied():
        assert (PROJECT_DIR / name).exists(), name
        assert name.removeprefix("./") in let_through, name
    assert let_through == set(copied()), "nothing more is sent to the builder"
    assert not any(fnmatch.fnmatch(".env", pattern) for pattern in let_through)


def test_what_the_wheel_needs_is_copied_and_it_runs_as_nobody() -> None:
    import tomllib

    document = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())
    included = document["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert set(included) <= set(copied())
    (user,) = (rest for word, rest in instructions() if word == "USER")
    assert user == "10001:10001"
    (entry,) = (rest for word, rest in instructions() if word == "ENTRYPOINT")
    assert entry == '["synapse"]'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first stage, as its lines say, in a folder: copies, then commands, with other paths."""
    root = tmp_path_factory.mktemp("image")
    source, target = root / "src", root / "synapse"
    source.mkdir()
    for name in copied():
        path = PROJECT_DIR / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, source / name)
    # uv is pip's to install in the image; here it is the one of this environment, of the same lock.
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SYNAPSE", "VIRTUAL_ENV"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "UV_COMPILE_BYTECODE": "0",  # 20 s that prove nothing
    }
    folder, ran = source, 0
    for word, rest in instructions():
        if word == "WORKDIR":
            folder = {"/src": source, "/opt/synapse": target}.get(rest, folder)
        if word == "RUN" and "useradd" not in rest:
            command = " && ".join(
                part for part in rest.split(" && ") if "-m pip install" not in part
            ).replace("/opt/synapse", str(target))
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            ran += 1
    assert ran == 3
    return target


def test_its_commands_install_a_synapse_that_knows_its_project(installed: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SYNAPSE")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(installed / "bin" / words[0]), *words[1:]],
            cwd=installed.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "weekly" in run("synapse", "schedules", "--json")
    packages = installed / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "synapse"
    assert (packages / "_project" / "dbt_packages" / "dbt_utils").is_dir()
    # What Lambda calls, and the adapter, the driver and S3's engine that a run needs.
    imports = "awslambdaric, psycopg, dbt.adapters.athena, synapse.deploy.lambda_handler"
    run("python", "-c", f"import {imports}")
    # And templates can be rendered where only the package is.
    run("synapse", "deploy", "aws", "--plan", "--out", str(installed.parent / "aws"))
    assert (installed.parent / "aws" / "schedules.yml").is_file()

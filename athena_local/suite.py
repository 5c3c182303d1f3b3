"""Runs dbt-athena's own functional suite against a local Athena and writes what came of it.

`athena-local run -- python -m athena_local.suite --checkout PATH` (or `make athena-suite`). The
suite is public (dbt-labs/dbt-adapters, folder dbt-athena/tests/functional) and is no part of this
repository: a checkout is named, or cloned where GitHub can be reached.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from athena_local.errors import AthenaLocalError
from athena_local.folders import cache
from athena_local.suite_report import Report, read_junit, write_section
from athena_local.terminal import say

REPOSITORY = "https://github.com/dbt-labs/dbt-adapters"
_FOLDER = "dbt-athena/tests"
DEFAULT_REPORT = Path("docs/athena_local.md")


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is unknown goes to pytest."""
    parser = argparse.ArgumentParser(prog="athena_local.suite", description=__doc__)
    parser.add_argument("--checkout", type=Path, help=f"a checkout or mirror of {REPOSITORY}")
    parser.add_argument("--report", type=Path, default=DEFAULT_REPORT)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_known_args(arguments)


def checkout(given: Path | None) -> Path:
    """The repository: the one that is named, or a clone in the cache.

    Raises:
        AthenaLocalError: it is not there and cannot be had.
    """
    if given is not None:
        if not given.exists():
            raise AthenaLocalError(f"There is no checkout of dbt-adapters at {given}.")
        return given
    target = cache() / "dbt-adapters"
    if not target.exists():
        say(f"cloning {REPOSITORY}")
        done = subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", REPOSITORY, str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AthenaLocalError(
                f"{REPOSITORY} cannot be cloned: {done.stderr.strip()}. Name a checkout that you "
                "have with --checkout PATH (make athena-suite DBT_ADAPTERS=PATH)."
            )
    return target


def extract(repository: Path, folder: Path) -> tuple[Path, str]:
    """Copy the suite's files at HEAD out of the repository; returns their place and the commit."""
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", "HEAD", _FOLDER], capture_output=True, check=False
    )
    if archive.returncode:
        raise AthenaLocalError(
            f"{repository} holds no {_FOLDER}: {archive.stderr.decode().strip()}. It must be a "
            f"checkout or mirror of {REPOSITORY}."
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    commit = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / "dbt-athena", commit.stdout.strip()


def settings() -> dict[str, str]:
    """What the suite asks for, with the local Athena's places.

    Raises:
        AthenaLocalError: no local Athena is in the environment.
    """
    if "AWS_ENDPOINT_URL_ATHENA" not in os.environ:
        raise AthenaLocalError(
            "No local Athena: start this with `athena-local run -- python -m athena_local.suite`."
        )
    staging = os.environ["SYNAPSE_ATHENA_STAGING"].rstrip("/")
    return {
        **os.environ,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_TEST_ATHENA_DATABASE": "awsdatacatalog",
        "DBT_TEST_ATHENA_POLL_INTERVAL": "0.1",
        "DBT_TEST_ATHENA_REGION_NAME": os.environ["AWS_REGION"],
        "DBT_TEST_ATHENA_S3_STAGING_DIR": f"{staging}/suite/",
        "DBT_TEST_ATHENA_S3_TMP_TABLE_DIR": f"{staging}/suite-tmp/",
        "DBT_TEST_ATHENA_SCHEMA": "dbt_athena_suite",
        "DBT_TEST_ATHENA_WORK_GROUP": "primary",
    }


def run(repository: Path, workers: int, pytest_arguments: Sequence[str]) -> Report:
    """Run the suite and read its outcome."""
    with tempfile.TemporaryDirectory(prefix="dbt-athena-suite-") as scratch:
        place, commit = extract(repository, Path(scratch))
        junit = Path(scratch) / "junit.xml"
        spread = ["--numprocesses", str(workers), "--dist", "loadscope"] if workers > 1 else []
        # An ini file of its own: ours turns warnings into errors.
        ini = place / "pytest.ini"
        ini.write_text("[pytest]\njunit_family = xunit2\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", str(place)]
        command += ["-p", "no:cacheprovider", "--tb=short", f"--junitxml={junit}", *spread]
        subprocess.run(
            [*command, *(pytest_arguments or ["tests/functional"])],
            cwd=place,
            env=settings(),
            check=False,
        )
        if not junit.exists():
            raise AthenaLocalError("pytest did not get far enough to write its report.")
        return read_junit(junit, commit)


def main() -> int:
    """Run, report, and fail where a test failed without a known reason."""
    options, rest = parse()
    try:
        report = run(checkout(options.checkout), options.workers, rest)
    except AthenaLocalError as error:
        say(str(error))
        return 1
    write_section(options.report, report)
    say(report.summary())
    return 1 if report.unexplained() else 0


if __name__ == "__main__":
    sys.exit(main())

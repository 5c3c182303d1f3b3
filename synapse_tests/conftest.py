"""The lakes that several proofs read: built once, never changed by a test (tests copy)."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import hypothesis
import pytest

from athena_local.instance import Instance
from synapse.generate.calendar import DEFAULT_START
from synapse.generate.service import generate
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.settings import Settings
from synapse_tests.arrivals import Arrivals
from synapse_tests.athena_stack import shared_instance
from synapse_tests.builds import CHOICE, HOSTILE, USERS, Build, chosen_builds
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, is_full_proof, lake_settings, run_daily
from synapse_tests.oracle import Product
from synapse_tests.oracle_truth import load_product
from synapse_tests.postgres_server import empty_database, postgres

STEPS = 3
SHARED = HOSTILE if is_full_proof() else HOSTILE[:1]
CHOSEN = chosen_builds()


@dataclass(frozen=True)
class DailySteps:
    """A lake that was run daily as its last days arrived; one warehouse copy a day."""

    build: Build
    settings: Settings
    project: Path
    days: tuple[date, ...]
    copies: tuple[Path, ...]

    @property
    def last(self) -> date:
        """The last simulated business date."""
        return self.days[-1]


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest what we cannot mend: dbt leaves its log file open."""
    for problem in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"ignore:.*dbt[.]log.*:{problem}")
    # The same examples for everyone who runs `make test`; the full proof looks for new ones.
    hypothesis.settings.register_profile(
        "synapse", derandomize=not is_full_proof(), deadline=None, print_blob=True
    )
    hypothesis.settings.load_profile("synapse")


def pytest_report_header() -> str:
    """Say which builds the oracle is held against, so that a failure can be repeated."""
    return f"oracle: {CHOICE}={CHOSEN[0].name if len(CHOSEN) == 1 else 'all'}"


@contextlib.contextmanager
def built_once(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; yields whether it has still to be built (workers share folders)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not (folder / "built").exists()
        (folder / "built").touch()


def grow(
    settings: Settings, arrivals: Arrivals, days: int, before: Callable[[], None] | None = None
) -> Iterator[tuple[int, date]]:
    """Let a lake grow as it did: ingest before a load is overwritten, run daily at the end.

    before: what is done with a day's files once they have landed. Yields each step that was run:
    its number and its date.
    """
    for number in range(days):
        arrivals.land(number)
        day = DEFAULT_START + timedelta(days=number)
        step = number - (days - STEPS)
        if step < 0 and not arrivals.overwrites(number + 1):
            continue
        if before:
            before()
        if step >= 0:
            run_daily(settings, PROJECT_DIR, day)
            yield step, day
        else:
            as_of = end_of_date(day, settings.business_timezone)
            ingest(settings, PROJECT_DIR, as_of=as_of)


def _grown(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> DailySteps:
    """Generate a build and run it daily in three steps, as it would grow in production."""
    build: Build = request.param
    base = factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    root = shared / f"steps-{build.name}"
    settings = lake_settings(root / "lake")
    last = DEFAULT_START + timedelta(days=build.days - 1)
    days = tuple(last - timedelta(days=STEPS - 1 - step) for step in range(STEPS))
    # Each of the warehouse's own name: a view names its database, which is the file.
    copies = tuple(root / f"after-step-{step + 1}" / "warehouse.duckdb" for step in range(STEPS))
    with built_once(root) as is_missing:
        if is_missing:
            source = root / "generated"
            generate(
                source,
                users=USERS,
                days=build.days,
                seed=build.seed,
                append=False,
                hazards=build.hazards,
            )
            for step, _ in grow(settings, Arrivals(source, settings.lake), build.days):
                copies[step].parent.mkdir()
                shutil.copy2(settings.warehouse, copies[step])
    return DailySteps(build, settings, PROJECT_DIR, days, copies)


@pytest.fixture(scope="session", params=SHARED, ids=lambda build: build.name)
def steps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DailySteps:
    """A hostile lake: for proofs that need late, repeated and broken files."""
    return _grown(request, tmp_path_factory)


@pytest.fixture(scope="session", params=CHOSEN, ids=lambda build: build.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DailySteps:
    """One of the nine builds, whose figures the oracle computes too."""
    return _grown(request, tmp_path_factory)


@pytest.fixture(scope="session")
def product(built: DailySteps) -> Product:
    """The oracle's view of the same lake."""
    return load_product(built.settings.lake, PROJECT_DIR / "seeds", TIMEZONE, built.last)


@pytest.fixture(scope="session")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """A local Athena that serves, the same one for every test of the run."""
    return shared_instance(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL of the tests' own, as an SQLAlchemy URL of its database."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty state store, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return empty_database(request.getfixturevalue("server"))

"""The lakes that several proofs read: built once, never changed by a test (tests copy)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from synapse.generate.service import generate
from synapse.settings import Settings
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, is_full_proof, lake_settings, run_daily
from synapse_tests.oracle import Product
from synapse_tests.oracle_truth import generated_until, load_product

# Small where everyone waits for it, every seed where the proof is the point (`make proof`).
SEEDS = (7, 11, 42, 2026) if is_full_proof() else (7,)
USERS = 1_200 if is_full_proof() else 200
DAYS = 75 if is_full_proof() else 40
STEPS = 3


@dataclass(frozen=True)
class DailySteps:
    """A hostile lake that was run daily as its last days arrived; one warehouse copy a day."""

    settings: Settings
    project: Path
    days: tuple[date, ...]
    copies: tuple[Path, ...]

    @property
    def last(self) -> date:
        """The last simulated business date."""
        return self.days[-1]


@pytest.fixture(scope="session", params=SEEDS, ids=lambda seed: f"seed {seed}")
def steps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DailySteps:
    """Generate a hostile lake and run it daily in three steps, as it would grow in production."""
    root = tmp_path_factory.mktemp(f"steps-{request.param}")
    settings = lake_settings(root / "lake")
    days, copies = [], []
    for step in range(STEPS):
        generate(
            settings.lake,
            users=USERS,
            days=1 if step else DAYS - STEPS + 1,
            seed=request.param,
            append=step > 0,
            hazards="hostile",
        )
        days.append(generated_until(settings.lake))
        run_daily(settings, PROJECT_DIR, days[-1])
        copies.append(root / f"after-step-{step + 1}.duckdb")
        shutil.copy2(settings.warehouse, copies[-1])
    return DailySteps(settings, PROJECT_DIR, tuple(days), tuple(copies))


@pytest.fixture(scope="session")
def product(steps: DailySteps) -> Product:
    """The oracle's view of the same lake."""
    return load_product(steps.settings.lake, PROJECT_DIR / "seeds", TIMEZONE, steps.last)

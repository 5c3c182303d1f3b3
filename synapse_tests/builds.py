"""The nine builds whose figures the oracle computes too: three seeds x three levels of hazards.

`make proof` takes all nine at full size. `make test` takes one at a small size, another for each
commit; `SYNAPSE_PROOF_BUILD` names the one to take (such as `42-normal`), or `all`.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest

from synapse.generate.hazards import RATES, Level
from synapse_tests.commit import commit
from synapse_tests.lakes import is_full_proof

SEEDS = (7, 11, 42)
USERS, DAYS = (1_200, 75) if is_full_proof() else (200, 40)
CHOICE = "SYNAPSE_PROOF_BUILD"


@dataclass(frozen=True)
class Build:
    """What one of the nine is generated from."""

    seed: int
    hazards: Level
    days: int = DAYS

    @property
    def name(self) -> str:
        """How tests and `SYNAPSE_PROOF_BUILD` call it."""
        return f"{self.seed}-{self.hazards}"


# Here the last bracket of R6 (61 to 90 days) matures, and there is a reload of a lake that has long
# been read.
LONG = Build(42, "hostile", days=120)
BUILDS = tuple(
    LONG if (seed, level) == (LONG.seed, LONG.hazards) else Build(seed, level)
    for seed in SEEDS
    for level in RATES
)
HOSTILE = tuple(build for build in BUILDS if build.hazards == "hostile")


def chosen_builds() -> tuple[Build, ...]:
    """Return the builds that this run holds against the oracle."""
    asked = os.environ.get(CHOICE)
    if asked:
        found = tuple(build for build in BUILDS if asked in (build.name, "all"))
        if not found:
            names = ", ".join(build.name for build in BUILDS)
            raise pytest.UsageError(f"{CHOICE}={asked} is no build: there are {names}, and all")
        return found
    return BUILDS if is_full_proof() else (random.Random(commit()).choice(BUILDS),)

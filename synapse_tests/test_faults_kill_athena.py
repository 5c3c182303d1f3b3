"""kill -9 at any point of a run on Athena: run again, and all is as if nothing had happened.

The same as test_faults_kill.py on DuckDB, with what only Athena has: its queries outlive the run
that sent them, and its tables are commits in Glue, one each. A life is one deployment whose run is
killed further on each time, and then let be: `make proof` kills at ten points, five a life, seeded
by the commit; `make athena` at one. `make test` has no time for it: a run takes a minute or two.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from athena_local.instance import Instance
from synapse.generate.service import generate
from synapse_tests.athena_people import SCHEDULE, Deployment, deploy, differing, people_project
from synapse_tests.commit import commit
from synapse_tests.killed_run import NOWHERE, Point, accounts, killed_run, seeded_point
from synapse_tests.lakes import is_full_proof

STAGES = ("ingest", "between", "dbt", "dbt", "publish")
LIVES = range(2) if is_full_proof() else range(1)
ENDLESS = """
{{ config(materialized='table') }}
select count(*) as found from unnest(sequence(1, 10000)) as a (x)
cross join unnest(sequence(1, 10000)) as b (y) cross join unnest(sequence(1, 10000)) as c (z)
where x + y > z
"""
MODELS = ("dim_users", "dim_users_history") if is_full_proof() else ("dim_users", "dim_plans")


@dataclass(frozen=True)
class Lives:
    """Bronze, the project, and a deployment whose run nobody disturbed; its steps by stage."""

    athena: Instance
    folder: Path
    project: Path
    as_of: str
    undisturbed: Deployment
    steps: dict[str, int]

    def deployment(self, name: str) -> Deployment:
        """One on which nothing has run."""
        return deploy(self.athena, self.folder / "generated" / "bronze", self.folder / name)

    def run(
        self,
        on: Deployment,
        at: Point = NOWHERE,
        *,
        schedule: str = SCHEDULE,
        when: Callable[[], bool] | None = None,
        trace: Path | None = None,
    ) -> int:
        """One run; see killed_run."""
        command = [
            "run", schedule, "--target", "athena", "--lake", on.remote, "--as-of", self.as_of,
            "--project-dir", str(self.project),
        ]  # fmt: skip
        log = on.settings.lake / "log.txt"
        return killed_run(command, on.environment, log, at=at, when=when, trace=trace)


@pytest.fixture(scope="module")
def lives(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    folder = tmp_path_factory.mktemp("kill-athena")
    source = folder / "generated"
    generate(source, users=30, days=6, seed=3, append=False, hazards="hostile")
    as_of = json.loads((source / "truth" / "generator.json").read_text())["as_of"]
    project = people_project(folder / "project", MODELS, endless=ENDLESS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena.environment().items():
            patch.setenv(name, value)
        made = deploy(athena, source / "bronze", folder / "undisturbed")
        lives = Lives(athena, folder, project, str(as_of), made, {})
        lives.run(made, trace=folder / "steps.json")
        lives.steps.update(json.loads((folder / "steps.json").read_text()))
        yield lives


def points(life: int, steps: dict[str, int]) -> list[Point]:
    seeded = random.Random(f"{commit()} athena {life}")
    stages = STAGES if is_full_proof() else (seeded.choice(STAGES),)
    return [
        # So long a statement of a small lake takes.
        seeded_point(seeded, stage, steps, is_again=stage in stages[:place], longest=0.5)
        for place, stage in enumerate(stages)
    ]


def assert_same(lives: Lives, on: Deployment, planned: object) -> None:
    assert accounts(on.settings) == accounts(lives.undisturbed.settings), planned
    assert not differing(lives.undisturbed, on), planned
    assert on.published() == lives.undisturbed.published()
    assert set(on.published()) == set(MODELS)
    assert not on.at_work(), planned


@pytest.mark.parametrize("life", LIVES)
def test_a_run_on_athena_that_was_killed_is_run_again(lives: Lives, life: int) -> None:
    planned = points(life, lives.steps)
    on = lives.deployment(f"life-{life}")
    for number, point in enumerate(planned):
        code = lives.run(on, point)
        if code == 0:
            # Too little was left to do: it came to its end, and the point is tried on a new one.
            # Where dbt's threads meet, they write a little more or less from run to run.
            assert_same(lives, on, planned)
            on = lives.deployment(f"life-{life}-{number}")
            code = lives.run(on, (point[0], max(point[1] * 9 // 10, 1), 0.0))
        log = (on.settings.lake / "log.txt").read_text()[-3_000:]
        assert code == -9, f"{point} of {lives.steps} did not strike: {log}"
    lives.run(on)
    assert_same(lives, on, planned)


def test_a_query_that_outlives_its_run_is_cancelled_by_the_next(lives: Lives) -> None:
    on = lives.deployment("outlived")
    marker = "sequence(1, 10000)"
    code = lives.run(on, schedule="endless", when=lambda: bool(on.at_work(marker)))
    left = on.at_work(marker)
    assert (code, len(left)) == (-9, 1)
    lives.run(on)
    states = {query["QueryExecutionId"]: query["Status"]["State"] for query in on.queries()}
    assert states[left[0]] == "CANCELLED"
    assert_same(lives, on, left)

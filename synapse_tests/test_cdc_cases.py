"""Whatever happens to a source table, and however that lands, silver is the source at every step.

Each example is one history with its landing, run through the real ingest and the project's own SQL
on a DuckDB in memory. A failure is shrunk to the fewest actions, files and hazards that still fail,
and told as a story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from synapse_tests.cdc_example import Example, problems_of, shrink, tell
from synapse_tests.cdc_model import Item, histories, shape_of
from synapse_tests.cdc_oracle import Expected, Landed
from synapse_tests.lakes import is_full_proof

EXAMPLES = 500 if is_full_proof() else 60


@dataclass(frozen=True)
class Drawn:
    """Chance drawn by hypothesis, which tries to tell examples apart."""

    draw: st.DrawFn

    def random(self) -> float:
        """A percentage."""
        return self.draw(st.sampled_from(range(100))) / 100

    def randint(self, a: int, b: int, /) -> int:
        """A whole number."""
        return self.draw(st.integers(a, b))

    def choice(self, seq: Sequence[Item], /) -> Item:
        """One of them."""
        return self.draw(st.sampled_from(seq))

    def sample(self, population: Sequence[Item], /, k: int) -> list[Item]:
        """So many of them."""
        return self.draw(st.permutations(population))[:k]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draw what happens, to which table, and how it lands."""
    shape = shape_of(Drawn(draw))
    return Example(draw(histories()), shape, draw(st.integers(0, 2**32)))


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(examples())
def test_silver_is_the_source_after_every_step(example: Example) -> None:
    if problems_of(example):
        least = shrink(example, lambda candidate: bool(problems_of(candidate)))
        pytest.fail(tell(least, problems_of(least)), pytrace=False)


@settings(
    max_examples=500, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(examples())
def test_the_model_ends_where_the_source_ends(example: Example) -> None:
    """The model's folding, given all that the source did, is the plain dict that it acted on."""
    world = example.world
    everything = Landed({change.sequence for change in world.changes})
    for number, snapshot in enumerate(world.snapshots):
        everything.loads[number] = set(snapshot)
    assert Expected(world, everything).living() == world.source


MUTANTS = {
    "ties reversed": (
        "then case when ordered._tie_op = 'D' then 0 else 2 end",
        "then case when ordered._tie_op = 'D' then 2 else 0 end",
    ),
    "the oldest change wins": (
        "lead(ordered._op) over key_order is null as _is_last",
        "lag(ordered._op) over key_order is null as _is_last",
    ),
    "absence after load": ("0 as _stage", "3 as _stage"),
    "on Athena a deleted key keeps nothing": ("or lived._rank = lived._living_rank", "or false"),
    "a delete closes nothing": ("where bounded._op <> 'D'", "where true"),
}


@pytest.mark.parametrize("rule", list(MUTANTS) if is_full_proof() else ["ties reversed"])
def test_a_broken_rule_is_found_and_shrinks_to_a_short_story(rule: str) -> None:
    old, new = MUTANTS[rule]

    def fails(example: Example) -> bool:
        return bool(problems_of(example, {old: new}))

    generate = settings(
        max_examples=400,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        found = find(examples(), fails, settings=generate)
    except NoSuchExample:
        pytest.fail(f"no example tells that the rule is broken ({rule}): does {old!r} still exist?")
    least = shrink(found, fails)
    told = tell(least, problems_of(least, {old: new}))
    assert least.actions <= 3, told
    assert len(told.splitlines()) <= 16, told
    assert not problems_of(least)

"""The steps of a run: one invocation of dbt each, repeated where the error may pass by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from synapse.errors import SynapseError
from synapse.observe.nodes import NodeOutcome, SourceAge
from synapse.progress import Progress
from synapse.runner.dbt import DbtProject, DbtResult
from synapse.runner.error_class import ErrorClass, error_class

_RESUMABLE = ("build",)
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of a step: dbt's result, how often it was tried, and each node by attempt."""

    result: DbtResult
    attempts: int
    nodes: tuple[tuple[int, NodeOutcome | SourceAge], ...] = ()


def run_step(
    dbt: DbtProject,
    arguments: Sequence[str],
    retries: Mapping[ErrorClass, int],
    *,
    run_id: str,
    progress: Progress | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Invoke dbt; while all that failed is of a class with retries left, go on from there.

    is_stopped: asked before each repetition. Raises SynapseError where dbt could not start, and
    not for an error that passed.
    """
    left = dict(retries)
    attempts = 1
    result: DbtResult | None = None
    nodes: list[tuple[int, NodeOutcome | SourceAge]] = []
    command = list(arguments)
    while True:
        try:
            latest = dbt.invoke(command, run_id=run_id, progress=progress)
        except SynapseError as error:
            kinds: set[ErrorClass | None] = {error_class(str(error))}
            if is_stopped() or not _take_one(left, kinds):
                raise
        else:
            nodes += [(attempts, node) for node in latest.nodes]
            if result is not None and command == ["retry"]:
                latest = result.then(latest, is_retry=True)
            result = latest
            kinds = set(latest.passing)
            if latest.succeeded or is_stopped() or not _take_one(left, kinds):
                return Outcome(result, attempts, tuple(nodes))
            if arguments[0] in _RESUMABLE:
                # dbt knows what failed and what was skipped because of it.
                command = ["retry"]
        attempts += 1
        # Many clients that were refused together must not come back together.
        longest = min(_FIRST_PAUSE * 2**attempts, _LONGEST_PAUSE)
        pause(random.uniform(_FIRST_PAUSE, longest))


def _take_one(left: dict[ErrorClass, int], kinds: set[ErrorClass | None]) -> bool:
    """Use up a retry of each class; False where one has none left, or comes again anyway."""
    known = {kind for kind in kinds if kind is not None}
    if None in kinds or any(left.get(kind, 0) < 1 for kind in known):
        return False
    for kind in known:
        left[kind] -= 1
    return True

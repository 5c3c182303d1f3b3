"""What a run is going to do: its steps, what it takes in first, and whose tables it writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from synapse.errors import SynapseError
from synapse.runner.clock import last_complete_date
from synapse.schedules.model import Ingest, Schedule, Schedules, Step, Task

_MOST = (Ingest.none, Ingest.recent, Ingest.sweep)


@dataclass(frozen=True)
class Plan:
    """A run before it begins.

    name: of the schedule. covers: the schedules that the run stands for, itself last.
    steps: invocations of dbt in order; each but the last must succeed for the next one to begin.
    """

    name: str
    schedule: Schedule
    covers: tuple[str, ...]
    steps: tuple[Step, ...]
    ingest: Ingest
    leases: tuple[str, ...]
    selection: str

    @property
    def builds(self) -> bool:
        """False for what only looks or keeps in order."""
        return self.schedule.task is Task.build


def make_plan(
    schedules: Schedules,
    name: str,
    *,
    done: Collection[str] = (),
    may_build_needs: bool = True,
    as_of: datetime,
    timezone: str,
) -> Plan:
    """Plan a run of `name` with everything it depends on.

    done: schedules that have run with success for the same business date. What is missing of those
    that `name` needs is built in the same run first, unless may_build_needs is false: then
    SynapseError says what is missing.
    """
    own = schedules.name_of(name)
    missing = [need for need in schedules.needed_schedules(own) if need not in done]
    if missing and not may_build_needs:
        day = last_complete_date(as_of, timezone)
        raise SynapseError(
            f"{own} needs {', '.join(missing)} of {day}, which has not run with success: see "
            f"`synapse status`, then `synapse run {own}`, which builds what is missing"
        )
    covers = (*missing, own)
    steps = dict.fromkeys(step for each in covers for step in schedules.steps(each))
    most = max((schedules.by_name[each].ingest for each in covers), key=_MOST.index)
    return plan_of(schedules, own, covers, tuple(steps), most)


def plan_of(
    schedules: Schedules,
    name: str,
    covers: tuple[str, ...],
    steps: tuple[Step, ...],
    ingest: Ingest,
) -> Plan:
    """The plan of a schedule whose needs and steps are known."""
    return Plan(
        name,
        schedules[name],
        covers,
        steps,
        ingest,
        leases(schedules, covers),
        ",".join(step.selector for step in schedules.steps(name)),
    )


def leases(schedules: Schedules, names: Collection[str]) -> tuple[str, ...]:
    """The leases that keep others from these schedules and from the tables that they write."""
    groups = {group for name in names for group in schedules[name].table_groups}
    return tuple(sorted([*(f"schedule:{schedules.name_of(name)}" for name in names), *groups]))

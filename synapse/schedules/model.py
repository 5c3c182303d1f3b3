"""The schedules as declared: one typed object for each, and the checks that span several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from synapse.errors import UsageError
from synapse.runner.error_class import ErrorClass

_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Task(StrEnum):
    """What a schedule does."""

    build = "build"
    freshness = "freshness"
    maintenance = "maintenance"


class Ingest(StrEnum):
    """What a run takes in first: nothing, what is in the lookback's folders, all of bronze."""

    none = "none"
    recent = "recent"
    sweep = "sweep"


class CatchUp(StrEnum):
    """Which of the times that passed while nobody ran are run later."""

    none = "none"
    latest = "latest"
    all = "all"


class Precision(StrEnum):
    """How much of as-of decides a run's result."""

    minute = "minute"
    hour = "hour"


def _duration(value: object) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]*)([smhd])", str(value))
    if not found:
        raise ValueError("write a duration as a whole number and s, m, h or d, for example 50m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _cron(value: str) -> str:
    try:
        CronSim(value, _ANY_MOMENT)
    except CronSimError as error:
        raise ValueError(
            f"{error}: write minute, hour, day, month and weekday, for example '0 1 * * *'"
        ) from error
    if len(value.split()) != 5:
        raise ValueError("write minute, hour, day, month and weekday, for example '0 1 * * *'")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Cron = Annotated[str, AfterValidator(_cron)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Sentence = Annotated[str, Field(min_length=1)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(_Declared):
    """What a run may cost at most; the cost ledger compares."""

    cents: Annotated[int, Field(gt=0)] | None = None
    scanned_megabytes: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Budget:
        if self.cents is None and self.scanned_megabytes is None:
            raise ValueError("give cents, scanned_megabytes or both")
        return self


class Schedule(_Declared):
    """One schedule; see the head of schedules.yml for what each field means."""

    description: Sentence
    owner: Sentence
    cron: Cron
    timeout: Duration
    sla: Duration
    budget: Budget
    table_groups: Annotated[tuple[Name, ...], Field(min_length=1)]
    aliases: tuple[Name, ...] = ()
    task: Task = Task.build
    ingest: Ingest = Ingest.none
    selectors: tuple[Name, ...] = ()
    needs: tuple[Name, ...] = ()
    judges_since: Name | None = None
    retries: dict[ErrorClass, Annotated[int, Field(ge=1, le=10)]] = Field(default_factory=dict)
    catch_up: CatchUp = CatchUp.latest
    as_of_counts_by: Precision = Precision.hour

    @model_validator(mode="after")
    def _selectors_fit_the_task(self) -> Schedule:
        if self.task is Task.maintenance and self.selectors:
            raise ValueError("maintenance builds nothing: leave `selectors` out")
        if self.task is not Task.maintenance and not self.selectors:
            raise ValueError("lacks `selectors`: name at least one of selectors.yml")
        return self


class ScheduleFile(_Declared):
    """The whole file."""

    version: Annotated[int, Field(ge=1, le=1)]
    table_groups: dict[Name, Sentence]
    schedules: Annotated[dict[Name, Schedule], Field(min_length=1)]


@dataclass(frozen=True)
class Step:
    """One invocation of dbt, for the schedule that declares its selector or needs it."""

    schedule: str
    selector: str


@dataclass(frozen=True)
class Schedules:
    """All schedules, by name."""

    by_name: dict[str, Schedule]
    table_groups: dict[str, str]

    def name_of(self, name: str) -> str:
        """The schedule that is called so, or has that alias. Raises UsageError."""
        for own, schedule in self.by_name.items():
            if name == own or name in schedule.aliases:
                return own
        known = [*self.by_name, *(a for s in self.by_name.values() for a in s.aliases)]
        raise UsageError(f"there is no schedule {name!r}: choose {', '.join(known)}")

    def __getitem__(self, name: str) -> Schedule:
        return self.by_name[self.name_of(name)]

    def without_models(self) -> tuple[str, ...]:
        """The schedules that build nothing."""
        return tuple(n for n, each in self.by_name.items() if each.task is not Task.build)

    def is_schedule(self, name: str) -> bool:
        """True for the name or alias of a schedule."""
        return any(name == own or name in each.aliases for own, each in self.by_name.items())

    def needed_schedules(self, name: str) -> tuple[str, ...]:
        """The schedules that must have run before `name`, in the order to run them."""
        found: dict[str, None] = {}

        def visit(of: str) -> None:
            for need in self[of].needs:
                if self.is_schedule(need):
                    visit(need)
                    found[self.name_of(need)] = None

        visit(name)
        return tuple(found)

    def steps(self, name: str) -> tuple[Step, ...]:
        """The steps of `name` itself: selectors that it needs, then its own."""
        return tuple(self._steps(self.name_of(name)))

    def _steps(self, name: str) -> Iterator[Step]:
        schedule = self.by_name[name]
        for need in schedule.needs:
            if not self.is_schedule(need):
                yield Step(name, need)
        for selector in schedule.selectors:
            yield Step(name, selector)

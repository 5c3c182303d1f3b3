"""What a rule found about one subject at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.engine import Engine

from synapse.schedules.model import Schedules
from synapse.settings import Settings


@dataclass(frozen=True)
class Condition:
    """A subject as its rule sees it.

    is_bad: None where it cannot be told now, which changes nothing. sentence: what is the matter,
    for people; never with a value from the data. command: what to type next.
    """

    subject: str
    is_bad: bool | None
    sentence: str = ""
    value: str = ""
    limit: str = ""
    run_id: str | None = None
    command: str = ""


@dataclass(frozen=True)
class Facts:
    """What rules look at: the state store, never the warehouse. now: aware.

    late_after: how old a source may be by its own declaration, by name.
    """

    engine: Engine
    settings: Settings
    schedules: Schedules
    now: datetime
    late_after: Mapping[str, timedelta] = field(default_factory=dict)

    def schedule_names(self, named: Sequence[str]) -> tuple[str, ...]:
        """The schedules that a rule is about."""
        return tuple(named) or tuple(self.schedules.by_name)


def shown(span: timedelta) -> str:
    """A span as people say it: 47 min, 3.5 h, 2.1 d."""
    minutes = span.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    number, unit = (minutes / 60, "h") if minutes < 48 * 60 else (minutes / 1440, "d")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"

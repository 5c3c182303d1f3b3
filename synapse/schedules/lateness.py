"""Whether a schedule has run as schedules.yml promises: the one home of that rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from synapse.schedules.model import Schedule
from synapse.schedules.occurrences import latest_time

GOOD = ("succeeded", "unchanged")
"""How a run ends that makes a time good."""
GOOD_IN_SQL = ", ".join(f"'{status}'" for status in GOOD)


def due_time(schedule: Schedule, now: datetime, timezone: str) -> datetime:
    """The newest time (aware) by whose sla the schedule must have succeeded by `now`."""
    return latest_time(schedule.cron, now - schedule.sla, timezone)


def overdue(
    schedule: Schedule,
    now: datetime,
    timezone: str,
    *,
    since: datetime | None,
    is_made_good: Callable[[datetime], bool],
) -> datetime | None:
    """The due time of the schedule where nothing has made it good, else None.

    now: aware. since: the first time of any schedule that somebody dealt with on this lake (UTC);
    None where nobody has it on a schedule, and then nothing is late. is_made_good: whether a run
    that covers the schedule and is as of that time or later has succeeded, whoever began it.
    """
    due = due_time(schedule, now, timezone)
    if since is None or due < since.replace(tzinfo=UTC) or is_made_good(due):
        return None
    return due

"""When a schedule's times are: cron in a time zone, the ends of summer time included.

The maths are cronsim's, which does as Debian's cron does: a time that the clocks skip comes right
after the gap, one that comes twice counts once, and an hourly schedule runs in every real hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim


def times_after(cron: str, moment: datetime, timezone: str) -> Iterator[datetime]:
    """The times (aware, UTC) that lie after `moment` (aware), earliest first, without end."""
    for time in CronSim(cron, moment.astimezone(ZoneInfo(timezone))):
        yield time.astimezone(UTC)


def times_between(cron: str, after: datetime, until: datetime, timezone: str) -> list[datetime]:
    """The times in (after, until]."""
    found = []
    for time in times_after(cron, after, timezone):
        if time > until:
            break
        found.append(time)
    return found


def latest_time(cron: str, until: datetime, timezone: str) -> datetime:
    """The last time at or before `until`."""
    # Backwards, cronsim knows no gaps: from the earlier one on, forwards decides.
    before = CronSim(cron, until.astimezone(ZoneInfo(timezone)), reverse=True)
    next(before)
    start = next(before).astimezone(UTC)
    return max([start, *times_between(cron, start, until, timezone)])

"""When a schedule's times are: cron in a time zone, the ends of summer time included.

The maths are cronsim's, which does as Debian's cron does: a time that the clocks skip comes right
after the gap, one that comes twice counts once, and an hourly schedule runs in every real hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from cronsim import CronSim

from synapse.errors import UsageError


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


def times_a_month(cron: str) -> Fraction:
    """How many times it has in a twelfth of a year of 365 days, whatever the zone."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    year = times_between(cron, begin, begin + timedelta(days=365), "UTC")
    return Fraction(len(year), 12)


def latest_time(cron: str, until: datetime, timezone: str) -> datetime:
    """The last time at or before `until`."""
    # Backwards, cronsim knows no gaps: from the earlier one on, forwards decides.
    before = CronSim(cron, until.astimezone(ZoneInfo(timezone)), reverse=True)
    next(before)
    start = next(before).astimezone(UTC)
    return max([start, *times_between(cron, start, until, timezone)])


def occurrence_time(cron: str, text: str, timezone: str) -> datetime:
    """The time that `text` names: `latest`, or an ISO 8601 instant that cron has.

    Raises UsageError for one that cron does not have.
    """
    if text == "latest":
        return latest_time(cron, datetime.now(UTC), timezone)
    try:
        wanted = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--occurrence {text!r} is neither `latest` nor an ISO 8601 timestamp"
        ) from error
    wanted = wanted.replace(tzinfo=UTC) if wanted.tzinfo is None else wanted.astimezone(UTC)
    if latest_time(cron, wanted, timezone) != wanted:
        raise UsageError(
            f"--occurrence {text!r} is no time of this schedule ({cron!r} in {timezone}); "
            "`synapse schedules` shows the next ones"
        )
    return wanted

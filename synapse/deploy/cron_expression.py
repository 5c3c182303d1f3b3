"""A cron line in a time zone as EventBridge Scheduler wants it.

It has another grammar (a `?` for the day that is not meant, weekdays from Sunday = 1) and other
manners: a time that the clocks skip is left out, one that comes twice is run once, hourly ones
too. So what runs every hour of every day is scheduled in UTC, where no hour is lost.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from synapse.errors import SynapseError
from synapse.schedules.occurrences import times_between

_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Expression:
    """What EventBridge Scheduler is told: the expression and the zone that it is meant in."""

    text: str
    timezone: str


def expression(cron: str, timezone: str) -> Expression:
    """Translate a cron line that schedules.yml accepts.

    Raises SynapseError for one whose times no single expression has.
    """
    parsed = CronSim(cron, _ANY_MOMENT)
    minutes = _numbers(parsed.minutes, range(60))
    hours = _numbers(parsed.hours, range(24))
    months = _numbers(parsed.months, range(1, 13))
    any_day, any_weekday = parsed.days >= set(range(1, 32)), parsed.weekdays >= set(range(7))
    if any_weekday or (any_day and not parsed.day_and):
        day, weekday = _days(cron, parsed.days), "?"
    elif any_day:
        day, weekday = "?", _weekdays(cron, parsed.weekdays)
    else:
        raise _refused(cron, "names days of the month and weekdays")
    if not parsed.day_and and (any_day or any_weekday):
        day, weekday = "*", "?"  # either is enough, and one of them is every day
    every_hour = (hours, day, months) == ("*", "*", "*")
    return Expression(
        f"cron({minutes} {hours} {day} {months} {weekday} *)",
        "UTC" if every_hour and _has_whole_hours(timezone) else timezone,
    )


def skipped_times(cron: str, timezone: str, begin: datetime, years: int = 5) -> list[datetime]:
    """Times (UTC) that the clocks put forward over: cron comes after the gap, EventBridge never."""
    if expression(cron, timezone).timezone == "UTC":
        return []
    zone, plain = ZoneInfo(timezone), CronSim(cron, begin.astimezone(ZoneInfo(timezone)))
    wanted = times_between(cron, begin, begin + timedelta(days=366 * years), timezone)
    return [
        time
        for time in wanted
        if time.astimezone(zone).minute not in plain.minutes
        or time.astimezone(zone).hour not in plain.hours
    ]


def _numbers(found: set[int], all_of: Sequence[int]) -> str:
    return "*" if found >= set(all_of) else ",".join(map(str, _ranges(found)))


def _ranges(found: Iterable[int]) -> list[str]:
    """Runs of three and more as a-b."""
    runs: list[list[int]] = []
    for number in sorted(found):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        text
        for run in runs
        for text in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(each) for each in run])
    ]


def _days(cron: str, days: set[int]) -> str:
    if days == {CronSim.LAST}:
        return "L"
    if any(each < 1 for each in days):
        raise _refused(cron, "names the last weekday of a month, or its last day beside others")
    return _numbers(days, range(1, 32))


def _weekdays(cron: str, weekdays: set[int | tuple[int, int]]) -> str:
    plain = sorted({each % 7 for each in weekdays if isinstance(each, int)})
    special = [each for each in weekdays if not isinstance(each, int)]
    if not special:
        return ",".join(_DAYS[each] for each in plain)
    if plain or len(special) > 1:
        raise _refused(cron, "names a weekday of a week of the month beside others")
    day, number = special[0]
    # Sunday is 1 here.
    return f"{day % 7 + 1}L" if number == CronSim.LAST else f"{day % 7 + 1}#{number}"


def _has_whole_hours(timezone: str) -> bool:
    """Whether the zone differs from UTC by whole hours, all through the coming years."""
    zone = ZoneInfo(timezone)
    begin = datetime.now(UTC)
    offsets = (
        (begin + timedelta(days=days)).astimezone(zone).utcoffset() or timedelta()
        for days in range(0, 366 * 5, 7)
    )
    return all(offset % timedelta(hours=1) == timedelta() for offset in offsets)


def _refused(cron: str, why: str) -> SynapseError:
    return SynapseError(
        f"cron {cron!r} of schedules.yml {why}: EventBridge Scheduler has no expression for it; "
        "write it so that one of the two is *, or declare two schedules"
    )

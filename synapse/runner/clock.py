"""As-of: the instant that a run calls "now"; no model reads the clock. And instants in stores."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from synapse.errors import UsageError


def end_of_date(day: date, timezone: str) -> datetime:
    """Return the instant (UTC, aware) at which the business date `day` has just ended."""
    return datetime.combine(
        day + timedelta(days=1), datetime.min.time(), ZoneInfo(timezone)
    ).astimezone(UTC)


def parse_as_of(text: str) -> datetime:
    """Read an ISO 8601 instant; without an offset it means UTC. Raises UsageError otherwise."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--as-of {text!r} is no ISO 8601 timestamp: write it like 2026-06-28T03:00:00+00:00"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def parse_date(text: str, option: str = "--date") -> date:
    """Read an ISO date. Raises UsageError otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no date: write it like 2026-06-28") from error


def resolve_as_of(as_of: str | None, day: str | None, timezone: str) -> datetime:
    """Return the run's as-of from --as-of or --date (the end of that date), else the clock."""
    if as_of is not None and day is not None:
        raise UsageError("--as-of and --date both say when now is: give one of them")
    if as_of is not None:
        return parse_as_of(as_of)
    if day is not None:
        return end_of_date(parse_date(day), timezone)
    return datetime.now(UTC)


def last_complete_date(as_of: datetime, timezone: str) -> date:
    """Return the last business date that had ended by `as_of` (aware)."""
    return as_of.astimezone(ZoneInfo(timezone)).date() - timedelta(days=1)


def naive_utc(moment: datetime) -> datetime:
    """Return the instant as the stores keep it; a naive one is UTC already."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def utc_now() -> datetime:
    """Return the wall clock as the stores keep it: UTC without a zone."""
    return naive_utc(datetime.now(UTC))

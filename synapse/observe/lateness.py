"""Whether a schedule has run as schedules.yml promises: by its time and its sla."""

from __future__ import annotations

from datetime import UTC, datetime

from synapse.observe.reader import Reader, moment
from synapse.runner.clock import naive_utc
from synapse.schedules.model import Schedule
from synapse.schedules.occurrences import latest_time


def due_time(schedule: Schedule, now: datetime, timezone: str) -> datetime:
    """The newest time (aware) of the schedule by whose sla it must have succeeded by `now`."""
    return latest_time(schedule.cron, now - schedule.sla, timezone)


def is_late(
    reader: Reader, name: str, schedule: Schedule, now: datetime, timezone: str
) -> datetime | None:
    """The time that was due and that nothing has made good, else None.

    A run that began at or after it and succeeded makes it good, whoever began it. What never ran
    on this lake is not late: nobody has put it on a schedule here.
    """
    due = due_time(schedule, now, timezone)
    first = reader.rows(
        "select min(started_at) as first from schedule_runs where schedule = :name", name=name
    )
    began = moment(first[0]["first"]) if first else None
    if began is None or began.replace(tzinfo=UTC) > due:
        return None
    # A run that builds what it needs stands for those schedules, too. coalesce keeps SQLite from
    # the index by status, whose every row it would read.
    good = reader.rows(
        "select 1 as found from schedule_runs left join run_plans "
        "on run_plans.run_id = schedule_runs.run_id where started_at >= :due "
        "and coalesce(status, '') in ('succeeded', 'unchanged') "
        "and (schedule = :name or covers like :covered) limit 1",
        name=name,
        due=naive_utc(due),
        covered=f'%"{name}"%',
    )
    return None if good else due

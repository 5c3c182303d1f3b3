"""Rules about runs: late data, missed times, failures, failed checks, budgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial

from synapse.alerts.condition import Condition, Facts, shown
from synapse.alerts.model import (
    BudgetRule,
    FailedChecksRule,
    FailedRunRule,
    LatencyRule,
    MissedScheduleRule,
)
from synapse.alerts.runs_seen import RunsSeen
from synapse.cost.budget import Budget, exceeded
from synapse.cost.report import read_costs
from synapse.schedules.lateness import GOOD, due_time, overdue
from synapse.schedules.occurrences import latest_time, times_after

_SHOWN_NAMES = 5
_COST_DAYS = timedelta(days=22)


def late_data(rule: LatencyRule, facts: Facts, seen: RunsSeen) -> Iterator[Condition]:
    """How long after a time of a schedule what had landed by then was, or is not yet, in gold.

    The greater of two: of the first time after the newest build's as-of, the time since; of the
    last time that was built, how long after it the first run that covers it had succeeded. So
    a slow build stays visible until the next one was in time, however seldom somebody looks.
    """
    timezone = facts.settings.business_timezone
    for name in facts.schedule_names(rule.schedules):
        since = seen.scheduled_since
        if since is None:
            yield Condition(name, None)
            continue
        cron = facts.schedules.by_name[name].cron
        built = [run for run in seen.good(name) if run.as_of <= facts.now]
        newest = max(built, key=lambda run: run.as_of, default=None)
        waits_since = next(times_after(cron, newest.as_of, timezone)) if newest else since
        waiting = max(facts.now - waits_since, timedelta(0))
        took = timedelta(0)
        if newest is not None:
            last_time = latest_time(cron, newest.as_of, timezone)
            ends = [run.finished_at or facts.now for run in built if run.as_of >= last_time]
            took = min(ends) - last_time
        value = max(waiting, took)
        what = (
            f"data of {waits_since:%Y-%m-%d %H:%M} UTC is not in gold yet ({name})"
            if waiting >= took
            else f"the last {name} data was in gold {shown(took)} after its time"
        )
        yield Condition(
            name,
            value > rule.over,
            what,
            shown(value),
            shown(rule.over),
            None if newest is None else newest.run_id,
            "synapse status",
        )


def missed_schedules(rule: MissedScheduleRule, facts: Facts, seen: RunsSeen) -> Iterator[Condition]:
    """Whether the last time whose sla has passed was made good, by whichever run."""
    timezone = facts.settings.business_timezone
    for name in facts.schedule_names(rule.schedules):
        schedule = facts.schedules.by_name[name]
        due = due_time(schedule, facts.now, timezone)
        late = overdue(
            schedule,
            facts.now,
            timezone,
            since=seen.scheduled_since,
            is_made_good=partial(seen.is_made_good, name),
        )
        if seen.scheduled_since is None or due < seen.scheduled_since:
            yield Condition(name, None)
            continue
        yield Condition(
            name,
            late is not None,
            f"{name} of {due:%Y-%m-%d %H:%M} UTC has not run with success",
            f"{shown(facts.now - due)} late",
            f"sla {shown(schedule.sla)}",
            None,
            f"synapse run {name}",
        )


def failed_runs(rule: FailedRunRule, facts: Facts, seen: RunsSeen) -> Iterator[Condition]:
    """Whether the newest run of a schedule failed (not by its checks alone) or was killed."""
    for name in facts.schedule_names(rule.schedules):
        run = seen.newest_ended(name)
        if run is None:
            yield Condition(name, None)
            continue
        status = "killed (silent)" if seen.is_silent(run) else run.status
        nodes = run.failed_nodes
        is_of_checks = bool(run.failed_tests) and not nodes
        is_bad = status not in GOOD and not is_of_checks
        yield Condition(
            name,
            is_bad,
            f"the {name} run as of {run.as_of:%Y-%m-%d %H:%M} UTC ended {status}"
            + (f": {_some(nodes)}" if nodes else ""),
            status,
            "succeeded",
            run.run_id,
            "synapse retry",
        )


def failed_checks(rule: FailedChecksRule, facts: Facts, seen: RunsSeen) -> Iterator[Condition]:
    """Whether tests failed in the newest run of a schedule. Names and counts only."""
    for name in facts.schedule_names(rule.schedules):
        run = seen.newest_ended(name)
        if run is None:
            yield Condition(name, None)
            continue
        tests = run.failed_tests
        rows = sum(tests.values())
        yield Condition(
            name,
            bool(tests),
            f"{len(tests)} check{'s' if len(tests) > 1 else ''} of {name} failed on {rows:,} rows: "
            f"{_some(tests)}",
            str(len(tests)),
            "0",
            run.run_id,
            "synapse status --json",
        )


def over_budget(rule: BudgetRule, facts: Facts, _seen: RunsSeen) -> Iterator[Condition]:
    """Whether the newest run of a schedule with costs spent more than its budget."""
    since = (facts.now - _COST_DAYS).date()
    costs = read_costs(facts.settings.state, since=since)
    for name in facts.schedule_names(rule.schedules):
        declared = facts.schedules.by_name[name].budget
        budget = Budget(
            name,
            None if declared.cents is None else Decimal(declared.cents) / 100,
            None if declared.scanned_megabytes is None else declared.scanned_megabytes * 10**6,
        )
        own = [cost for cost in costs if cost.schedule == name]
        if not own:
            yield Condition(name, None)
            continue
        sentences = exceeded(own, [budget])
        limits = [
            f"${budget.usd}" if budget.usd is not None else "",
            f"{declared.scanned_megabytes:,} MB" if declared.scanned_megabytes else "",
        ]
        yield Condition(
            name,
            bool(sentences),
            "; ".join(sentences),
            "over budget",
            ", ".join(limit for limit in limits if limit),
            own[-1].run_id,
            "synapse cost --by run",
        )


def _some(names: object) -> str:
    every = list(names)  # type: ignore[call-overload]
    more = len(every) - _SHOWN_NAMES
    return ", ".join(every[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")

"""Looking at every rule, writing down what changed, telling whom it concerns.

Called by hand, at the end of a run, and every minute by the scheduler: any number of processes may
look at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from synapse.alerts import data_rules, run_rules
from synapse.alerts import model as m
from synapse.alerts.after_run import said
from synapse.alerts.condition import Condition, Facts
from synapse.alerts.delivery import Delivery, Told
from synapse.alerts.figures import note_error_rate
from synapse.alerts.ledger import AlertLedger
from synapse.alerts.load import load_alerts
from synapse.alerts.notice import Notice, make_notice
from synapse.alerts.runs_seen import RunsSeen
from synapse.alerts.sender import Patience
from synapse.alerts.standing import Kind, Standing, State, step
from synapse.declarations import load_declarations
from synapse.errors import SynapseError
from synapse.runner.history import SCHEDULE_RUNS
from synapse.schedules.claims import Occurrences
from synapse.schedules.load import load_schedules
from synapse.settings import Settings
from synapse.state_store import make_tables, open_store


@dataclass
class Look:
    """What one look found: notices of what changed, what was delivered, and what went wrong."""

    at: datetime
    notices: list[Notice] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    problems: list[str] = field(default_factory=list)


class Watch:
    """Looks at the rules of one project on one state store, as often as it is asked to."""

    def __init__(
        self, settings: Settings, project_dir: Path, patience: Patience | None = None
    ) -> None:
        """Raises SynapseError for an alerts.yml that cannot work."""
        self._settings = settings
        self._schedules = load_schedules(project_dir)
        self.alerts = load_alerts(project_dir, self._schedules)
        rules = self.alerts.rules.values()
        asks = any(isinstance(rule, m.StaleSourceRule) and rule.over is None for rule in rules)
        self._late_after = load_declarations(project_dir).late_after if asks else {}
        self.engine: Engine = open_store(settings.state)
        # What rules read is there, however new the store is.
        make_tables(self.engine, SCHEDULE_RUNS.metadata)
        Occurrences(self.engine)
        self.ledger = AlertLedger(self.engine)
        self._delivery = Delivery(self.engine, self.alerts, patience)

    def look(self, now: datetime | None = None, *, dry_run: bool = False) -> Look:
        """Evaluate every rule and deliver what waits. dry_run: only say what would be told.

        A rule that cannot be evaluated is a problem of the look; the others are looked at.
        """
        look = Look(now or datetime.now(UTC))
        facts = Facts(self.engine, self._settings, self._schedules, look.at, self._late_after)
        seen = RunsSeen(facts)
        for name, rule in self.alerts.rules.items():
            try:
                found = list(_conditions(rule, facts, seen))
            except (SynapseError, SQLAlchemyError) as error:
                look.problems.append(f"rule `{name}` was not looked at: {said(error)}")
                continue
            self._changes(name, found, look, dry_run)
        if not dry_run:
            self._rules_gone(look)
            look.told = self._delivery.deliver(look.at)
            look.problems += look.told.problems
        return look

    def note_figures(self) -> None:
        """Keep what gold says now, where a rule asks for it."""
        if any(isinstance(rule, m.ErrorRateRule) for rule in self.alerts.rules.values()):
            facts = Facts(self.engine, self._settings, self._schedules, datetime.now(UTC))
            newest = next(iter(RunsSeen(facts).runs), None)
            note_error_rate(self.engine, self._settings, newest.run_id if newest else None)

    def close(self) -> None:
        """Release the store's connections."""
        self.engine.dispose()

    def _changes(self, name: str, found: list[Condition], look: Look, dry_run: bool) -> None:
        standings = self.ledger.standings(name)
        subjects = {condition.subject for condition in found}
        # A subject that its rule has no word for any more is well, or gone.
        gone = [Condition(subject, False) for subject in standings if subject not in subjects]
        terms = self.alerts.terms(name)
        for condition in [*found, *gone]:
            before = standings.get(condition.subject)
            if dry_run:
                standing = before[1] if before else Standing()
                after, kind = step(
                    standing, condition.is_bad, look.at, hold=terms.hold, repeat=terms.repeat
                )
                if kind is not None:
                    of = standing if kind is Kind.recovery else after
                    look.notices.append(
                        make_notice(kind, terms, condition, of, look.at, self._settings)
                    )
            else:
                self._change(terms, condition, before, look)

    def _rules_gone(self, look: Look) -> None:
        """What was told of rules that alerts.yml has no more is over: nobody would say so later."""
        for terms, subject, version, standing in self.ledger.of_other_rules(self.alerts.rules):
            self._change(terms, Condition(subject, False), (version, standing), look)

    def _change(
        self, terms: m.Terms, condition: Condition, before: tuple[int, Standing] | None, look: Look
    ) -> None:
        notice = self.ledger.change(
            terms,
            condition,
            before,
            look.at,
            lambda kind, of: make_notice(kind, terms, condition, of, look.at, self._settings),
        )
        if notice is not None:
            look.notices.append(notice)


def _conditions(rule: m.Rule, facts: Facts, seen: RunsSeen) -> Iterator[Condition]:
    match rule:
        case m.LatencyRule():
            yield from run_rules.late_data(rule, facts, seen)
        case m.MissedScheduleRule():
            yield from run_rules.missed_schedules(rule, facts, seen)
        case m.FailedRunRule():
            yield from run_rules.failed_runs(rule, facts, seen)
        case m.FailedChecksRule():
            yield from run_rules.failed_checks(rule, facts, seen)
        case m.BudgetRule():
            yield from run_rules.over_budget(rule, facts, seen)
        case m.ErrorRateRule():
            yield from data_rules.product_errors(rule, facts)
        case m.QuarantineRule():
            yield from data_rules.quarantine_growth(rule, facts)
        case m.StaleSourceRule():
            yield from data_rules.stale_sources(rule, facts)


def trial_notices(settings: Settings, now: datetime) -> tuple[Notice, Notice]:
    """A notice that tries a channel, and that it is over."""
    terms = m.Terms(
        "test", m.Severity.info, "whoever sent it", "docs/runbook.md#alerts",
        timedelta(0), timedelta(days=1), (),
    )  # fmt: skip
    condition = Condition("this channel", True, "somebody tries this channel, nothing is wrong")
    standing = Standing(State.firing, 1, now, now, 1)
    begin, recovery = (
        make_notice(kind, terms, condition, standing, now, settings)
        for kind in (Kind.begin, Kind.recovery)
    )
    return begin, recovery

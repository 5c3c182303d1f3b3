"""How every subject stands, in the state store; a change and its notices are one transaction.

Whoever changes a row names the version that it read. Of two processes that see the same change
one writes it, with its notices; the other finds the version gone and leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from synapse.alerts import figures as _figures  # noqa: F401  (its table is made with the others)
from synapse.alerts.condition import Condition
from synapse.alerts.model import Severity, Terms
from synapse.alerts.notice import Notice
from synapse.alerts.standing import Kind, Standing, State, step
from synapse.alerts.tables import ALERTS, FAULTS, METADATA, NOTICES
from synapse.runner.clock import naive_utc, utc_now
from synapse.state_store import make_tables

_KEEP = timedelta(days=30)
_FAULT_CHARACTERS = 500


@dataclass(frozen=True)
class Firing:
    """What is firing now. Moments are naive UTC. untold: notices that have not been delivered."""

    rule: str
    subject: str
    severity: str
    owner: str
    sentence: str
    value: str
    limit: str
    since: datetime
    last_sent: datetime | None
    sent: int
    run_id: str | None
    untold: int


class AlertLedger:
    """Reads and writes alerts; the engine is its caller's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, METADATA)

    def standings(self, rule: str) -> dict[str, tuple[int, Standing]]:
        """Version and standing of each subject of a rule."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(ALERTS).where(ALERTS.c.rule == rule)).all()
        return {row.subject: (row.version, _standing(row)) for row in rows}

    def of_other_rules(self, known: Collection[str]) -> list[tuple[Terms, str, int, Standing]]:
        """What is not quiet and belongs to no rule of `known`: subject, version and standing."""
        query = select(ALERTS).where(ALERTS.c.state != State.quiet, ALERTS.c.rule.not_in(known))
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (
                Terms(
                    row.rule, Severity(row.severity), row.owner, "alerts.yml",
                    timedelta(0), timedelta(days=1), (),
                ),
                row.subject,
                row.version,
                _standing(row),
            )
            for row in rows
        ]  # fmt: skip

    def change(
        self,
        terms: Terms,
        condition: Condition,
        before: tuple[int, Standing] | None,
        now: datetime,
        write: Callable[[Kind, Standing], Notice],
    ) -> Notice | None:
        """Write how a subject stands now, and what is to be told; None where nothing is, here.

        before: what was read. write: makes the notice. The channels of the terms are told that it
        began; that it is over, all who were told anything of it.
        """
        version, standing = before or (0, Standing())
        after, kind = step(standing, condition.is_bad, now, hold=terms.hold, repeat=terms.repeat)
        if after == standing:
            if condition.is_bad and standing.state is State.firing:
                self._refresh(terms, condition, version)
            return None
        notice = None
        if kind is not None:
            notice = write(kind, standing if kind is Kind.recovery else after)
        with self._engine.begin() as connection:
            if not _put(connection, terms, condition, version, standing, after, now):
                return None
            if notice is not None:
                _tell(connection, notice, after.episode, terms.channels, now)
        return notice

    def _refresh(self, terms: Terms, condition: Condition, version: int) -> None:
        """Keep what is the matter now, for whoever lists what fires; nobody is told of it."""
        same = (
            ALERTS.c.rule == terms.rule,
            ALERTS.c.subject == condition.subject,
            ALERTS.c.version == version,
        )
        with self._engine.begin() as connection:
            connection.execute(update(ALERTS).where(*same).values(**_told_of(condition)))

    def firing(self) -> list[Firing]:
        """What is firing now, longest first."""
        untold = (
            select(func.count())
            .where(
                NOTICES.c.rule == ALERTS.c.rule,
                NOTICES.c.subject == ALERTS.c.subject,
                NOTICES.c.state == "waiting",
            )
            .scalar_subquery()
        )
        query = (
            select(ALERTS, untold.label("untold"))
            .where(ALERTS.c.state == State.firing)
            .order_by(ALERTS.c.since, ALERTS.c.rule, ALERTS.c.subject)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [Firing(**{n: row[n] for n in Firing.__dataclass_fields__}) for row in rows]

    def note_fault(self, fault: str) -> None:
        """Keep what went wrong with the alerts themselves, and forget what is old."""
        with self._engine.begin() as connection:
            old = utc_now() - _KEEP
            connection.execute(delete(FAULTS).where(FAULTS.c.noted_at < old))
            connection.execute(
                insert(FAULTS).values(noted_at=utc_now(), fault=fault[:_FAULT_CHARACTERS])
            )

    def faults_since(self, moment: datetime) -> int:
        """How many faults were kept since then (naive UTC)."""
        query = select(func.count()).where(FAULTS.c.noted_at >= moment)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        State(row.state), row.episode, _aware(row.since), _aware(row.last_sent), row.sent
    )


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else naive_utc(moment)


def _put(
    connection: Connection,
    terms: Terms,
    condition: Condition,
    version: int,
    before: Standing,
    after: Standing,
    now: datetime,
) -> bool:
    """Write the row where it is still the one that was read; False where another was quicker."""
    key = {"rule": terms.rule, "subject": condition.subject}
    is_over = before.state is State.firing and after.state is State.quiet
    values = {
        "state": after.state,
        "version": version + 1,
        "episode": after.episode,
        "since": _naive(after.since),
        "last_sent": _naive(after.last_sent),
        "sent": after.sent,
        "severity": terms.severity,
        "owner": terms.owner,
        **_told_of(condition),
        "resolved_at": naive_utc(now) if is_over else None,
    }
    if version:
        same = [ALERTS.c[column] == value for column, value in key.items()]
        changed = connection.execute(
            update(ALERTS).where(*same, ALERTS.c.version == version).values(**values)
        )
        return bool(changed.rowcount)
    try:
        with connection.begin_nested():
            connection.execute(insert(ALERTS).values(**key, **values))
    except IntegrityError:
        return False
    return True


def _told_of(condition: Condition) -> dict[str, object]:
    return {
        "sentence": condition.sentence,
        "value": condition.value,
        "limit": condition.limit,
        "run_id": condition.run_id,
    }


def _tell(
    connection: Connection, notice: Notice, episode: int, channels: Sequence[str], now: datetime
) -> None:
    of_it = (
        NOTICES.c.rule == notice.rule,
        NOTICES.c.subject == notice.subject,
        NOTICES.c.episode == episode,
    )
    rows = connection.execute(
        select(NOTICES.c.channel, NOTICES.c.kind, NOTICES.c.state).where(*of_it)
    ).all()
    told = dict.fromkeys(row.channel for row in rows)
    if notice.kind is not Kind.begin:
        # A reminder that nobody has delivered yet is overtaken by this notice.
        overtaken = (NOTICES.c.kind == Kind.repeat, NOTICES.c.state == "waiting")
        connection.execute(
            delete(NOTICES).where(*of_it, *overtaken, NOTICES.c.claimed_until.is_(None))
        )
    if notice.kind is Kind.recovery:
        channels = list(told)
    elif notice.kind is Kind.repeat:
        # Who is still to be told that it began needs no reminder of it.
        unaware = {row.channel for row in rows if row.kind == "begin" and row.state == "waiting"}
        channels = [name for name in dict.fromkeys([*channels, *told]) if name not in unaware]
    old = (NOTICES.c.made_at < naive_utc(now) - _KEEP, NOTICES.c.state == "sent")
    connection.execute(delete(NOTICES).where(*old, NOTICES.c.kind != Kind.begin))
    for channel in channels:
        connection.execute(
            insert(NOTICES).values(
                channel=channel,
                rule=notice.rule,
                subject=notice.subject,
                episode=episode,
                kind=notice.kind,
                notice=notice.to_json(),
                state="waiting",
                attempts=0,
                made_at=naive_utc(now),
            )
        )

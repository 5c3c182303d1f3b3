"""Bringing notices to their channels: in order, each by one process, none held up by another.

A notice is claimed in the store before it is sent. Of a process that is killed between sending and
saying so, the notice is sent again once the claim has run out: at least once, and PagerDuty and
ServiceNow know by its key that it is the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.engine import Engine
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from synapse.alerts.model import Alerts
from synapse.alerts.notice import Notice
from synapse.alerts.sender import NotSentError, Patience, Sender, sender_of
from synapse.alerts.tables import NOTICES
from synapse.errors import SynapseError
from synapse.runner.clock import naive_utc, utc_now

_CLAIM = timedelta(minutes=3)
_GIVE_UP = timedelta(days=7)

SenderOf = Callable[[str], Sender]


@dataclass
class Told:
    """What an evaluation delivered: notices by channel, and why others were not."""

    sent: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Delivery:
    """Delivers what waits in the store; may be kept and called again."""

    def __init__(self, engine: Engine, alerts: Alerts, patience: Patience | None = None) -> None:
        self._engine = engine
        self._alerts = alerts
        self._patience = patience or Patience()
        self._threads: dict[str, threading.Thread] = {}

    def deliver(self, now: datetime) -> Told:
        """Deliver what waits; whatever does not get through is left for the next time.

        now: of the look (aware), by which a notice is old.
        """
        told = Told()
        self._give_up(told, now)
        deadline = time.monotonic() + self._patience.total_seconds
        waiting = self._channels()
        begun = []
        for channel in waiting:
            if channel not in self._alerts.channels:
                self._forget(channel, told)
            elif (before := self._threads.get(channel)) is not None and before.is_alive():
                told.problems.append(f"channel `{channel}`: it has not answered since the last try")
            else:
                # A daemon: what never answers must neither end late nor keep the process alive.
                thread = threading.Thread(
                    target=self._serve, args=(channel, deadline, told), daemon=True
                )
                self._threads[channel] = thread
                thread.start()
                begun.append((channel, thread))
        for channel, thread in begun:
            thread.join(max(deadline - time.monotonic(), 0) + 1)
            if thread.is_alive():
                told.problems.append(f"channel `{channel}`: it gives no answer")
        return told

    def _channels(self) -> Sequence[str]:
        query = select(NOTICES.c.channel).where(NOTICES.c.state == "waiting").distinct()
        with self._engine.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def _serve(self, channel: str, deadline: float, told: Told) -> None:
        """Deliver to one channel, oldest first, until one does not get through."""
        sent = 0
        try:
            sender = sender_of(channel, self._alerts, self._patience)
            while time.monotonic() < deadline and (claimed := self._claim(channel)) is not None:
                number, notice = claimed
                try:
                    send(sender, notice, self._patience, deadline - time.monotonic())
                except NotSentError as error:
                    self._release(number, error.reason)
                    raise
                except BaseException as error:
                    self._release(number, type(error).__name__)
                    raise
                self._mark_sent(number)
                sent += 1
        except NotSentError as error:
            told.problems.append(f"channel `{channel}`: {error.reason}; the next look tries again")
        except SynapseError as error:
            told.problems.append(str(error))
        except Exception as error:
            # Of a library, whose words may repeat an address.
            told.problems.append(f"channel `{channel}`: {type(error).__name__}")
        finally:
            if sent:
                told.sent[channel] = sent

    def _claim(self, channel: str) -> tuple[int, Notice] | None:
        """The oldest notice that waits, if nobody else is telling it."""
        notices = NOTICES.c
        query = (
            select(notices.id, notices.notice)
            .where(notices.channel == channel, notices.state == "waiting")
            .order_by(notices.id)
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        now = utc_now()
        free = or_(notices.claimed_until.is_(None), notices.claimed_until < now)
        with self._engine.begin() as connection:
            claimed = connection.execute(
                update(NOTICES)
                .where(notices.id == row.id, notices.state == "waiting", free)
                .values(claimed_until=now + _CLAIM, attempts=notices.attempts + 1)
            )
        return (row.id, Notice.from_json(row.notice)) if claimed.rowcount else None

    def _release(self, number: int, problem: str) -> None:
        values = {"claimed_until": None, "problem": problem}
        with self._engine.begin() as connection:
            connection.execute(update(NOTICES).where(NOTICES.c.id == number).values(**values))

    def _mark_sent(self, number: int) -> None:
        values = {"state": "sent", "sent_at": utc_now(), "claimed_until": None, "problem": None}
        with self._engine.begin() as connection:
            connection.execute(update(NOTICES).where(NOTICES.c.id == number).values(**values))

    def _forget(self, channel: str, told: Told) -> None:
        of_it = (NOTICES.c.channel == channel, NOTICES.c.state == "waiting")
        with self._engine.begin() as connection:
            count = connection.execute(delete(NOTICES).where(*of_it)).rowcount
        told.problems.append(
            f"{count} notices for `{channel}` were dropped: it is declared no more"
        )

    def _give_up(self, told: Told, now: datetime) -> None:
        old = (NOTICES.c.state == "waiting", NOTICES.c.made_at < naive_utc(now) - _GIVE_UP)
        with self._engine.begin() as connection:
            count = connection.execute(delete(NOTICES).where(*old)).rowcount
        if count:
            told.problems.append(f"{count} notices were given up: no channel took them in 7 days")


def send(sender: Sender, notice: Notice, patience: Patience, seconds: float) -> None:
    """Send one notice, again with growing pauses where that may help. Raises NotSentError."""
    attempts = Retrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, NotSentError) and error.is_worth_repeating
        ),
        wait=wait_exponential_jitter(multiplier=patience.wait_seconds, max=4, jitter=0.1),
        stop=stop_after_attempt(patience.attempts) | stop_before_delay(max(seconds, 0)),
        retry_error_callback=_last,
    )
    attempts(sender.send, notice)


def _last(state: RetryCallState) -> None:
    assert state.outcome is not None
    state.outcome.result()

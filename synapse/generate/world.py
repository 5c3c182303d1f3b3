"""The simulated product: one call a day, and out come the day's facts in their order."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.accounts import Accounts
from synapse.generate.activity import Activity, Sessions
from synapse.generate.billing import PRICE_DECIDED_US, Billing
from synapse.generate.calendar import DAY_US, SECOND_US, WARM_UP_DAYS, Calendar
from synapse.generate.chat import Talks, lines_of, talks_of
from synapse.generate.conversing import Conversing
from synapse.generate.documents import Delivery, Document, Documents
from synapse.generate.events import EventBuffer
from synapse.generate.frames import Ints, integers, pool, take, timestamps
from synapse.generate.hazards import Rates
from synapse.generate.people import Growth
from synapse.generate.signals import Signals
from synapse.generate.streams import Stream, Streams
from synapse.generate.tables import SCHEMAS, ChangeBuffer

_DOCUMENT_SHARE = 0.1
_PLAN_CODES = pool([plan.code for plan in catalogue.PLANS])
_PLAN_NAMES = pool([plan.name for plan in catalogue.PLANS])


@dataclass(frozen=True)
class DayFacts:
    """Everything that happened on one business day."""

    day: int
    changes: dict[str, pa.Table]  # by table, in commit order; see tables.change_schema
    events: pa.Table  # in order of time; see events.EventBuffer
    deliveries: list[Delivery]


class World:
    """Carries the product's state from day to day; days must be asked for in order."""

    def __init__(self, calendar: Calendar, users: int, seed: int, rates: Rates) -> None:
        self.calendar = calendar
        self._streams = Streams(seed)
        self._growth = Growth(calendar, users, rates)
        people = self.people = self._growth.people
        self.buffers = {table: ChangeBuffer(table) for table in SCHEMAS}
        self._events = EventBuffer()
        self.accounts = Accounts(calendar, people, self.buffers["users"], rates)
        self._activity = Activity(calendar, people)
        self._billing = Billing(
            calendar, people, self.buffers["subscriptions"], self.buffers["payments"]
        )
        self._conversing = Conversing(
            calendar,
            people,
            self.buffers["conversations"],
            self.buffers["messages"],
            self._streams,
            rates,
        )
        self._documents = Documents(people)
        self._signals = Signals(calendar, people, self._events)
        self._rates = rates
        self._prices = [plan.price_cents for plan in catalogue.PLANS]
        self._list_plans(calendar.start_us(-WARM_UP_DAYS))

    def simulate(self, day: int) -> DayFacts:
        """Let the day happen."""
        at = self._streams.at
        arrivals = self._growth.day(day, at(Stream.PEOPLE, day))
        accounts_rng = at(Stream.ACCOUNTS, day)
        self.accounts.signed_up(arrivals.signed_up, accounts_rng)
        closed = self.accounts.day(day, accounts_rng)
        came = self._activity.show_up(day, at(Stream.ENGAGEMENT, day))
        sessions = self._activity.sessions(day, came, arrivals.signed_up, at(Stream.SESSIONS, day))
        signals_rng = at(Stream.SIGNALS, day)
        self._signals.visits(day, arrivals, signals_rng)
        self._signals.sessions(day, sessions, signals_rng)
        self._talk(day, sessions, signals_rng)
        checkouts = self._billing.day(day, sessions, closed, at(Stream.BILLING, day))
        self._signals.checkouts(day, checkouts, signals_rng)
        self._signals.pushes(day, signals_rng)
        if self._rates.undocumented:
            undocumented_rng = at(Stream.MISHAPS, day)
            self._signals.undocumented(day, sessions, self._rates.undocumented, undocumented_rng)
        self._change_prices(day)
        return self._facts(day)

    def _facts(self, day: int) -> DayFacts:
        end = self.calendar.start_us(day) + DAY_US
        return DayFacts(
            day=day,
            changes={table: buffer.drain(end) for table, buffer in self.buffers.items()},
            events=self._events.drain(end),
            deliveries=self._documents.drain(end),
        )

    def _talk(self, day: int, sessions: Sessions, signals_rng: np.random.Generator) -> None:
        rng = self._streams.at(Stream.CHAT, day)
        fresh = talks_of(sessions, rng)
        continued = self._documents.continued(day)
        documented = rng.random(len(fresh)) < _DOCUMENT_SHARE
        talks = self._with_continued(day, fresh, continued, rng)
        lines = lines_of(talks, rng)
        in_documents = np.concatenate([documented, np.ones(len(continued), dtype=np.bool_)])
        self._conversing.day(day, talks, lines, ~in_documents)
        self._documents.day(
            day, talks, lines, in_documents, continued, self._streams.at(Stream.DOCUMENTS, day)
        )
        self._signals.clicks(day, talks, lines, signals_rng)

    def _with_continued(
        self, day: int, talks: Talks, continued: list[Document], rng: np.random.Generator
    ) -> Talks:
        """The day's talks with the documents that go on at the end."""

        def values(numbers: list[int]) -> Ints:
            return np.array(numbers, dtype=np.int64)

        count = len(continued)
        last = values([one.lines[-1].sent_us for one in continued])
        start = np.maximum(self.calendar.moments(day, rng, count), last + 120 * SECOND_US)
        return replace(
            talks,
            person=np.concatenate([talks.person, values([one.person for one in continued])]),
            start_us=np.concatenate([talks.start_us, start]),
            platform=np.concatenate([talks.platform, values([one.platform for one in continued])]),
            model=np.concatenate([talks.model, values([one.model for one in continued])]),
            exchanges=np.concatenate([talks.exchanges, rng.integers(1, 4, count)]),
            opens=np.concatenate([talks.opens, np.zeros(count, dtype=np.bool_)]),
        )

    def _list_plans(self, at_us: int) -> None:
        self._record_plans("I", at_us, at_us, list(range(len(catalogue.PLANS))))
        self._plans_made_us = at_us

    def _change_prices(self, day: int) -> None:
        if day in catalogue.PRICE_CHANGES:
            plan, price = catalogue.PRICE_CHANGES[day]
            self._prices[plan] = price
            at = self.calendar.start_us(day) + PRICE_DECIDED_US
            self._record_plans("U", self._plans_made_us, at, [plan])

    def _record_plans(self, op: str, made_us: int, at_us: int, plans: list[int]) -> None:
        rows = np.array(plans, dtype=np.int64)
        same = np.full(len(rows), at_us, dtype=np.int64)
        self.buffers["plans"].add(
            op,
            same + 2_500,
            {
                "plan_id": integers(rows + 1),
                "plan_code": take(_PLAN_CODES, rows),
                "plan_name": take(_PLAN_NAMES, rows),
                "monthly_price_cents": integers(np.array(self._prices, dtype=np.int64)[rows]),
                "created_at": timestamps(np.full(len(rows), made_us, dtype=np.int64)),
                "updated_at": timestamps(same),
            },
        )

"""What the apps report: the events of visits, sign-ups, sessions, checkouts and pushes."""

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.activity import Sessions
from synapse.generate.billing import Checkouts
from synapse.generate.calendar import WARM_UP_DAYS, Calendar
from synapse.generate.chat import USER, Lines, Talks
from synapse.generate.events import NOBODY, UNDOCUMENTED, EventBuffer
from synapse.generate.frames import Bools, Codes, Ints, join, pool, take, text
from synapse.generate.people import ACTIVE, Arrivals, People, choose

_SCREENS = pool([f'{{"screen":"{name}"}}' for name in catalogue.SCREENS])
_FEATURES = pool([f'{{"feature":"{name}"}}' for name in catalogue.FEATURES])
_SETTINGS = pool([f'{{"setting":"{name}"}}' for name in catalogue.SETTINGS])
_CAMPAIGNS = pool([f'{{"campaign":"{name}"}}' for name in catalogue.CAMPAIGNS])
_CHECKOUTS = pool([f'{{"plan_code":"{plan.code}"}}' for plan in catalogue.PLANS])
_REFERRERS = pool([f'{{"referrer":"{name}"}}' for name in catalogue.CHANNELS])
_METHODS = pool([f'{{"method":"{name}"}}' for name in ("phone", "email", "google")])
_PATHS = pool(catalogue.PATHS)
_STATUSES = np.array([200, 201, 400, 401, 404, 429, 500, 502, 503], dtype=np.int64)
_STATUS_WEIGHTS = (0.80, 0.17, 0.006, 0.007, 0.008, 0.004, 0.0025, 0.0012, 0.0013)
_VERSION_DAYS = 9  # a new minor version that often


class Signals:
    """Turns what people do on a day into app events."""

    def __init__(self, calendar: Calendar, people: People, events: EventBuffer) -> None:
        self._calendar = calendar
        self._people = people
        self._events = events

    def visits(self, day: int, arrivals: Arrivals, rng: np.random.Generator) -> None:
        """Openings without an account, and the sign-ups that end some of them."""
        visitors = arrivals.visitors
        count = len(arrivals.visit_us)
        self._events.add(
            "app_opened",
            arrivals.visit_us,
            person=np.full(count, NOBODY, dtype=np.int64),
            anonymous=visitors.anonymous,
            platform=visitors.platform,
            version=self._versions(day, rng, count),
            region=visitors.region,
            properties=take(_REFERRERS, visitors.channel),
        )
        rows = arrivals.signed_up
        people = self._people
        self._events.add(
            "signup_completed",
            people.created_us[rows] + rng.integers(80, 900, len(rows)) * 1_000,
            person=rows,
            anonymous=people.anonymous[rows],
            platform=people.platform[rows],
            version=self._versions(day, rng, len(rows)),
            region=people.region[rows],
            properties=take(_METHODS, rng.integers(0, 3, len(rows))),
        )

    def sessions(self, day: int, sessions: Sessions, rng: np.random.Generator) -> None:
        """Openings, log-ins, screens, features, settings and the requests behind them."""
        count = len(sessions)
        every = np.arange(count, dtype=np.int64)
        version = self._versions(day, rng, count)
        reports_device = rng.random(count) < 0.6
        opens = every[~sessions.is_first]
        logs_in = rng.random(len(opens)) < 0.22
        # Who must log in is not known to the app when it opens.
        unknown = np.zeros(count, dtype=np.bool_)
        unknown[opens[logs_in]] = True

        def add(
            name: str, which: Ints, after_us: Ints, properties: pa.Array | str, hidden: Bools | None
        ) -> None:
            person = sessions.person[which]
            device = self._people.anonymous[person]
            reports = reports_device[which]
            if hidden is not None:
                reports = reports | hidden
            self._events.add(
                name,
                sessions.start_us[which] + after_us,
                person=person if hidden is None else np.where(hidden, NOBODY, person),
                anonymous=np.where(reports, device, NOBODY),
                platform=sessions.platform[which],
                version=version[which],
                region=self._regions(person, rng),
                properties=properties,
            )

        zero = np.zeros(count, dtype=np.int64)
        add("app_opened", opens, zero[opens], "{}", unknown[opens])
        entered = opens[logs_in]
        add("login", entered, rng.integers(2_000, 9_000, len(entered)) * 1_000, "{}", None)
        for name, mean, chance in (
            ("screen_viewed", 1.3, None),
            ("feature_used", 0.95, None),
            ("api_request", 1.2, None),
            ("settings_changed", None, 0.02),
        ):
            repeat = rng.poisson(mean, count) if mean else (rng.random(count) < (chance or 0)) * 1
            which = np.repeat(every, repeat)
            spent = rng.random(len(which)) * sessions.length_us[which]
            after = np.maximum(spent.astype(np.int64), 9_500_000)
            add(name, which, after, self._properties(name, len(which), rng), None)

    def clicks(self, day: int, talks: Talks, lines: Lines, rng: np.random.Generator) -> None:
        """The send button, in the apps that have one; half a second before the message."""
        asked = np.flatnonzero(lines.role == USER)
        platform = talks.platform[lines.talk[asked]]
        shown = asked[(platform != 0) & (rng.random(len(asked)) < 0.55)]
        person = talks.person[lines.talk[shown]]
        self._events.add(
            "message_sent_click",
            lines.sent_us[shown] - rng.integers(120, 700, len(shown)) * 1_000,
            person=person,
            anonymous=np.full(len(shown), NOBODY, dtype=np.int64),
            platform=talks.platform[lines.talk[shown]],
            version=self._versions(day, rng, len(shown)),
            region=self._regions(person, rng),
        )

    def checkouts(self, day: int, checkouts: Checkouts, rng: np.random.Generator) -> None:
        """Checkouts, as the web and the apps report them."""
        count = len(checkouts.person)
        self._events.add(
            "checkout_started",
            checkouts.at_us,
            person=checkouts.person,
            anonymous=self._people.anonymous[checkouts.person],
            platform=self._people.platform[checkouts.person],
            version=self._versions(day, rng, count),
            region=self._people.region[checkouts.person],
            properties=take(_CHECKOUTS, checkouts.plan),
        )

    def pushes(self, day: int, rng: np.random.Generator) -> None:
        """Notifications, also to those who have stopped coming."""
        people = self._people
        reached = (people.status == ACTIVE) & (people.created_day < day)
        rows = np.flatnonzero(reached & (rng.random(len(people)) < 0.06)).astype(np.int64)
        count = len(rows)
        self._events.add(
            "push_received",
            self._calendar.moments(day, rng, count),
            person=rows,
            anonymous=people.anonymous[rows],
            platform=people.platform[rows],
            version=self._versions(day, rng, count),
            region=people.region[rows],
            properties=take(_CAMPAIGNS, rng.integers(0, len(catalogue.CAMPAIGNS), count)),
        )

    def undocumented(
        self, day: int, sessions: Sessions, share: float, rng: np.random.Generator
    ) -> None:
        """Events that somebody added without telling the tracking plan."""
        rows = np.flatnonzero(rng.random(len(sessions)) < share)
        for name in UNDOCUMENTED:
            which = rows[rng.random(len(rows)) < 0.7]
            person = sessions.person[which]
            self._events.add(
                name,
                sessions.start_us[which] + rng.integers(1_000, 60_000, len(which)) * 1_000,
                person=person,
                anonymous=np.full(len(which), NOBODY, dtype=np.int64),
                platform=sessions.platform[which],
                version=self._versions(day, rng, len(which)),
                region=self._people.region[person],
                properties='{"variant":"b"}',
            )

    def _properties(self, name: str, count: int, rng: np.random.Generator) -> pa.Array:
        if name == "screen_viewed":
            return take(_SCREENS, rng.integers(0, len(catalogue.SCREENS), count))
        if name == "feature_used":
            return take(_FEATURES, choose(rng, catalogue.FEATURE_WEIGHTS, count))
        if name == "settings_changed":
            return take(_SETTINGS, rng.integers(0, len(catalogue.SETTINGS), count))
        latency = np.exp(rng.normal(np.log(110), 0.6, count)).clip(8, 29_000).astype(np.int64)
        status = _STATUSES[choose(rng, _STATUS_WEIGHTS, count)]
        path = take(_PATHS, rng.integers(0, len(catalogue.PATHS), count))
        return join(
            '{"latency_ms":', text(latency), ',"path":"', path, '","status":', text(status), "}"
        )

    def _versions(self, day: int, rng: np.random.Generator, count: int) -> Codes:
        newest = (day + WARM_UP_DAYS) // _VERSION_DAYS
        return (newest - rng.geometric(0.6, count) + 1).clip(0)

    def _regions(self, person: Ints, rng: np.random.Generator) -> Codes:
        """Where people are: at home, sometimes elsewhere, sometimes not told."""
        count = len(person)
        draw = rng.random(count)
        away = choose(rng, catalogue.REGION_WEIGHTS, count)
        home = self._people.region[person]
        return np.select([draw < 0.01, draw < 0.03], [np.full(count, NOBODY), away], home)

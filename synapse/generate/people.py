"""People: visitors who sign up (or never do), and the state that accounts carry from day to day."""

from dataclasses import dataclass, field, fields

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.calendar import DAY_US, SECOND_US, WARM_UP_DAYS, Calendar
from synapse.generate.frames import (
    Bools,
    Codes,
    Floats,
    Ints,
    integers,
    join,
    padded,
    pool,
    take,
    text,
    timestamps,
)
from synapse.generate.hazards import Rates

FIRST_USER_ID = 1_001
ACTIVE, SUSPENDED, SOFT_DELETED, GONE = range(4)
"""Status codes; GONE is a row deleted from the source."""

_FIRST = pool(catalogue.FIRST_NAMES)
_LAST = pool(catalogue.LAST_NAMES)
_ASCII = str.maketrans("áâãçéêíóôõúÁÂÃÇÉÊÍÓÔÕÚ", "aaaceeiooouAAACEEIOOOU")
_MAIL_FIRST = pool([name.translate(_ASCII).lower() for name in catalogue.FIRST_NAMES])
_MAIL_LAST = pool([name.translate(_ASCII).lower() for name in catalogue.LAST_NAMES])
_DOMAINS = pool(catalogue.EMAIL_DOMAINS)
_REGIONS = pool(catalogue.REGIONS)
_LANGUAGES = pool(catalogue.LANGUAGES)
_CHANNELS = pool(catalogue.CHANNELS)
_STATUSES = pool(catalogue.USER_STATUSES)
_AREAS = np.array(catalogue.AREA_CODES, dtype=np.int64)
_LOYALTY = np.array(catalogue.CHANNEL_LOYALTY)


def choose(rng: np.random.Generator, weights: tuple[float, ...], count: int) -> Codes:
    """`count` codes drawn with the given weights."""
    steps = np.cumsum(weights) / np.sum(weights)
    return np.searchsorted(steps, rng.random(count), side="right").clip(0, len(weights) - 1)


def _ints() -> Ints:
    return np.empty(0, dtype=np.int64)


def _floats() -> Floats:
    return np.empty(0, dtype=np.float64)


def _bools() -> Bools:
    return np.empty(0, dtype=np.bool_)


@dataclass
class Rows:
    """Parallel arrays that grow together; a subclass declares them as fields."""

    def extend(self, new: "Rows") -> None:
        """Append another set of rows of the same kind."""
        for column in fields(self):
            joined = np.concatenate([getattr(self, column.name), getattr(new, column.name)])
            setattr(self, column.name, joined)

    def where(self, mask: Bools) -> None:
        """Keep the rows that the mask selects."""
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name)[mask])


@dataclass
class People(Rows):
    """State of every account ever made; the row of an account is its user_id - FIRST_USER_ID."""

    created_us: Ints = field(default_factory=_ints)
    updated_us: Ints = field(default_factory=_ints)
    created_day: Ints = field(default_factory=_ints)
    anonymous: Ints = field(default_factory=_ints)
    region: Codes = field(default_factory=_ints)
    channel: Codes = field(default_factory=_ints)
    platform: Codes = field(default_factory=_ints)
    language: Codes = field(default_factory=_ints)
    status: Codes = field(default_factory=_ints)
    first_name: Codes = field(default_factory=_ints)
    last_name: Codes = field(default_factory=_ints)
    domain: Codes = field(default_factory=_ints)
    cpf: Ints = field(default_factory=_ints)
    phone: Ints = field(default_factory=_ints)
    subscription: Ints = field(default_factory=_ints)  # row in Subscriptions, -1 = none
    rate: Floats = field(default_factory=_floats)  # chance to show up on an ordinary day
    loyalty: Floats = field(default_factory=_floats)
    internal: Bools = field(default_factory=_bools)
    engaged: Bools = field(default_factory=_bools)

    def __len__(self) -> int:
        return len(self.created_us)

    def user_id(self, rows: Ints) -> Ints:
        """user_id by row."""
        return rows + FIRST_USER_ID

    def image(self, rows: Ints) -> dict[str, pa.Array]:
        """The users rows as they stand now."""
        user_id = self.user_id(rows)
        mail = join(
            take(_MAIL_FIRST, self.first_name[rows]), ".", take(_MAIL_LAST, self.last_name[rows]),
            ".", text(user_id), "@", take(_DOMAINS, self.domain[rows]),
        )  # fmt: skip
        return {
            "user_id": integers(user_id),
            "full_name": join(
                take(_FIRST, self.first_name[rows]), " ", take(_LAST, self.last_name[rows])
            ),
            "cpf": padded(self.cpf[rows], 11),
            "email": mail,
            "phone": join("+55", text(self.phone[rows])),
            "region": take(_REGIONS, self.region[rows]),
            "country": pa.repeat("BR", len(rows)),
            "language": take(_LANGUAGES, self.language[rows]),
            "acquisition_channel": take(_CHANNELS, self.channel[rows]),
            "status": take(_STATUSES, self.status[rows]),
            "is_internal": pa.array(self.internal[rows]),
            "created_at": timestamps(self.created_us[rows]),
            "updated_at": timestamps(self.updated_us[rows]),
        }


@dataclass
class Visitors(Rows):
    """People without an account who are expected to open the app (again) on a day."""

    due_day: Ints = field(default_factory=_ints)
    anonymous: Ints = field(default_factory=_ints)
    region: Codes = field(default_factory=_ints)
    channel: Codes = field(default_factory=_ints)
    platform: Codes = field(default_factory=_ints)
    signs_up: Bools = field(default_factory=_bools)


@dataclass(frozen=True)
class Arrivals:
    """What a day brought: visits without an account, and the rows of the accounts made."""

    visit_us: Ints
    visitors: Visitors
    signed_up: Ints


def cpfs(rng: np.random.Generator, count: int, mistyped: float) -> Ints:
    """Taxpayer numbers with valid check digits, but for a share with a wrong last digit."""
    body = rng.integers(0, 10, (count, 9))
    first = (body * np.arange(10, 1, -1)).sum(axis=1) * 10 % 11 % 10
    ten = np.column_stack([body, first])
    second = (ten * np.arange(11, 1, -1)).sum(axis=1) * 10 % 11 % 10
    second = np.where(rng.random(count) < mistyped, (second + 1) % 10, second)
    powers = 10 ** np.arange(10, 0, -1)
    return np.asarray((ten * powers).sum(axis=1) + second, dtype=np.int64)


def phones(rng: np.random.Generator, region: Codes) -> Ints:
    """Mobile numbers (area code, 9, eight digits) of the region."""
    return _AREAS[region] * 10**9 + 9 * 10**8 + rng.integers(10**7, 10**8, len(region))


class Growth:
    """Brings visitors and new accounts, day by day."""

    def __init__(self, calendar: Calendar, users: int, rates: Rates) -> None:
        self.people = People()
        self._calendar = calendar
        self._users = users
        self._rates = rates
        self._waiting = Visitors()
        self._next_anonymous = 0

    def day(self, day: int, rng: np.random.Generator) -> Arrivals:
        """Visits and sign-ups of a day; new accounts are added to `people`."""
        today = self._visitors(day, rng)
        visit_us = self._calendar.moments(day, rng, len(today.due_day))
        rows = self._sign_up(day, rng, today, visit_us)
        return Arrivals(visit_us, today, rows)

    def _visitors(self, day: int, rng: np.random.Generator) -> Visitors:
        count = int(rng.poisson(self._calendar.signups_expected(day, self._users) / 0.5))
        signs_up = rng.random(count) < 0.5
        later = rng.random(count) < 0.2  # a second visit: to sign up after all, or only to look
        lag = rng.integers(1, 7, count)
        fresh = Visitors(
            due_day=np.full(count, day, dtype=np.int64),
            anonymous=self._next_anonymous + np.arange(count, dtype=np.int64),
            region=choose(rng, catalogue.REGION_WEIGHTS, count),
            channel=choose(rng, catalogue.CHANNEL_WEIGHTS, count),
            platform=choose(rng, catalogue.PLATFORM_WEIGHTS, count),
            signs_up=signs_up & ~later,
        )
        self._next_anonymous += count
        due = Visitors(**vars(self._waiting))
        due.where(self._waiting.due_day == day)
        self._waiting.where(self._waiting.due_day > day)
        back = Visitors(**vars(fresh))
        back.due_day = day + lag
        back.signs_up = signs_up
        back.where(later)
        self._waiting.extend(back)
        fresh.extend(due)
        return fresh

    def _sign_up(
        self, day: int, rng: np.random.Generator, visitors: Visitors, visit_us: Ints
    ) -> Ints:
        who = np.flatnonzero(visitors.signs_up)
        count = len(who)
        thinking = np.exp(rng.normal(np.log(240), 0.9, count)).clip(20, 10_800) * SECOND_US
        # Nobody signs up across midnight: an account's first day is the day of its visit.
        latest = self._calendar.start_us(day) + DAY_US - rng.integers(5, 90, count) * SECOND_US
        created = np.minimum(visit_us[who] + thinking.astype(np.int64), latest)
        created = np.maximum(created, np.minimum(visit_us[who] + SECOND_US, latest))
        order = np.argsort(created, kind="stable")
        who, created = who[order], created[order]
        region, channel = visitors.region[who], visitors.channel[who]
        anonymous = visitors.anonymous[who].copy()
        known = len(self.people)
        if known:  # one device in a hundred is shared: its id is already somebody else's
            shared = np.flatnonzero(rng.random(count) < 0.01)
            anonymous[shared] = self.people.anonymous[rng.integers(0, known, len(shared))]
        self.people.extend(
            People(
                created_us=created,
                updated_us=created.copy(),
                created_day=np.full(count, day, dtype=np.int64),
                anonymous=anonymous,
                region=region,
                channel=channel,
                platform=visitors.platform[who],
                language=choose(rng, catalogue.LANGUAGE_WEIGHTS, count),
                status=np.zeros(count, dtype=np.int64),
                first_name=rng.integers(0, len(catalogue.FIRST_NAMES), count),
                last_name=rng.integers(0, len(catalogue.LAST_NAMES), count),
                domain=choose(rng, catalogue.EMAIL_DOMAIN_WEIGHTS, count),
                cpf=cpfs(rng, count, self._rates.mistyped),
                phone=phones(rng, region),
                subscription=np.full(count, -1, dtype=np.int64),
                rate=rng.beta(1.3, 3.1, count),
                loyalty=_LOYALTY[channel] * np.exp(rng.normal(0, 0.2, count)),
                # Staff were there first: the product was tried out before it was launched.
                internal=rng.random(count) < (0.02 if day < 7 - WARM_UP_DAYS else 0.004),
                engaged=np.ones(count, dtype=np.bool_),
            )
        )
        return known + np.arange(count, dtype=np.int64)

"""CDNOW: real purchases (Fader and Hardie, 2001) as bronze, and the figures published about them.

The file holds all purchases until the end of June 1998 of the people who first bought at CDNOW in
the first quarter of 1997. It comes with the PyPI package `lifetimes`; nothing else of that is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Who says so: the documentation of the CRAN package BTYD (man pages cdnowElog and cdnowSummary, and
# its data cdnowSummary$cu.tracking), of CLVTools (man page cdnow), and Fader and Hardie's notes
# on the master data set (brucehardie.com/notes/026).
CUSTOMERS = 23_570
TRANSACTIONS = 69_659
SAMPLE_CUSTOMERS = 2_357
SAMPLE_TRANSACTIONS = 6_919
SAMPLE_PURCHASE_DAYS = 6_696  # CLVTools: purchases of one day are one
FIRST_DATE, LAST_COHORT_DATE, LAST_DATE = date(1997, 1, 1), date(1997, 3, 31), date(1998, 6, 30)
CALIBRATION_WEEKS, WEEKS = 39, 78
# Cumulative repeat transactions of the sample at the end of week 1 … 78 from 1 January 1997.
SAMPLE_REPEATS_BY_WEEK = (
    0, 19, 42, 81, 119, 192, 261, 351, 428, 504, 610, 733, 828,
    914, 1005, 1078, 1149, 1222, 1286, 1359, 1414, 1484, 1517, 1573, 1672, 1746,
    1800, 1840, 1885, 1973, 2032, 2069, 2132, 2192, 2239, 2290, 2342, 2395, 2457,
    2507, 2563, 2612, 2671, 2718, 2803, 2864, 2923, 2968, 3038, 3104, 3153, 3183,
    3234, 3276, 3329, 3357, 3404, 3444, 3490, 3533, 3598, 3677, 3727, 3786, 3844,
    3879, 3915, 3962, 3991, 4035, 4077, 4112, 4141, 4183, 4231, 4279, 4311, 4339,
)  # fmt: skip

# 15:00 UTC is the middle of the day in every American time zone: the business date is the file's.
_NOON = time(15, 0)
PURCHASE_EVENT = "purchase_made"
_EVENTS_PER_FILE = 5_000


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the file: `transaction_id` is its number from 1; `amount_cents` of USD."""

    transaction_id: int
    customer_id: int
    day: date
    amount_cents: int

    @property
    def instant(self) -> datetime:
        """When it counts as made (UTC): the transaction number keeps instants apart."""
        return datetime.combine(self.day, _NOON) + timedelta(milliseconds=self.transaction_id)


def _file(name: str) -> Path:
    spec = find_spec("lifetimes")
    assert spec is not None, "the dev environment lacks lifetimes"
    assert spec.origin is not None, "lifetimes is installed without its files"
    return Path(spec.origin).parent / "datasets" / name


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def read_master() -> list[Purchase]:
    """Return every purchase of the master file."""
    lines = _file("CDNOW_master.txt").read_text().splitlines()
    fields = [parts for parts in map(str.split, lines) if parts and parts[0].isdigit()]
    return [
        Purchase(number, int(customer), _day(day), int(Decimal(value) * 100))
        for number, (customer, day, _cds, value) in enumerate(fields, start=1)
    ]


def read_sample_customers() -> frozenset[int]:
    """Return the master ids of the customers in the published 1/10 sample."""
    lines = _file("CDNOW_sample.txt").read_text().splitlines()
    return frozenset(int(parts[0]) for parts in map(str.split, lines) if parts)


def cumulative_repeats(days: Iterable[tuple[int, date]], weeks: int = WEEKS) -> tuple[int, ...]:
    """Return repeats by the end of each week: purchase days after a customer's first, cumulated.

    `days` holds (customer, day); purchases of one day are one, as in everything published.
    """
    distinct = set(days)
    first: dict[int, date] = {}
    for customer, day in distinct:
        first[customer] = min(day, first.get(customer, day))
    by_week = [0] * weeks
    for customer, day in distinct:
        if day > first[customer]:
            by_week[(day - FIRST_DATE).days // 7] += 1
    return tuple(sum(by_week[: week + 1]) for week in range(weeks))


def write_bronze(lake: Path) -> None:
    """Land the purchases: users as a DMS load, payments as DMS changes, purchases as app events."""
    purchases = read_master()
    _write_users(lake, purchases)
    _write_payments(lake, purchases)
    _write_events(lake, purchases)


def _write_users(lake: Path, purchases: list[Purchase]) -> None:
    first: dict[int, datetime] = {}
    for purchase in purchases:
        known = first.get(purchase.customer_id, purchase.instant)
        first[purchase.customer_id] = min(known, purchase.instant)
    ids = sorted(first)
    created = pa.array([first[key] for key in ids], pa.timestamp("us"))
    folder = lake / "bronze" / "dms" / "synapse" / "users"
    folder.mkdir(parents=True)
    # No Op column and no transfer time: the plainest full load that DMS writes.
    table = pa.table(
        {
            "user_id": pa.array(ids, pa.int64()),
            "country": pa.array(["US"] * len(ids)),
            "language": pa.array(["en-US"] * len(ids)),
            "acquisition_channel": pa.array(["organic"] * len(ids)),
            "status": pa.array(["active"] * len(ids)),
            "is_internal": pa.array([False] * len(ids)),
            "created_at": created,
            "updated_at": created,
        }
    )
    pq.write_table(table, folder / "LOAD00000001.parquet")


def _write_payments(lake: Path, purchases: list[Purchase]) -> None:
    by_month: dict[tuple[int, int], list[Purchase]] = {}
    for purchase in purchases:
        by_month.setdefault((purchase.day.year, purchase.day.month), []).append(purchase)
    root = lake / "bronze" / "dms" / "synapse" / "payments"
    for made in by_month.values():
        newest = max(purchase.instant for purchase in made)
        folder = root / f"{newest:%Y/%m/%d}"
        folder.mkdir(parents=True)
        instants = pa.array([p.instant for p in made], pa.timestamp("us"))
        table = pa.table(
            {
                "Op": pa.array(["I"] * len(made)),
                "dms_committed_at": pa.array([f"{p.instant:%Y-%m-%d %H:%M:%S.%f}" for p in made]),
                "dms_change_seq": pa.array([f"{p.transaction_id:035d}" for p in made]),
                "payment_id": pa.array([p.transaction_id for p in made], pa.int64()),
                "user_id": pa.array([p.customer_id for p in made], pa.int64()),
                "subscription_id": pa.array([None] * len(made), pa.int64()),
                "amount_cents": pa.array([p.amount_cents for p in made], pa.int64()),
                "currency": pa.array(["USD"] * len(made)),
                "status": pa.array(["paid"] * len(made)),
                "paid_at": instants,
                "created_at": instants,
                "updated_at": instants,
            }
        )
        pq.write_table(table, folder / f"{newest:%Y%m%d-%H%M%S}000.parquet")


def _write_events(lake: Path, purchases: list[Purchase]) -> None:
    root = lake / "bronze" / "kconnect" / "topics" / "app-events"
    for offset in range(0, len(purchases), _EVENTS_PER_FILE):
        batch = purchases[offset : offset + _EVENTS_PER_FILE]
        folder = root / "year=1998/month=06/day=30/hour=15"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(
                {
                    "event_id": f"cdnow-{purchase.transaction_id}",
                    "event_name": PURCHASE_EVENT,
                    "user_id": purchase.customer_id,
                    "anonymous_id": None,
                    "occurred_at": purchase.instant.isoformat(timespec="milliseconds") + "Z",
                    "platform": "web",
                    "app_version": "1.0.0",
                    "region": None,
                    "country": "US",
                    "properties": {"amount_cents": purchase.amount_cents},
                }
            )
            for purchase in batch
        ]
        (folder / f"app-events+0+{offset:010d}.json").write_text("\n".join(lines) + "\n")

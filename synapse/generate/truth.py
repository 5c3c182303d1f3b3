"""What silver and gold must come to, written beside the lake's bronze for tests to compare with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synapse.generate.calendar import DAY_US, LOCAL_OFFSET_US
from synapse.generate.dms import living
from synapse.generate.events import ACTIVE_SIGNALS, NOBODY, code, user_id_of
from synapse.generate.frames import Ints, numpy_of
from synapse.generate.landing import Arrival
from synapse.generate.tables import key_of


@dataclass(frozen=True)
class Landed:
    """Everything that had arrived when the generator stopped."""

    histories: dict[str, pa.Table]  # by table; see dms.history_schema
    events: pa.Table  # accepted events as codes; see topic_events.distinct
    event_rows: pa.Table  # the same as truth/events.parquet
    document_messages: pa.Table
    arrivals: list[Arrival]


def write(folder: Path, landed: Landed) -> dict[str, int]:
    """Write the truth; returns the number of living rows by table."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    messages = None
    for table, history in landed.histories.items():
        rows = living(history, table)
        counts[table] = len(rows)
        _write(folder / f"{table}.parquet", rows)
        _write(folder / f"history_{table}.parquet", _published(history, key_of(table)))
        if table == "messages":
            messages = rows
    assert messages is not None
    _write(folder / "events.parquet", landed.event_rows)
    _write(folder / "document_messages.parquet", landed.document_messages)
    users = landed.histories["users"]
    internal = np.unique(numpy_of(users.filter(pc.equal(users["is_internal"], True))["user_id"]))
    actives = daily_actives(messages, landed.document_messages, landed.events, internal)
    _write(folder / "daily_actives.parquet", actives)
    _write(folder / "arrivals.parquet", _arrivals(landed.arrivals))
    return counts


def daily_actives(
    messages: pa.Table, document_messages: pa.Table, events: pa.Table, internal: Ints
) -> pa.Table:
    """R2: who wrote a message or raised an active signal, by business date; no internal users."""
    dates, users = [], []
    for rows in (messages, document_messages):
        asked = rows.filter(pc.equal(rows["role"], "user"))
        dates.append(_business_day(numpy_of(asked["sent_at"].cast(pa.int64()))))
        users.append(numpy_of(asked["user_id"]))
    user = _known_user(events)
    signals = [code(name) for name in sorted(ACTIVE_SIGNALS)]
    counts = np.isin(numpy_of(events["name"]), signals) & (user >= 0)
    dates.append(_business_day(numpy_of(events["at_us"])[counts]))
    users.append(user[counts])
    # One number for (date, user) sorts far faster than pairs do; user ids stay below 2^40.
    date, who = np.divmod(np.unique((np.concatenate(dates) << 40) | np.concatenate(users)), 1 << 40)
    kept = ~np.isin(who, internal)
    return pa.table(
        {
            "activity_date": pa.array(date[kept].astype(np.int32)).cast(pa.date32()),
            "user_id": pa.array(who[kept]),
        }
    )


def _known_user(events: pa.Table) -> Ints:
    """user_id of each event, through its device where it names nobody; -1 = unknown.

    A device belongs to the person of its least (occurred_at, event_id) sighting with one.
    """
    person, device = numpy_of(events["person"]), numpy_of(events["anonymous"])
    both = np.flatnonzero((person != NOBODY) & (device != NOBODY))
    at, high, low = (numpy_of(events[name])[both] for name in ("at_us", "id_high", "id_low"))
    order = both[np.lexsort((low, high, at, device[both]))]
    seen, first = np.unique(device[order], return_index=True)
    owner = np.full(int(device.max(initial=0)) + 2, NOBODY, dtype=np.int64)
    owner[seen] = person[order[first]]
    linked = np.where(person == NOBODY, owner[device], person)
    linked = np.where((person == NOBODY) & (device == NOBODY), NOBODY, linked)
    return np.where(linked == NOBODY, -1, user_id_of(linked))


def _business_day(micros: Ints) -> Ints:
    return np.asarray((micros - LOCAL_OFFSET_US) // DAY_US, dtype=np.int64)


def _published(history: pa.Table, key: str) -> pa.Table:
    """A history with `committed_at` as a timestamp and the old key under DMS's name for it."""
    renamed = {"committed_us": "committed_at", "before_key": f"bi_{key}"}
    history = history.set_column(
        1, "committed_us", history["committed_us"].cast(pa.timestamp("us"))
    )
    return history.rename_columns([renamed.get(name, name) for name in history.schema.names])


def _arrivals(arrivals: list[Arrival]) -> pa.Table:
    rows = sorted(arrivals, key=lambda one: (one.path, one.version))
    return pa.table(
        {
            "path": [one.path for one in rows],
            "arrival_day": [one.arrival_day for one in rows],
            "version": [one.version for one in rows],
            "records": [one.records for one in rows],
            "bad_records": [len(one.bad) for one in rows],
            "bad_rules": pa.array([list(one.bad) for one in rows], pa.list_(pa.string())),
            "copy": [one.copy for one in rows],
        }
    )


def _write(path: Path, rows: pa.Table) -> None:
    pq.write_table(rows, path, compression="snappy", store_schema=False)

"""Lands five tables as AWS DMS does: a full load, then change files several times a day.

- LOAD files have a hexadecimal counter; some tables' carry `Op`, others do not; `dms_committed_at`
  is the transfer time there (the price list's task maps none).
- Change files carry `Op` first, the commit time as text, the 35-digit sequence, and for some tables
  the before image of the key (`BI_<key>`). Rows within a file are in no order.
- One table keeps milliseconds and lands them as UTC-adjusted legacy timestamps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synapse.generate.bad_records import BAD_ROW_RULES, bad_rows
from synapse.generate.calendar import HOUR_US, Calendar
from synapse.generate.frames import (
    Bools,
    Ints,
    digits,
    fixed_width,
    moment_matrix,
    moments,
    numpy_of,
)
from synapse.generate.hazards import (
    OUTAGE_HOURS,
    RELOAD_DAYS,
    RELOAD_HOUR,
    RELOADED,
    Fate,
    Fates,
    Rates,
)
from synapse.generate.landing import LandedFile
from synapse.generate.sourcelog import SourceLog, known_keys, living_rows
from synapse.generate.streams import Stream, Streams
from synapse.generate.tables import SCHEMAS, change_schema, key_of
from synapse.ingest import DMS_ROOT


@dataclass(frozen=True)
class Task:
    """How the DMS task of a table writes."""

    cuts: tuple[int, ...]  # local hours at which a change file is closed
    load_files: int
    load_has_op: bool = False
    load_has_time: bool = True
    before_image: bool = False
    legacy_milliseconds: bool = False


TASKS: Mapping[str, Task] = {
    "users": Task(cuts=(15, 21, 24), load_files=2),
    "plans": Task(cuts=(21, 24), load_files=1, load_has_time=False),
    "subscriptions": Task(cuts=(21, 24), load_files=1, load_has_op=True, before_image=True),
    "conversations": Task(cuts=(15, 21, 24), load_files=2, legacy_milliseconds=True),
    "messages": Task(cuts=(9, 15, 21, 24), load_files=11, load_has_op=True, before_image=True),
}
"""21:00 local is midnight UTC: no file spans two UTC dates, so its folder's date is its rows'."""

LOAD_HOUR = 9
"""Local hour of day 0 at which the full load reads the source; changes are captured from then."""

_OVERLAP = 6  # changes repeated by a resumed task
_DRIFT_DAY = 3  # from this day on an undeclared column lands with users
_WIDENED_DAY = 3  # until this day token_count is a 32-bit integer

_HISTORY_HEAD = pa.schema(
    [
        ("op", pa.string()),
        ("committed_us", pa.int64()),
        ("before_key", pa.int64()),
        ("seq", pa.string()),
        ("epoch", pa.int64()),
        ("arrival_day", pa.int64()),
    ]
)


def history_schema(table: str) -> pa.Schema:
    """Rows of a table's history: what silver may learn, in the order in which it counts."""
    return pa.schema([*_HISTORY_HEAD, *SCHEMAS[table]])


def encode(rows: pa.Table, *, legacy: bool = False) -> bytes:
    """Parquet bytes with fixed options: the same rows are the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        compression="snappy",
        version="1.0" if legacy else "2.6",
        coerce_timestamps="ms" if legacy else None,
        store_schema=False,
        write_statistics=True,
    )
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def sequences(committed_us: Ints, counters: Ints) -> pa.Array:
    """35 digits: YYYYMMDDhhmmss and hundredths of the commit, then a running counter."""
    stamp = moment_matrix(committed_us, " ", 3)
    head = stamp[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21]]
    return fixed_width(np.concatenate([head, digits(counters, 19)], axis=1))


def change_path(table: str, moment_us: int) -> str:
    """Path of a change file that was closed at a moment (milliseconds count)."""
    at = datetime.fromtimestamp(moment_us // 1_000 / 1_000, UTC)
    millis = moment_us // 1_000 % 1_000
    return f"{DMS_ROOT}/synapse/{table}/{at:%Y/%m/%d/%Y%m%d-%H%M%S}{millis:03d}.parquet"


def load_path(table: str, number: int) -> str:
    """Path of a LOAD file; the counter is hexadecimal."""
    return f"{DMS_ROOT}/synapse/{table}/LOAD{number:08X}.parquet"


class DmsTask:
    """The replication task of one table."""

    def __init__(
        self, table: str, calendar: Calendar, streams: Streams, rates: Rates, fates: Fates
    ) -> None:
        self.table = table
        self.history: list[pa.Table] = []
        self.log = SourceLog(table)
        self._task = TASKS[table]
        self._calendar = calendar
        self._streams = streams
        self._rates = rates
        self._fates = fates
        self._number = list(TASKS).index(table)
        self._epoch = 0
        self._forgotten: Ints = np.empty(0, dtype=np.int64)  # keys that a reload found absent
        self._captured_from = calendar.start_us(0) + LOAD_HOUR * HOUR_US

    def captured(self, changes: pa.Table) -> pa.Table:
        """The changes that the task sees: those since the full load began."""
        return changes.filter(pa.array(numpy_of(changes["committed_us"]) >= self._captured_from))

    def load(self, day: int, moment_us: int) -> list[LandedFile]:
        """A full load of the source as it stands at a moment: the next epoch."""
        self._epoch += 1
        rows = self.log.living(moment_us)
        if self._epoch > 1:
            self._forget_absent(day, moment_us, rows)
        self._remember("L", rows, moment_us, day)
        files, task = [], self._task
        bounds = np.linspace(0, len(rows), task.load_files + 1).astype(int)
        for number in range(task.load_files):
            part = rows.slice(bounds[number], bounds[number + 1] - bounds[number])
            # The task reads one file's worth after the other, some seconds each.
            began = moment_us + number * 4_000_000
            files.append(
                LandedFile(
                    path=load_path(self.table, number + 1),
                    arrival_day=day,
                    records=len(part),
                    bad=(),
                    render=partial(self._render_load, part, began),
                )
            )
        return files

    def changes(self, day: int, changes: pa.Table, seq: pa.Array) -> list[LandedFile]:
        """The files that a day's changes land in (some may arrive later), a reload included."""
        table = changes.append_column("seq", seq)
        start = self._calendar.start_us(day)
        reloads = self._rates.reloads and day in RELOAD_DAYS and self.table in RELOADED
        if not reloads:
            files, arrival = self._change_files(day, start, table)
            self._record(table, arrival)
            return files
        moment = start + RELOAD_HOUR * HOUR_US
        table = table.filter(pa.array(~_lost(table, moment)))
        files, arrival = self._change_files(day, start, table)
        split = int(np.searchsorted(numpy_of(table["committed_us"]), moment, side="left"))
        self._record(table.slice(0, split), arrival[:split])
        files += self.load(day, moment)
        self._record(table.slice(split), arrival[split:])
        return files

    def _change_files(self, day: int, start: int, table: pa.Table) -> tuple[list[LandedFile], Ints]:
        """The change files, and the day on which each change has arrived."""
        rng = self._streams.at(Stream.DMS, day * 10 + self._number)
        closes = [start + hour * HOUR_US for hour in self._task.cuts]
        fates = self._fates.of(day, len(closes))
        window = np.searchsorted(np.array(closes), numpy_of(table["committed_us"]), side="right")
        arrival = np.full(len(table), day, dtype=np.int64)
        files: list[LandedFile] = []
        for number, (close, fate) in enumerate(zip(closes, fates, strict=True)):
            rows = np.flatnonzero(window == number)
            closed = close - int(rng.integers(20, 900)) * 1_000
            shuffled = rows[rng.permutation(len(rows))]
            if len(rows) == 0:
                continue
            arrival[rows] = day + fate.delay
            if fate.overlaps:
                # The task resumed a little before the place where it had stopped.
                repeated = np.flatnonzero(window == number - 1)[-_OVERLAP:]
                arrival[repeated] = np.minimum(arrival[repeated], day + fate.delay)
                shuffled = np.concatenate([repeated, shuffled])
            files += self._files(day, closed, table.take(pa.array(shuffled)), fate)
        return files, arrival

    def _files(self, day: int, closed_us: int, rows: pa.Table, fate: Fate) -> list[LandedFile]:
        """A change file and what lands beside it: the same bytes again, or a broken file."""

        def landed(after_us: int, arrival: int, bad: tuple[str, ...], broken: bool) -> LandedFile:
            good = 0 if broken else len(rows)
            return LandedFile(
                path=change_path(self.table, closed_us + after_us),
                arrival_day=arrival,
                records=good + len(bad),
                bad=bad,
                render=partial(self._render_changes, day, rows, bool(bad), broken),
            )

        bad = BAD_ROW_RULES if fate.bad else ()
        files = [landed(0, day + fate.delay, bad, broken=False)]
        if fate.copy_delay is not None:
            files.append(landed(3_000, day + fate.copy_delay, bad, broken=False))
        if fate.corrupt:
            files.append(landed(11_000, day, ("unreadable",), broken=True))
        return files

    def _record(self, changes: pa.Table, arrival: Ints) -> None:
        head = changes.select(["op", "committed_us", "before_key", "seq"])
        epoch = np.full(len(changes), self._epoch, dtype=np.int64)
        head = head.append_column("epoch", pa.array(epoch))
        head = head.append_column("arrival_day", pa.array(arrival))
        self._append(head, changes)

    def _remember(self, op: str, rows: pa.Table, moment_us: int, day: int) -> None:
        count = len(rows)
        head = pa.table(
            {
                "op": pa.repeat(op, count),
                "committed_us": pa.repeat(moment_us, count),
                "before_key": pa.nulls(count, pa.int64()),
                "seq": pa.nulls(count, pa.string()),
                "epoch": pa.repeat(self._epoch, count),
                "arrival_day": pa.repeat(day, count),
            }
        )
        self._append(head, rows)

    def _append(self, head: pa.Table, rows: pa.Table) -> None:
        columns = [*head.columns, *rows.select(SCHEMAS[self.table].names).columns]
        schema = history_schema(self.table)
        self.history.append(pa.Table.from_arrays(columns, names=schema.names).cast(schema))

    def _forget_absent(self, day: int, moment_us: int, living: pa.Table) -> None:
        """Keys that were there once and are not in the new load: gone as of its instant."""
        key = key_of(self.table)
        known = known_keys(pa.concat_tables(self.history), self.table)
        absent = np.setdiff1d(known, np.union1d(numpy_of(living[key]), self._forgotten))
        self._forgotten = np.union1d(self._forgotten, absent)
        schema = change_schema(self.table)
        columns = [
            pa.array(absent) if name == key else pa.nulls(len(absent), kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        self._remember("A", pa.Table.from_arrays(columns, schema=schema), moment_us, day)

    def _render_load(self, rows: pa.Table, began_us: int) -> bytes:
        values = self._values(rows)
        if self._task.load_has_time:
            # A few hundred rows share a fetch, and with it the transfer time.
            moment = began_us + np.arange(len(rows), dtype=np.int64) // 400 * 1_370
            values["dms_committed_at"] = moments(moment, " ", 6)
        head = {"Op": pa.repeat("I", len(rows))} if self._task.load_has_op else {}
        return encode(pa.table({**head, **values}), legacy=self._task.legacy_milliseconds)

    def _render_changes(self, day: int, rows: pa.Table, bad: bool, broken: bool) -> bytes:
        physical = self._physical(day, rows)
        if bad and not broken:
            physical = pa.concat_tables([physical, bad_rows(physical, self.table)])
        data = encode(physical, legacy=self._task.legacy_milliseconds)
        # The upload broke off: no footer, so nobody can read it.
        return data[: len(data) * 2 // 3] if broken else data

    def _physical(self, day: int, rows: pa.Table) -> pa.Table:
        """The columns of a change file."""
        key = key_of(self.table)
        columns = {
            "Op": rows["op"],
            "dms_committed_at": moments(numpy_of(rows["committed_us"]), " ", 6),
            **self._values(rows),
            "dms_change_seq": rows["seq"],
        }
        if self._task.before_image:
            columns[f"BI_{key}"] = rows["before_key"]
        if self._rates.narrow_types and self.table == "messages" and day < _WIDENED_DAY:
            columns["token_count"] = columns["token_count"].cast(pa.int32())
        if self._rates.drift and self.table == "users" and day >= _DRIFT_DAY:
            # A column that nobody declared: the product began to ask for consent.
            columns["marketing_opt_in"] = pa.array(numpy_of(rows[key]) % 3 == 0)
        return pa.table(columns)

    def _values(self, rows: pa.Table) -> dict[str, pa.Array]:
        values: dict[str, pa.Array] = {}
        for name in SCHEMAS[self.table].names:
            column = rows[name]
            if self._task.legacy_milliseconds and pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("ms")).cast(pa.timestamp("ms", tz="UTC"))
            values[name] = column
        return values


def _lost(changes: pa.Table, reload_us: int) -> Bools:
    """Deletes of the hours before a reload: the task was down, only the reload reveals them."""
    committed = numpy_of(changes["committed_us"])
    deleted = numpy_of(pc.equal(changes["op"], "D"))
    outage = (committed >= reload_us - OUTAGE_HOURS * HOUR_US) & (committed < reload_us)
    return np.asarray(deleted & outage, dtype=np.bool_)


def stray_load(moment_us: int) -> LandedFile:
    """A full load of a table that nobody declared: it must stop nothing."""
    rows = pa.table(
        {
            "audit_id": [1, 2],
            "note": ["ligado", "desligado"],
            "dms_committed_at": moments(np.full(2, moment_us), " ", 6),
        }
    )
    return LandedFile(load_path("audit_log", 1), 0, len(rows), (), partial(encode, rows))


def arrived(history: list[pa.Table], table: str, days: int) -> pa.Table:
    """What arrived of a table's history before day `days`, in order."""
    everything = pa.concat_tables(history) if history else history_schema(table).empty_table()
    return everything.filter(pa.array(numpy_of(everything["arrival_day"]) < days)).combine_chunks()


def living(history: pa.Table, table: str) -> pa.Table:
    """The living rows after a history, by key, declared columns only."""
    return history.take(living_rows(history, table)).select(SCHEMAS[table].names)

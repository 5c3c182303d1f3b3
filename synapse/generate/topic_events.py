"""The topic app-events: the day's events as records, and their truth."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synapse.generate import catalogue
from synapse.generate.bad_records import bad_events
from synapse.generate.calendar import DAY_US, HOUR_US, Calendar
from synapse.generate.events import EVENT_NAMES, NOBODY, anonymous_text, code, user_id_of
from synapse.generate.frames import (
    Bools,
    Ints,
    join,
    moments,
    numpy_of,
    pool,
    scramble,
    take,
    text,
    uuids,
)
from synapse.generate.hazards import Fate, Fates, Rates
from synapse.generate.kafka import Segment
from synapse.generate.landing import LandedFile
from synapse.generate.streams import Stream, Streams

TOPIC = "app-events"
_PARTITIONS = 2
_SLOTS = 4  # files a day and partition
_SLOT_US = DAY_US // _SLOTS
_NAMES = pool(EVENT_NAMES)
_PLATFORMS = pool(catalogue.PLATFORMS)
_VERSIONS = pool(catalogue.VERSIONS)
_REGIONS = pool([f'"{name}"' for name in catalogue.REGIONS] + ["null"])
_BARE = (code("login"), code("message_sent_click"))  # sent without a properties member


@dataclass
class EventTopic:
    """Writes app events and remembers every delivery."""

    calendar: Calendar
    streams: Streams
    rates: Rates
    fates: Fates
    deliveries: list[pa.Table] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=lambda: [0] * _PARTITIONS)
    _ordinal: int = 0
    _again: list[pa.Table] = field(default_factory=list)  # to be delivered again tomorrow

    def day(self, day: int, events: pa.Table) -> list[LandedFile]:
        """The files of a day's events (in order of time).

        The connector was started on day 0 and found the warm-up's records in the topic: they land
        then, one file a day and partition, before anything new.
        """
        rng = self.streams.at(Stream.EVENT_IDS, day)
        count = len(events)
        ids = rng.integers(0, 2**64, (2, count), dtype=np.uint64)
        ordinal = self._ordinal + np.arange(count, dtype=np.int64)
        self._ordinal += count
        records = events
        for name, values in (
            ("id_high", ids[0]), ("id_low", ids[1]), ("ordinal", ordinal),
            ("written_us", numpy_of(events["at_us"])),
        ):  # fmt: skip
            records = records.append_column(name, pa.array(values))
        if day < 0:
            return self._land(day, records, [Fate()] * (_PARTITIONS * _SLOTS))
        fates = self.fates.of(day, _PARTITIONS * _SLOTS)
        again = self._redelivered(day, records, fates)
        if len(again):
            records = pa.concat_tables([records, again]).combine_chunks()
        return self._land(day, records, fates)

    def _redelivered(self, day: int, records: pa.Table, fates: list[Fate]) -> pa.Table:
        """Records whose producer did not hear the answer: sent again hours later, at a new offset.

        Where a file is late, its first record is sent again on the same day, so that the delivery
        which counts (the least offset) is not the one that is seen first.
        """
        kept, self._again = self._again, []
        if not self.rates.redelivered:
            return records.slice(0, 0)
        rng = self.streams.at(Stream.KAFKA, day)
        start = self.calendar.start_us(day)
        group = _group(records, start)
        chosen = rng.random(len(records)) < self.rates.redelivered
        late = [number for number, fate in enumerate(fates) if fate.delay]
        _, first = np.unique(group, return_index=True)
        chosen[first[np.isin(group[first], late)]] = True
        rows = np.flatnonzero(chosen)
        # One slot later at least: never in the file of the first delivery.
        wait = _SLOT_US + rng.integers(0, _SLOT_US, len(rows))
        written = numpy_of(records["at_us"])[rows] + wait
        version = numpy_of(records["version"])[rows]
        differs = rng.random(len(rows)) < self.rates.conflicting
        version = np.where(differs, (version + 1) % len(catalogue.VERSIONS), version)
        again = records.take(rows)
        for name, values in (("written_us", written), ("version", version)):
            again = again.set_column(again.schema.get_field_index(name), name, pa.array(values))
        tomorrow = written >= start + DAY_US
        self._again = [again.filter(pa.array(tomorrow))]
        return pa.concat_tables([*kept, again.filter(pa.array(~tomorrow))])

    def _land(self, day: int, records: pa.Table, fates: list[Fate]) -> list[LandedFile]:
        landed = max(day, 0)
        start = self.calendar.start_us(landed)
        group = _group(records, start)
        order = np.lexsort((numpy_of(records["written_us"]), group))
        sorted_group = group[order]
        offset = np.empty(len(records), dtype=np.int64)
        arrival = np.empty(len(records), dtype=np.int64)
        lines = _Lines(records, order)
        files: list[LandedFile] = []
        edges = np.flatnonzero(np.diff(sorted_group, prepend=-1, append=-1))
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            number = int(sorted_group[first])
            partition, slot = divmod(number, _SLOTS)
            fate, begins = fates[number], self._offsets[partition]
            bad = bad_events(landed, number) if fate.bad else []
            segment = Segment(
                topic=TOPIC,
                day=landed,
                flushed_us=start + (slot + 1) * _SLOT_US,
                partition=partition,
                offset=begins,
                records=last - first,
                lines=partial(lines.bytes, first),
                bad=bad,
            )
            files += segment.files(fate)
            offset[first:last] = begins + np.arange(last - first)
            seen = fate.delay if fate.copy_delay is None else min(fate.delay, fate.copy_delay)
            arrival[first:last] = landed + fate.delay
            arrival[first + (last - first) // 2 : last] = landed + seen
            self._offsets[partition] += last - first + len(bad)
        back = np.argsort(order)  # to the order of the records: by ordinal, the repeated ones last
        for name, values in (("partition", group // _SLOTS), ("offset", offset[back])):
            records = records.append_column(name, pa.array(values))
        self.deliveries.append(records.append_column("arrival_day", pa.array(arrival[back])))
        return files


def _group(records: pa.Table, start_us: int) -> Ints:
    """Number of the day's file that a record goes into: partition, then time."""
    slot = np.maximum(numpy_of(records["written_us"]) - start_us, 0) // _SLOT_US
    return _partition(records) * _SLOTS + np.asarray(slot, dtype=np.int64)


def _partition(records: pa.Table) -> Ints:
    """Records are keyed by person, else by device."""
    person, device = numpy_of(records["person"]), numpy_of(records["anonymous"])
    key = np.where(person == NOBODY, device + 10**9, person)
    return np.asarray(scramble(key, 5) % np.uint64(_PARTITIONS), dtype=np.int64)


class _Lines:
    """The JSON lines of a day's records, made when the first file is written."""

    def __init__(self, records: pa.Table, order: Ints) -> None:
        self._records = records
        self._order = order
        self._rendered: tuple[bytes, Ints] | None = None

    def bytes(self, base: int, first: int, last: int) -> bytes:
        """Records first (included) to last (not included), counted from `base`."""
        if self._rendered is None:
            lines = render(self._records).take(pa.array(self._order))
            offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)[: len(lines) + 1]
            self._rendered = lines.buffers()[2].to_pybytes(), offsets.astype(np.int64)
        data, ends = self._rendered
        return data[ends[base + first] : ends[base + last]]


def render(records: pa.Table) -> pa.Array:
    """One line of JSON, with its newline, for each record."""
    person, name = numpy_of(records["person"]), numpy_of(records["name"])
    at, platform = numpy_of(records["at_us"]), numpy_of(records["platform"])
    region = numpy_of(records["region"])
    anonymous = numpy_of(records["anonymous"])
    user = text(user_id_of(person))
    # The web client sends ids as text for one person in nine; nobody is null.
    quoted = (platform == 1) & (person % 9 == 0)
    mark = pool(["", '"']).take(pa.array(np.where(quoted & (person != NOBODY), 1, 0)))
    user = join(mark, _where(person == NOBODY, "null", user), mark)
    device = join('"', anonymous_text(anonymous).fill_null(""), '"')
    device = _where(anonymous == NOBODY, "null", device)
    # Phones report local time with its offset; everything else reports UTC.
    local = platform >= 2
    stamp = moments(np.where(local, at - 3 * HOUR_US, at), "T", 3)
    zone = pool(["Z", "-03:00"]).take(pa.array(local.astype(np.int64)))
    properties = join(',"properties":', records["properties"].combine_chunks())
    properties = _where(np.isin(name, _BARE), "", properties)
    where = np.where(region < 0, len(catalogue.REGIONS), region)
    return join(
        '{"event_id":"', uuids(numpy_of(records["id_high"]), numpy_of(records["id_low"])),
        '","event_name":"', take(_NAMES, name), '","user_id":', user, ',"anonymous_id":', device,
        ',"occurred_at":"', stamp, zone, '","platform":"', take(_PLATFORMS, platform),
        '","app_version":"', take(_VERSIONS, numpy_of(records["version"])),
        '","region":', take(_REGIONS, where), ',"country":"BR"', properties, "}\n",
    )  # fmt: skip


def _where(condition: Bools, value: str, otherwise: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(condition), pa.scalar(value), otherwise)


def distinct(deliveries: list[pa.Table], days: int) -> pa.Table:
    """The accepted events: of what arrived before day `days`, the least offset of each."""
    everything = pa.concat_tables(deliveries)
    everything = everything.filter(pa.array(numpy_of(everything["arrival_day"]) < days))
    ordinal = numpy_of(everything["ordinal"])
    if (np.diff(ordinal) > 0).all():  # nothing was delivered twice
        return everything.combine_chunks()
    order = np.lexsort((numpy_of(everything["offset"]), numpy_of(everything["partition"]), ordinal))
    first = np.diff(ordinal[order], prepend=-1) != 0
    return everything.combine_chunks().take(pa.array(order[first]))


def truth(events: pa.Table) -> pa.Table:
    """The columns of truth/events.parquet."""
    person, region = numpy_of(events["person"]), numpy_of(events["region"])
    nobody = person == NOBODY
    return pa.table(
        {
            "event_id": uuids(numpy_of(events["id_high"]), numpy_of(events["id_low"])),
            "event_name": take(_NAMES, numpy_of(events["name"])),
            "user_id": pa.array(user_id_of(person), mask=nobody),
            "anonymous_id": anonymous_text(numpy_of(events["anonymous"])),
            "occurred_at": pa.array(numpy_of(events["at_us"])).cast(pa.timestamp("us")),
            "platform": take(_PLATFORMS, numpy_of(events["platform"])),
            "app_version": take(_VERSIONS, numpy_of(events["version"])),
            "region": take(pool(catalogue.REGIONS), region),
            "country": pa.repeat("BR", len(events)),
            "properties": events["properties"],
        }
    )

"""The topic app-events: the day's events as records, and their truth."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.calendar import HOUR_US, Calendar
from synapse.generate.events import EVENT_NAMES, NOBODY, anonymous_text, code, user_id_of
from synapse.generate.frames import Ints, join, moments, numpy_of, pool, scramble, take, text, uuids
from synapse.generate.kafka import topic_path
from synapse.generate.landing import LandedFile
from synapse.generate.streams import Stream, Streams

TOPIC = "app-events"
_PARTITIONS = 2
_FLUSH_HOURS = 3
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
    deliveries: list[pa.Table] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=lambda: [0] * _PARTITIONS)
    _ordinal: int = 0

    def day(self, day: int, events: pa.Table) -> list[LandedFile]:
        """The files of a day's events (in order of time)."""
        rng = self.streams.at(Stream.EVENT_IDS, day)
        count = len(events)
        ids = rng.integers(0, 2**64, (2, count), dtype=np.uint64)
        records = events.append_column("id_high", pa.array(ids[0]))
        records = records.append_column("id_low", pa.array(ids[1]))
        ordinal = self._ordinal + np.arange(count, dtype=np.int64)
        records = records.append_column("ordinal", pa.array(ordinal))
        self._ordinal += count
        return self._land(day, records)

    def _land(self, day: int, records: pa.Table) -> list[LandedFile]:
        at = numpy_of(records["at_us"])
        start = self.calendar.start_us(day)
        slot = (at - start) // (_FLUSH_HOURS * HOUR_US)
        partition = _partition(records)
        order = np.lexsort((at, slot, partition))
        records, slot, partition = records.take(order), slot[order], partition[order]
        records = records.combine_chunks()
        offset = np.empty(len(records), dtype=np.int64)
        for number in range(_PARTITIONS):
            rows = np.flatnonzero(partition == number)
            offset[rows] = self._offsets[number] + np.arange(len(rows))
            self._offsets[number] += len(rows)
        arrival = np.full(len(records), day, dtype=np.int64)
        lines = _Lines(records)
        files = []
        group = partition * 24 + slot
        edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            flushed = start + (int(slot[first]) + 1) * _FLUSH_HOURS * HOUR_US
            path = topic_path(TOPIC, flushed, int(partition[first]), int(offset[first]))
            files.append(
                LandedFile(path, day, last - first, 0, lambda f=first, n=last: lines.bytes(f, n))
            )
        for name, values in (("partition", partition), ("offset", offset), ("arrival_day", arrival)):
            records = records.append_column(name, pa.array(values))
        self.deliveries.append(records)
        return files


def _partition(records: pa.Table) -> Ints:
    """Records are keyed by person, else by device."""
    person, device = numpy_of(records["person"]), numpy_of(records["anonymous"])
    key = np.where(person == NOBODY, device + 10**9, person)
    return np.asarray(scramble(key, 5) % np.uint64(_PARTITIONS), dtype=np.int64)


class _Lines:
    """The JSON lines of a day's records, made when the first file is written."""

    def __init__(self, records: pa.Table) -> None:
        self._records = records
        self._rendered: tuple[bytes, Ints] | None = None

    def bytes(self, first: int, last: int) -> bytes:
        """Records first (included) to last (not included)."""
        if self._rendered is None:
            lines = render(self._records)
            offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)[: len(lines) + 1]
            self._rendered = lines.buffers()[2].to_pybytes(), offsets.astype(np.int64)
        data, ends = self._rendered
        return data[ends[first] : ends[last]]


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


def _where(condition: np.ndarray, value: str, otherwise: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(pa.array(condition), pa.scalar(value), otherwise)


def distinct(deliveries: list[pa.Table], days: int) -> pa.Table:
    """The accepted events: what arrived before day `days`, least (partition, offset) of an event."""
    everything = pa.concat_tables(deliveries)
    everything = everything.filter(numpy_of(everything["arrival_day"]) < days)
    ordinal = numpy_of(everything["ordinal"])
    order = np.lexsort(
        (numpy_of(everything["offset"]), numpy_of(everything["partition"]), ordinal)
    )
    first = np.diff(ordinal[order], prepend=-1) != 0
    return everything.take(order[first]).combine_chunks()


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

"""Lands topics as the Kafka Connect S3 sink does: newline-delimited JSON by wall-clock hour."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from synapse.generate.hazards import Fate
from synapse.generate.landing import BadRecord, LandedFile
from synapse.ingest import TOPICS_ROOT


def topic_path(topic: str, flushed_us: int, partition: int, offset: int) -> str:
    """Path of a file whose last record was written just before `flushed_us`."""
    at = datetime.fromtimestamp(flushed_us / 1_000_000 - 1, UTC)
    folder = f"year={at:%Y}/month={at:%m}/day={at:%d}/hour={at:%H}"
    return f"{TOPICS_ROOT}/{topic}/{folder}/{topic}+{partition}+{offset:010d}.json"


@dataclass(frozen=True)
class Segment:
    """Consecutive records of a partition that are flushed into one file."""

    topic: str
    day: int
    flushed_us: int
    partition: int
    offset: int  # of the first record
    records: int  # good ones; the bad ones follow them
    lines: Callable[[int, int], bytes]  # good records first (included) to last (not included)
    bad: Sequence[BadRecord] = ()

    def files(self, fate: Fate) -> list[LandedFile]:
        """The segment's file, and what lands beside it when the connector restarts.

        A restarted connector begins at the last committed offset: it writes the rest of a file
        again, under the name of the offset where it began.
        """
        suffix = ".gz" if fate.compressed else ""
        out = [self._file(0, self.day + fate.delay, suffix, self.bad)]
        if fate.copy_delay is not None and self.records > 1:
            begins = self.records // 2
            out.append(self._file(begins, self.day + fate.copy_delay, "", ()))
        return out

    def _file(
        self, first: int, arrival_day: int, suffix: str, bad: Sequence[BadRecord]
    ) -> LandedFile:
        def render() -> bytes:
            data = self.lines(first, self.records) + b"".join(one.raw for one in bad)
            return gzip.compress(data, mtime=0) if suffix else data

        path = topic_path(self.topic, self.flushed_us, self.partition, self.offset + first)
        return LandedFile(
            path=path + suffix,
            arrival_day=arrival_day,
            records=self.records - first + len(bad),
            bad=tuple(one.rule for one in bad),
            render=render,
        )

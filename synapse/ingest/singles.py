"""Files of one record each, as a sink with flush.size=1 writes them: a job of them at a time.

Column by column, because there are millions and Python takes longer to make an object for each than
to parse it. A job in which one record is anything but plain and right is left to the general way
(reading.py), which looks at each and says what is wrong with it: the rows are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import repeat

import orjson

from synapse.ingest.consolidate import Converter, Origins
from synapse.ingest.model import BronzeFile, Marks, State
from synapse.ingest.records import kafka_identities
from synapse.ingest.shapes import Batch, Rowset

_SUFFIXES = (".json", ".jsonl", ".ndjson")
_loads = orjson.loads


@dataclass
class _Singles(Batch):
    """A batch of records, each of which is all that its file holds."""

    data: list[bytes] = field(default_factory=list)

    def raw(self, index: int) -> bytes:
        """The bytes of the record at that index."""
        return self.data[index]


def read_singles(
    converter: Converter, files: list[BronzeFile], data: list[bytes]
) -> tuple[Marks, list[Rowset]] | None:
    """What became of the files, and their rows; None where one of them needs a closer look."""
    paths = [file.path for file in files]
    if not all(map(str.endswith, paths, repeat(_SUFFIXES))):
        return None
    try:
        values = [
            _loads(one) for one in data if one.startswith(b"{") and one.find(b"\n", 0, -1) < 0
        ]
    except orjson.JSONDecodeError:
        return None
    count = len(files)
    if len(values) != count:
        return None
    partitions, offsets = kafka_identities(paths)
    batch = _Singles(values=values, data=data)
    rowsets = converter.well(batch, Origins(paths, [1] * count, partitions, offsets))
    if rowsets is None:
        return None
    ones = [1] * count
    marks = Marks(
        positions=list(range(count)),
        digests=[sha256(one).hexdigest() for one in data],
        states=[State.ACCEPTED.value] * count,
        landed=ones,
        accepted=ones,
        quarantined=[0] * count,
        partitions=partitions,
        offsets=offsets,
    )
    return marks, rowsets

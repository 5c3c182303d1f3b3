"""Reading the files of a topic: parsing, checking, conversion.

A job depends on nothing but its arguments and the files, so that jobs can run in other processes;
whether a file has landed before is for the caller to find out (topics.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from synapse.declarations import DmsTable, Topic
from synapse.errors import SynapseError
from synapse.ingest.consolidate import Converter, Delivery
from synapse.ingest.debezium import DebeziumShape
from synapse.ingest.model import (
    BronzeFile,
    Drift,
    Kind,
    Mark,
    Marks,
    Outcome,
    Refusal,
    State,
    Unit,
)
from synapse.ingest.records import (
    MOST_RECORDS,
    LargeError,
    Records,
    UnreadableError,
    kafka_identity,
    split,
    unzip,
)
from synapse.ingest.shapes import ConversationShape, EventShape, Rowset, Shape
from synapse.ingest.singles import read_singles
from synapse.lake import Lake

SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_SCHEMAS = Path(__file__).parent.parent / "schemas"
_DOCUMENT_TOPIC = "conversations"
# What a job may hold once its files are unzipped; the rest of them are read in pieces.
_BYTES_UNZIPPED = 32 * 1024 * 1024
_RECORDS = 2 * MOST_RECORDS


@dataclass(frozen=True)
class ReadJob:
    """Small files of one topic."""

    lake: Lake
    target: Topic | DmsTable
    files: list[BronzeFile]

    def __reduce__(self) -> tuple[Any, ...]:
        """Column by column: file by file the journey takes three times as long."""
        return _arrived, (self.lake, self.target, *map(list, zip(*self.files, strict=True)))


def _arrived(
    lake: Lake, target: Topic | DmsTable, paths: list[str], sizes: list[int], etags: list[str]
) -> ReadJob:
    return ReadJob(lake, target, list(map(BronzeFile, paths, sizes, etags)))


@dataclass
class ReadResult:
    """What became of a job's files, and their rows. large: files that must be read in pieces."""

    marks: Marks = field(default_factory=Marks)
    tables: list[Rowset] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    large: list[BronzeFile] = field(default_factory=list)


def name_of(target: Topic | DmsTable) -> str:
    """The Kafka topic."""
    return target.topic if isinstance(target, DmsTable) else target.name


def shape_of(target: Topic | DmsTable) -> Shape:
    """How the topic's records become rows."""
    if isinstance(target, DmsTable):
        return DebeziumShape(target)
    if target.name == _DOCUMENT_TOPIC:
        return ConversationShape(target)
    return EventShape(target, _schema_of(target))


def converter_of(target: Topic | DmsTable) -> Converter:
    """What checks and converts the topic's records. Raises SynapseError without a JSON Schema."""
    return Converter(shape_of(target), _validator_of(target))


@cache  # compiled once a process, not once a job
def _validator_of(target: Topic | DmsTable) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema_of(target), validate_formats=True)


@cache
def _schema_of(target: Topic | DmsTable) -> dict[str, Any]:
    name = "cdc" if isinstance(target, DmsTable) else target.name
    file = _SCHEMAS / f"{name}.json"
    if not file.is_file():
        raise SynapseError(
            f"Topic {name} is declared but has no JSON Schema: add synapse/schemas/{name}.json, "
            "against which each of its records is checked."
        )
    schema: dict[str, Any] = orjson.loads(file.read_bytes())
    return schema


def read_files(job: ReadJob) -> ReadResult:
    """Read, check and convert the files of a job."""
    converter = converter_of(job.target)
    whole = list(job.lake.read(job.files))
    if sum(map(len, whole)) <= _BYTES_UNZIPPED:
        plain = read_singles(converter, job.files, whole)
        if plain is not None:
            return ReadResult(*plain)
    outcome_for = outcomes_of(job.target)
    result = ReadResult()
    outcomes: list[tuple[int, Outcome]] = []
    unzipped = read = 0
    for position, (file, data) in enumerate(zip(job.files, whole, strict=True)):
        outcome = outcome_for(file, sha256(data).hexdigest())
        try:
            if unzipped > _BYTES_UNZIPPED or read > _RECORDS:
                raise LargeError("the files before it were all that fits")
            records = _records_of(file, data)
        except LargeError:
            result.large.append(file)
            continue
        except UnreadableError as error:
            outcomes.append((position, outcome))
            result.refusals.append(refused_whole(outcome, str(error)))
            continue
        outcomes.append((position, outcome))
        outcome.landed = len(records.values)
        unzipped += len(records.data)
        read += outcome.landed
        converter.add(records, Delivery(outcome, 1, outcome.kafka_offset))
    result.tables = converter.take()
    result.refusals += converter.harvest.refusals
    result.drift = list(converter.harvest.drift.values())
    result.marks = Marks.of(
        [
            Mark(
                position,
                one.sha256,
                one.state.value,
                one.landed,
                one.accepted,
                one.quarantined,
                one.kafka_partition,
                one.kafka_offset,
            )
            for position, one in outcomes
        ]
    )
    return result


def outcome_of(target: Topic | DmsTable, files: list[BronzeFile], mark: Mark) -> Outcome:
    """What became of a job's file, as it was when it had been read."""
    return Outcome(
        files[mark.position],
        mark.sha256,
        target.source,
        kind_of_files(target),
        State(mark.state),
        landed=mark.landed,
        accepted=mark.accepted,
        quarantined=mark.quarantined,
        kafka_topic=name_of(target),
        kafka_partition=mark.kafka_partition,
        kafka_offset=mark.kafka_offset,
    )


def kind_of_files(target: Topic | DmsTable) -> Kind:
    """The kind of a topic's files; those of a table's Debezium topic are changes."""
    return Kind.CHANGE if isinstance(target, DmsTable) else Kind.TOPIC


def outcomes_of(target: Topic | DmsTable) -> Callable[[BronzeFile, str], Outcome]:
    """What makes, of a topic's file and its digest, all that is known before it is read.

    What the files have in common is looked up once, and all is handed over by position: there is
    one for each of millions of files.
    """
    source, kind, topic = target.source, kind_of_files(target), name_of(target)
    state = State.ACCEPTED

    def make(file: BronzeFile, digest: str) -> Outcome:
        partition, offset = kafka_identity(file.path)
        return Outcome(
            file,
            digest,
            source,
            kind,
            state,
            0,  # landed, accepted, duplicate, quarantined
            0,
            0,
            0,
            None,  # epoch and transfer times, which loads have
            None,
            None,
            topic,
            partition,
            offset,
        )

    return make


def _records_of(file: BronzeFile, data: bytes) -> Records:
    require_suffix(file)
    return split(unzip(data) if file.path.endswith(".gz") else data)


def require_suffix(file: BronzeFile) -> None:
    """Raise UnreadableError for a file whose name is none of a record file."""
    if not file.path.endswith(SUFFIXES):
        raise UnreadableError(f"the file is none of {', '.join(SUFFIXES)}")


def refused_whole(outcome: Outcome, sentence: str) -> Refusal:
    """Refuse a file as a whole: it counts as one record, and its bytes are kept (see topics.py)."""
    outcome.state = State.QUARANTINED
    outcome.landed = outcome.quarantined = 1
    outcome.accepted = 0
    return Refusal(
        source=outcome.source,
        kind=outcome.kind,
        unit=Unit.FILE,
        path=outcome.file.path,
        sha256=outcome.sha256,
        rule="readable",
        sentence=sentence,
    )

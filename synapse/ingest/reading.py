"""Reading the files of a topic: whole-file redelivery, parsing, conversion.

A job depends on nothing but its arguments and the files, so that jobs can run in other processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from synapse.declarations import DmsTable, Topic
from synapse.errors import SynapseError
from synapse.ingest.consolidate import Converter, Delivery
from synapse.ingest.debezium import DebeziumShape
from synapse.ingest.files import sha256_of
from synapse.ingest.model import BronzeFile, Harvest, Kind, Outcome, Recorded, Refusal, State, Unit
from synapse.ingest.parts import Rowset
from synapse.ingest.records import MAX_BYTES, UnreadableError, kafka_identity, split, unzip
from synapse.ingest.shapes import ConversationShape, EventShape, Shape
from synapse.ingest.store import keep_raw

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_SCHEMAS = Path(__file__).parent.parent / "schemas"
_DOCUMENT_TOPIC = "conversations"

Twins = dict[str, int]  # path -> records landed


@dataclass(frozen=True)
class ReadJob:
    """Files of one topic. Files of one name are in one job, in order of their paths.

    known: (file name, sha256) -> where that delivery landed before.
    """

    lake: Path
    target: Topic | DmsTable
    files: list[BronzeFile]
    known: Mapping[tuple[str, str], Twins] = field(default_factory=dict)
    recorded: Recorded = field(default_factory=Recorded)


@dataclass(frozen=True)
class ReadResult:
    """What became of a job's files, and their rows."""

    harvest: Harvest
    tables: list[Rowset]


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
    validator = jsonschema_rs.Draft202012Validator(_schema_of(target), validate_formats=True)
    return Converter(shape_of(target), validator)


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
    harvest = Harvest()
    seen: dict[tuple[str, str], Twins] = {}
    for file in job.files:
        if file.size <= MAX_BYTES:
            data = (job.lake / file.path).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
        else:
            data, digest = b"", sha256_of(job.lake / file.path)
        delivery = (file.name, digest)
        twins = seen.setdefault(delivery, dict(job.known.get(delivery, {})))
        if file.path in twins:
            harvest.touched.append((file, digest))
            continue
        outcome = _outcome(job.target, file, digest)
        harvest.outcomes.append(outcome)
        if twins:
            outcome.state = State.DUPLICATE
            outcome.landed = outcome.duplicate = next(iter(twins.values()))
            continue
        _read(job, converter, data, outcome, harvest)
        twins[file.path] = outcome.landed
    converter.finish()
    harvest.merge(converter.harvest)
    return ReadResult(harvest, converter.tables)


def _outcome(target: Topic | DmsTable, file: BronzeFile, digest: str) -> Outcome:
    kafka = kafka_identity(file.path)
    return Outcome(
        file=file,
        sha256=digest,
        source=target.source,
        kind=Kind.CHANGE if isinstance(target, DmsTable) else Kind.TOPIC,
        state=State.ACCEPTED,
        kafka_topic=name_of(target),
        kafka_partition=kafka.partition,
        kafka_offset=kafka.offset,
    )


def _read(
    job: ReadJob, converter: Converter, data: bytes, outcome: Outcome, harvest: Harvest
) -> None:
    path = outcome.file.path
    try:
        if not path.endswith(_SUFFIXES):
            raise UnreadableError(f"the file is none of {', '.join(_SUFFIXES)}")
        if outcome.file.size > MAX_BYTES:
            raise UnreadableError(f"the file has more than {MAX_BYTES:,} bytes")
        records = split(unzip(data) if path.endswith(".gz") else data)
    except UnreadableError as error:
        outcome.state = State.QUARANTINED
        outcome.landed = outcome.quarantined = 1
        harvest.refusals.append(_whole_file(outcome, str(error)))
        keep_raw(job.lake, path, outcome.sha256)
        return
    outcome.landed = len(records.values)
    if path in job.recorded.paths:
        # Its good records are in consolidated parts: only what was refused is taken over.
        refused = job.recorded.refusals.get(path, {})
        outcome.quarantined = len(refused)
        outcome.accepted = outcome.landed - len(refused)
        harvest.refusals += refused.values()
        return
    converter.add(records, Delivery(outcome))


def _whole_file(outcome: Outcome, sentence: str) -> Refusal:
    return Refusal(
        source=outcome.source,
        kind=outcome.kind,
        unit=Unit.FILE,
        path=outcome.file.path,
        sha256=outcome.sha256,
        rule="readable",
        sentence=sentence,
    )

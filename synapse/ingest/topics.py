"""The new files of one topic: redelivery of whole files, reading, and consolidation."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from synapse.declarations import DmsTable, Topic
from synapse.errors import SynapseError
from synapse.ingest.consolidate import Consolidator, Delivery
from synapse.ingest.debezium import DebeziumShape
from synapse.ingest.dms import sha256_of
from synapse.ingest.model import BronzeFile, Harvest, Kind, Outcome, Refusal, State, Unit
from synapse.ingest.records import MAX_BYTES, UnreadableError, kafka_identity, split, unzip
from synapse.ingest.shapes import ConversationShape, EventShape, Shape
from synapse.ingest.store import keep_raw
from synapse.ingest.work import Work

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_SCHEMAS = Path(__file__).parent.parent / "schemas"
_DOCUMENT_TOPIC = "conversations"


def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a topic. Raises SynapseError when there is none."""
    file = _SCHEMAS / f"{name}.json"
    if not file.is_file():
        raise SynapseError(
            f"Topic {name} is declared but has no JSON Schema: add synapse/schemas/{name}.json, "
            "against which each of its records is checked."
        )
    schema: dict[str, Any] = orjson.loads(file.read_bytes())
    return schema


def consolidator_of(
    work: Work, target: Topic | DmsTable, epoch: int = 1, part_id: str | None = None
) -> Consolidator:
    """What checks and writes the records of a topic, or of a table's Debezium topic."""
    shape: Shape
    if isinstance(target, DmsTable):
        name, schema, shape = target.topic, load_schema("cdc"), DebeziumShape(target)
    elif target.name == _DOCUMENT_TOPIC:
        name, schema, shape = target.name, load_schema(target.name), ConversationShape(target)
    else:
        schema = load_schema(target.name)
        name, shape = target.name, EventShape(target, schema)
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return Consolidator(work.lake, name, shape, validator, part_id or work.part_id, epoch)


def ingest_topic(work: Work, target: Topic | DmsTable, files: list[BronzeFile]) -> Harvest:
    """Deal with the new files of a topic (or of a table's Debezium topic)."""
    epoch = max((load.epoch or 1 for load in work.ledger.loads(target.source)), default=1)
    consolidator = consolidator_of(work, target, epoch)
    name = target.topic if isinstance(target, DmsTable) else target.name
    kind = Kind.CHANGE if isinstance(target, DmsTable) else Kind.TOPIC
    harvest = Harvest()
    known = _known_deliveries(work, target.source)
    for done, file in enumerate(files):
        if work.progress and done % 500 == 0:
            work.progress(f"consolidate {name}", done, len(files))
        if file.size <= MAX_BYTES:
            data = (work.lake / file.path).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
        else:
            data, digest = b"", sha256_of(work.lake / file.path)
        kafka = kafka_identity(file.path)
        outcome = Outcome(
            file=file,
            sha256=digest,
            source=target.source,
            kind=kind,
            state=State.ACCEPTED,
            kafka_topic=name,
            kafka_partition=kafka.partition,
            kafka_offset=kafka.offset,
        )
        twins = known.setdefault((file.name, digest), {})
        if file.path in twins:
            harvest.touched.append((file, digest))
            continue
        harvest.outcomes.append(outcome)
        if twins:
            outcome.state = State.DUPLICATE
            outcome.landed = outcome.duplicate = next(iter(twins.values()))
            continue
        _read(work, consolidator, data, Delivery(outcome, kafka), harvest)
        twins[file.path] = outcome.landed
    if work.progress:
        work.progress(f"consolidate {name}", len(files), len(files))
    harvest.merge(consolidator.finish())
    return harvest


def _known_deliveries(work: Work, source: str) -> dict[tuple[str, str], dict[str, int]]:
    """(file name, sha256) -> path -> records landed.

    A name carries partition and offset: the same bytes under it elsewhere are the same delivery.
    """
    known: dict[tuple[str, str], dict[str, int]] = {}
    for digest, versions in work.ledger.hashes(source, work.forget).items():
        for path, landed in versions:
            known.setdefault((path.rsplit("/", 1)[-1], digest), {})[path] = landed
    return known


def _read(
    work: Work, consolidator: Consolidator, data: bytes, delivery: Delivery, harvest: Harvest
) -> None:
    outcome = delivery.outcome
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
        keep_raw(work.lake, path, outcome.sha256)
        return
    outcome.landed = len(records.values)
    if path in work.recorded.paths:
        # Its good records are in consolidated parts: only what was refused is taken over.
        refused = work.recorded.refusals.get(path, {})
        outcome.quarantined = len(refused)
        outcome.accepted = outcome.landed - len(refused)
        harvest.refusals += refused.values()
        return
    consolidator.add(records, delivery)


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

"""Records of topic files: check each, convert it without loss, and account for it."""

from __future__ import annotations

from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import jsonschema_rs
import pyarrow as pa
import pyarrow.compute as pc

from synapse.ingest.convert import canonical_json, convert
from synapse.ingest.model import Drift, DriftKind, Harvest, Kind, Outcome, Refusal, Unit
from synapse.ingest.records import Records
from synapse.ingest.shapes import Batch, Rows, Rowset, Shape, lineage_prefix

_RECORDS_PER_BATCH = 5_000  # converted at once
_DIGEST = 32  # hexadecimal digits, 128 bits: as silver's digests (macros/dialect/text.sql)


class Delivery(NamedTuple):
    """Where records come from. first, offset: number and Kafka offset of the first of them."""

    outcome: Outcome
    first: int
    offset: int | None


class Origins(NamedTuple):
    """Where the records of files come from: path, number and Kafka identity of each first one."""

    paths: list[str]
    first: list[int]
    partitions: list[int | None]
    offsets: list[int | None]


class Converter:
    """Takes the record files of one topic and makes typed rows of them.

    Counts go to the outcome of each file, refusals and drift to `harvest`, rows to `tables`.
    """

    def __init__(self, shape: Shape, validator: jsonschema_rs.Draft202012Validator) -> None:
        self.harvest = Harvest()
        self.tables: list[Rowset] = []
        self._shape = shape
        self._validator = validator
        self._batch = Batch()
        self._deliveries: list[Delivery] = []
        self._records = 0
        self._is_cdc = shape.source.startswith("dms.")

    def add(self, records: Records, delivery: Delivery) -> None:
        """Take records of a file, in order; their number is already in outcome.landed."""
        self._batch.files.append(records)
        self._deliveries.append(delivery)
        count = len(records.values)
        delivery.outcome.accepted += count
        # A file counts as well: it may be empty.
        self._records += count or 1
        if self._records >= _RECORDS_PER_BATCH:
            self._convert()

    def _check(self) -> None:
        """Sort out the records of a batch: which of them become rows."""
        batch = self._batch
        values = list(chain.from_iterable([records.values for records in batch.files]))
        if self._are_all_well(values):
            counts = [len(records.values) for records in batch.files]
            batch.values = values
            batch.file_of = [file for file, count in enumerate(counts) for _ in range(count)]
            batch.position = [position for count in counts for position in range(count)]
            return
        for file, delivery in enumerate(self._deliveries):
            self._check_file(file, batch.files[file], delivery)

    def _are_all_well(self, values: list[Any]) -> bool:
        """Nearly every batch: no record needs a word, so none is looked at by itself."""
        return (
            not self._is_cdc
            and not any(records.errors for records in self._batch.files)
            and self._are_valid(values)
        )

    def well(self, batch: Batch, origins: Origins) -> list[Rowset] | None:
        """The rows of a batch of one record a file; None where one of them needs a word.

        Nothing is counted, and nothing of what was added before is touched.
        """
        if self._is_cdc or not self._are_valid(batch.values):
            return None
        try:
            digests = [_digest(value) for value in batch.values]
        except TypeError:
            return None
        rows = self._shape.rows(batch)
        arrays, refused = self._typed(rows)
        if refused or rows.kinds is not None:
            return None
        record = pa.array(rows.record_of, type=pa.int64())
        place = pa.repeat(pa.scalar(0, type=pa.int64()), len(record))
        lineage = self._lineage(digests, record, record, place, origins)
        return [Rowset(Kind.TOPIC, pa.table(arrays | lineage))]

    def _are_valid(self, values: list[Any]) -> bool:
        """Whether all are as their JSON Schema says, and have no field that is not declared."""
        return all(map(self._validator.is_valid, values)) and all(
            map(self._shape.fields.issuperset, values)
        )

    def _check_file(self, file: int, records: Records, delivery: Delivery) -> None:
        batch = self._batch
        is_valid, unwrap = self._validator.is_valid, self._shape.unwrap
        fields = self._shape.fields
        for position, value in enumerate(records.values):
            if position in records.errors:
                self._refuse(file, position, "readable", records.errors[position])
                continue
            proper = unwrap(value)
            if proper is None:
                continue
            if not is_valid(proper):
                self._refuse(file, position, "schema", _complaint(self._validator, proper))
                continue
            if not self._is_cdc and not value.keys() <= fields:
                self._see_drift(value.keys() - fields, delivery)
            batch.values.append(value)
            batch.file_of.append(file)
            batch.position.append(position)

    def take(self) -> list[Rowset]:
        """Convert what is left, and hand over the rows made so far."""
        self._convert()
        tables, self.tables = self.tables, []
        return tables

    def _refuse(self, file: int, position: int, rule: str, sentence: str) -> None:
        delivery, records = self._deliveries[file], self._batch.files[file]
        outcome = delivery.outcome
        outcome.accepted -= 1
        outcome.quarantined += 1
        start, end = records.spans[position]
        offset = delivery.offset
        self.harvest.refusals.append(
            Refusal(
                source=outcome.source,
                kind=outcome.kind,
                unit=Unit.RECORD,
                path=outcome.file.path,
                sha256=outcome.sha256,
                rule=rule,
                sentence=sentence,
                number=delivery.first + position,
                byte_start=records.start + start,
                byte_end=records.start + end,
                payload=records.data[start:end],
                kafka_partition=outcome.kafka_partition,
                kafka_offset=None if offset is None else offset + position,
            )
        )

    def _see_drift(self, names: set[str], delivery: Delivery) -> None:
        for name in names:
            path = delivery.outcome.file.path
            self.harvest.see_drift(
                Drift(self._shape.source, name, DriftKind.UNDECLARED, "json", path)
            )

    def _convert(self) -> None:
        self._check()
        batch = self._batch
        digests = self._digests(batch)
        if batch.values:
            rows = self._shape.rows(batch)
            self._see_image_drift(batch)
            arrays, refused = self._typed(rows)
            for index, (rule, sentence) in sorted(refused.items()):
                self._refuse(batch.file_of[index], batch.position[index], rule, sentence)
            self._split_by_kind(rows, arrays | self._lineage_of(rows, digests), refused)
        self._batch = Batch()
        self._deliveries = []
        self._records = 0

    def _see_image_drift(self, batch: Batch) -> None:
        if not self._is_cdc:
            return
        for index, value in enumerate(batch.values):
            image = self._shape.unwrap(value).get("after") or {}
            if not image.keys() <= self._shape.fields:
                delivery = self._deliveries[batch.file_of[index]]
                self._see_drift(image.keys() - self._shape.fields, delivery)

    def _typed(self, rows: Rows) -> tuple[dict[str, pa.Array], dict[int, tuple[str, str]]]:
        refused = dict(rows.refused)
        arrays = {}
        for column in self._shape.columns:
            arrays[column.name], wrong = convert(rows.columns[column.name], column)
            for row, sentence in wrong.items():
                refused.setdefault(rows.record_of[row], ("column_type", sentence))
        return arrays, refused

    def _split_by_kind(
        self, rows: Rows, arrays: dict[str, pa.Array], refused: dict[int, tuple[str, str]]
    ) -> None:
        table = pa.table(arrays)
        kinds = rows.kinds or [Kind.TOPIC] * table.num_rows
        for kind in sorted(set(kinds)):
            if refused or rows.kinds is not None:
                mask = [
                    each is kind and record not in refused
                    for each, record in zip(kinds, rows.record_of, strict=True)
                ]
                self.tables.append(Rowset(kind, table.filter(pa.array(mask, type=pa.bool_()))))
            else:
                self.tables.append(Rowset(kind, table))

    def _digests(self, batch: Batch) -> list[str]:
        """The hash of each record; those that are nested too deep to be written are refused."""
        try:
            return [_digest(value) for value in batch.values]
        except TypeError:
            pass
        digests, well = [], []
        for index, value in enumerate(batch.values):
            try:
                digests.append(_digest(value))
                well.append(index)
            except TypeError:
                said = "the record is nested more than 250 levels deep"
                self._refuse(batch.file_of[index], batch.position[index], "readable", said)
        for column in (batch.values, batch.file_of, batch.position):
            column[:] = [column[index] for index in well]
        return digests

    def _lineage_of(self, rows: Rows, digests: list[str]) -> dict[str, pa.Array]:
        batch, deliveries = self._batch, self._deliveries
        record = pa.array(rows.record_of, type=pa.int64())
        file = pa.array(batch.file_of, type=pa.int64()).take(record)
        place = pa.array(batch.position, type=pa.int64()).take(record)
        origins = Origins(
            [delivery.outcome.file.path for delivery in deliveries],
            [delivery.first for delivery in deliveries],
            [delivery.outcome.kafka_partition for delivery in deliveries],
            [delivery.offset for delivery in deliveries],
        )
        return self._lineage(digests, record, file, place, origins)

    def _lineage(
        self,
        digests: list[str],
        record: pa.Array,
        file: pa.Array,
        place: pa.Array,
        origins: Origins,
    ) -> dict[str, pa.Array]:
        """Lineage of rows: of each the record, its file, and its position in that."""

        def of_file(values: list[Any], kind: pa.DataType) -> pa.Array:
            return pa.array(values, type=kind).take(file)

        # Silver names the manifest's path _source_file; Debezium parts are read as DMS files are.
        of = lineage_prefix(self._shape)
        return {
            "_kafka_partition": of_file(origins.partitions, pa.int32()),
            "_kafka_offset": pc.add(of_file(origins.offsets, pa.int64()), place),
            "_payload_hash": pa.array(digests, type=pa.string()).take(record),
            f"{of}_file": of_file(origins.paths, pa.string()),
            f"{of}_line": pc.add(of_file(origins.first, pa.int64()), place),
        }


def _digest(value: Any) -> str:
    return sha256(canonical_json(value)).hexdigest()[:_DIGEST]


def _complaint(validator: jsonschema_rs.Draft202012Validator, value: Any) -> str:
    said = []
    for error in validator.iter_errors(value):
        at = ".".join(str(step) for step in error.instance_path)
        message = error.message if len(error.message) <= 200 else error.message[:197] + "..."
        said.append(f"{at}: {message}" if at else message)
        if len(said) == 3:
            break
    return "; ".join(said)

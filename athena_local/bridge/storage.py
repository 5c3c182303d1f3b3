"""How a Hive table is stored: the formats of Athena's DDL as Glue's storage descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from athena_local.bridge.ddl_model import CreateTable
from athena_local.bridge.errors import ApiError

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"


@dataclass(frozen=True)
class _Format:
    serde: str
    input_format: str
    output_format: str


_FORMATS = {
    "TEXTFILE": _Format(_LAZY_SIMPLE, _TEXT_INPUT, _TEXT_OUTPUT),
    "PARQUET": _Format(
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    ),
    "ORC": _Format(
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
    ),
    "AVRO": _Format(
        "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
    ),
    "SEQUENCEFILE": _Format(
        _LAZY_SIMPLE,
        "org.apache.hadoop.mapred.SequenceFileInputFormat",
        "org.apache.hadoop.mapred.SequenceFileOutputFormat",
    ),
    "RCFILE": _Format(
        "org.apache.hadoop.hive.serde2.columnar.LazyBinaryColumnarSerDe",
        "org.apache.hadoop.hive.ql.io.RCFileInputFormat",
        "org.apache.hadoop.hive.ql.io.RCFileOutputFormat",
    ),
}
_STORED_BY_SERDE = {one.serde: one for one in _FORMATS.values() if one.serde != _LAZY_SIMPLE}


def descriptor(made: CreateTable) -> dict[str, Any]:
    """The `StorageDescriptor` of a Hive table.

    Raises:
        ApiError: the file format is none of Athena's.
    """
    if made.stored_as is not None and made.stored_as not in _FORMATS:
        raise ApiError(f"line 1:1: mismatched input '{made.stored_as}'. Expecting: a file format")
    if made.stored_as is not None:
        base = _FORMATS[made.stored_as]
    else:
        base = _STORED_BY_SERDE.get(made.serde or "", _FORMATS["TEXTFILE"])
    serde = made.serde or base.serde
    parameters = dict(made.serde_properties)
    parameters.setdefault("serialization.format", "1")
    return {
        "Columns": [one.for_glue() for one in made.columns],
        "Location": (made.location or "").rstrip("/"),
        "InputFormat": made.input_format or base.input_format,
        "OutputFormat": made.output_format or base.output_format,
        "Compressed": False,
        "NumberOfBuckets": made.bucket_count if made.bucketed_by else -1,
        "BucketColumns": made.bucketed_by,
        "SortColumns": [],
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
        "SkewedInfo": {
            "SkewedColumnNames": [],
            "SkewedColumnValues": [],
            "SkewedColumnValueLocationMaps": {},
        },
        "StoredAsSubDirectories": False,
    }


def table_input(made: CreateTable, created_at: int) -> dict[str, Any]:
    """What Glue registers for a Hive table; `created_at` is in seconds since 1970."""
    parameters = {
        "EXTERNAL": "TRUE",
        "transient_lastDdlTime": str(created_at),
        **made.properties,
    }
    if made.comment is not None:
        parameters["comment"] = made.comment
    return {
        "Name": made.name.table,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": [one.for_glue() for one in made.partitions],
        "StorageDescriptor": descriptor(made),
        "Owner": "hadoop",
        "Retention": 0,
    }

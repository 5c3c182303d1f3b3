"""Files as DMS and as AWS's own samples really write them load as declared tables, to silver.

The files are made here with the same physical properties: those of the one public Parquet file
that DMS itself wrote (a table of every type, from PostgreSQL), and those of AWS's sample of a
transactional lake (loads without Op and time, changes with `Op, timestamp`).
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synapse.settings import Settings
from synapse_tests.cdc_project import CdcTable, bare_project, build, declare
from synapse_tests.lakes import lake_settings

NOW = datetime(2026, 3, 10)
TYPES = {
    "id": "bigint",
    "my_int": "integer",
    "my_smallint": "integer",
    "my_numeric": "decimal(15,2)",
    "my_real": "double",
    "my_double": "double",
    "my_money": "decimal(38,4)",
    "my_varchar": "varchar",
    "my_bytea": "varchar",
    "my_timestamp": "timestamp",
    "my_uuid": "varchar",
    "my_json": "varchar",
    "my_bool": "boolean",
}
TABLES = [
    CdcTable("every_type", ["id"], TYPES, {"sequence": False, "commit_column": "DMS_TIMESTAMP"}),
    CdcTable(
        "item_data",
        ["item_id"],
        {"item_id": "bigint", "item_name": "varchar", "MultiPoints": "bigint", "dob": "date"},
        {"sequence": False, "commit_column": "timestamp"},
    ),
]
# Thrift of the Parquet footer: converted_type TIMESTAMP_MILLIS, then the newer annotation
# TIMESTAMP(MILLIS, isAdjustedToUTC) that DMS does not write and pyarrow always does.
_LEGACY = bytes.fromhex("2512")
_MODERN = bytes.fromhex("4c8c111c1c00000000")


def legacy_millis(parquet: bytes) -> bytes:
    """The same file without the modern annotation of its timestamps."""
    length = int.from_bytes(parquet[-8:-4], "little")
    body, footer = parquet[: -8 - length], parquet[-8 - length : -8]
    assert _LEGACY + _MODERN in footer
    footer = footer.replace(_LEGACY + _MODERN, _LEGACY)
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def dms_load() -> bytes:
    """A LOAD file of PostgreSQL's types as DMS writes it."""
    fields = [
        pa.field("DMS_TIMESTAMP", pa.string(), nullable=False),
        pa.field("id", pa.int64()),
        pa.field("my_int", pa.int32()),
        pa.field("my_smallint", pa.int16()),
        pa.field("my_numeric", pa.decimal128(15, 2)),
        pa.field("my_real", pa.float32()),
        pa.field("my_double", pa.float64()),
        pa.field("my_money", pa.decimal128(38, 4)),
        pa.field("my_varchar", pa.string()),
        pa.field("my_bytea", pa.binary()),
        pa.field("my_timestamp", pa.timestamp("ms", tz="UTC")),
        pa.field("my_uuid", pa.string()),
        pa.field("my_json", pa.string()),
        pa.field("my_bool", pa.bool_()),
    ]
    rows = [
        {
            "DMS_TIMESTAMP": f"2026-03-01 06:46:18.61{number:04d}",
            "id": number,
            "my_int": -(2**31),
            "my_smallint": 2**15 - 1,
            "my_numeric": Decimal("1427131847.59"),
            "my_real": 0.1,
            "my_double": 0.1,
            "my_money": Decimal("9" * 34 + ".1234"),
            "my_varchar": "",
            "my_bytea": b"\x00\xff",
            "my_timestamp": datetime(2021, 10, 31, 15, 34, 12, 458000, tzinfo=UTC),
            "my_uuid": "181e9c5d-9b55-4535-8c6e-6c8c1234b807",
            "my_json": '{"key": 1}',
            "my_bool": False,
        }
        for number in range(10)
    ]
    stream = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist(rows, pa.schema(fields)),
        stream,
        version="1.0",
        data_page_version="1.0",
        compression="none",
        use_dictionary=False,
        store_schema=False,
    )
    return legacy_millis(stream.getvalue())


def aws_sample(folder: Path) -> None:
    """A load without Op and time; changes with a real timestamp, unordered, keys repeated."""
    folder.mkdir(parents=True)
    numbers = list(range(1, 141))
    load = {
        "item_id": pa.array(numbers, pa.int64()),
        "item_name": pa.array([f"item {n}" for n in numbers]),
        "MultiPoints": pa.array(numbers, pa.int64()),
        "dob": pa.array([date(1985, 5, 21)] * len(numbers), pa.date32()),
    }
    pq.write_table(pa.table(load), folder / "LOAD00000001.parquet", compression="snappy")
    begin = datetime(2023, 8, 30, 20)
    # Key, op and seconds, in the order of the file: key 67 is updated last in its first row.
    changes = [
        (67, "U", 500),
        (141, "I", 90),
        (11, "U", 3),
        (67, "U", 9),
        (5, "D", 7),
        (67, "U", 1),
    ]
    columns = {
        "Op": pa.array([op for _, op, _ in changes]),
        "timestamp": pa.array(
            [begin + timedelta(seconds=at) for _, _, at in changes], pa.timestamp("us")
        ),
        "item_id": pa.array([key for key, _, _ in changes], pa.int64()),
        "item_name": pa.array([f"{op} at {at}" for _, op, at in changes]),
        "MultiPoints": pa.array([at for _, _, at in changes], pa.int64()),
        "dob": pa.array([date(2000, 1, 1)] * len(changes), pa.date32()),
    }
    pq.write_table(pa.table(columns), folder / "20230830-210356.parquet", compression="snappy")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("genuine")
    project = bare_project(root / "project")
    declare(project, "game", TABLES)
    lake = lake_settings(root / "lake")
    bronze = lake.lake / "bronze" / "dms" / "game"
    (bronze / "every_type").mkdir(parents=True)
    (bronze / "every_type" / "LOAD00000001.parquet").write_bytes(dms_load())
    aws_sample(bronze / "item_data")
    report = build(lake, project, NOW)
    assert (report.landed, report.accepted) == (156, 156)
    return lake


def rows(lake: Settings, query: str) -> list[tuple[Any, ...]]:
    """Return what the warehouse answers."""
    with duckdb.connect(str(lake.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_file_has_the_physical_properties_of_a_genuine_one() -> None:
    parquet = pq.ParquetFile(io.BytesIO(dms_load()))
    schema = parquet.schema
    assert (schema.column(0).max_definition_level, schema.column(0).logical_type.type) == (
        0,
        "STRING",
    )
    moment = schema.column(schema.names.index("my_timestamp"))
    assert "is_from_converted_type=true" in str(moment.logical_type)
    assert schema.column(4).physical_type == "FIXED_LEN_BYTE_ARRAY"
    chunk = parquet.metadata.row_group(0).column(1)
    assert (chunk.compression, set(chunk.encodings)) == ("UNCOMPRESSED", {"PLAIN", "RLE"})


def test_a_load_that_dms_wrote_is_in_silver_value_by_value(built: Settings) -> None:
    (row,) = rows(built, f"select {', '.join(TYPES)} from silver.stg_dms__every_type where id = 3")
    assert row == (
        *(3, -(2**31), 2**15 - 1, Decimal("1427131847.59")),
        *(pytest.approx(0.1, abs=1e-7), 0.1, Decimal("9" * 34 + ".1234"), "", "00ff"),
        datetime(2021, 10, 31, 15, 34, 12, 458000),
        *("181e9c5d-9b55-4535-8c6e-6c8c1234b807", '{"key": 1}', False),
    )
    found = rows(
        built,
        "select count(*), min(_valid_from), max(_version), bool_and(_is_current) "
        "from silver.hist_dms__every_type",
    )
    assert found == [(10, datetime(2026, 3, 1, 6, 46, 18, 610000), 1, True)]


def test_the_layout_of_the_aws_sample_is_in_silver(built: Settings) -> None:
    states = rows(
        built,
        "select item_id, item_name, _is_deleted from silver.stg_dms__item_data "
        "where _is_deleted or item_id in (11, 67, 140, 141) order by item_id",
    )
    assert states == [
        (5, "item 5", True),
        (11, "U at 3", False),
        (67, "U at 500", False),
        (140, "item 140", False),
        (141, "I at 90", False),
    ]
    history = rows(
        built,
        "select item_name, _version, _valid_to is null from silver.hist_dms__item_data "
        "where item_id = 67 order by _version",
    )
    assert [name for name, _, _ in history] == ["item 67", "U at 1", "U at 9", "U at 500"]
    assert [is_open for _, _, is_open in history] == [False, False, False, True]

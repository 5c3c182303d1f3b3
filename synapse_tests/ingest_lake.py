"""A lake in a folder of the test, and a project that declares one table and two topics."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synapse.ingest.service import IngestReport, ingest
from synapse.settings import Settings

AS_OF = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORDERS = "bronze/dms/shop/orders"
EVENTS = "bronze/kconnect/topics/app-events/year=2026/month=03/day=01/hour=00"
DOCUMENTS = "bronze/kconnect/topics/conversations/year=2026/month=03/day=01/hour=00"
CHANGES = "bronze/kconnect/topics/cdc.shop.orders/year=2026/month=03/day=01/hour=00"
REFUNDS = "bronze/kconnect/topics/cdc.shop.refunds/year=2026/month=03/day=01/hour=00"
SOURCE = "dms.shop.orders"
REFUNDS_SOURCE = "dms.shop.refunds"

DECLARATIONS = """
version: 2
sources:
  - name: dms_shop
    config: {meta: {source_schema: shop}}
    tables:
      - name: orders
        config: {meta: {cdc: {key: [order_id], sequence: true}}}
        columns:
          - {name: order_id, data_type: bigint}
          - {name: label, data_type: varchar}
          - {name: amount, data_type: "decimal(10,2)"}
          - {name: is_paid, data_type: boolean}
          - {name: due_on, data_type: date}
          - {name: weight, data_type: double}
          - {name: updated_at, data_type: timestamp}
      - name: refunds
        config: {meta: {cdc: {key: [order_id], sequence: true}}}
        columns:
          - {name: order_id, data_type: bigint}
          - {name: label, data_type: varchar}
          - {name: amount, data_type: "decimal(10,2)"}
          - {name: weight, data_type: double}
  - name: kconnect
    tables:
      - name: app_events
        config: {meta: {topic: app-events}}
        columns:
          - {name: event_id, data_type: varchar}
          - {name: event_name, data_type: varchar}
          - {name: user_id, data_type: bigint}
          - {name: occurred_at, data_type: timestamp}
          - {name: properties, data_type: varchar}
      - name: conversations
        config: {meta: {topic: conversations}}
        columns:
          - {name: conversation_id, data_type: varchar}
          - {name: user_id, data_type: bigint}
          - {name: position, data_type: integer}
          - {name: role, data_type: varchar}
          - {name: content, data_type: varchar}
          - {name: sent_at, data_type: timestamp}
          - {name: sentiment, data_type: "decimal(6,4)"}
          - {name: tags, data_type: varchar}
          - {name: created_at, data_type: timestamp}
"""


def sequence(number: int) -> str:
    """A 35-digit change sequence."""
    return f"{number:035d}"


def change(number: int, order_id: Any = 1, op: str | None = "I", **values: Any) -> dict[str, Any]:
    """A valid change row unless told otherwise."""
    return {
        "Op": op,
        "dms_committed_at": f"2026-03-01 00:00:{number % 60:02d}.000000",
        "dms_change_seq": sequence(number),
        "order_id": order_id,
        "label": f"label {number}",
        **values,
    }


def event(number: int, **values: Any) -> dict[str, Any]:
    """A valid app event unless told otherwise."""
    return {
        "event_id": f"e{number}",
        "event_name": "login",
        "user_id": number,
        "occurred_at": f"2026-03-01T00:00:{number % 60:02d}Z",
        "properties": {"b": 1, "a": 2},
        **values,
    }


def lines(records: Sequence[Any]) -> bytes:
    """Records as NDJSON; bytes go in as they are."""
    return b"\n".join(
        record if isinstance(record, bytes) else orjson.dumps(record) for record in records
    )


@dataclass(frozen=True)
class Lake:
    """Lands files and reads what came of them."""

    root: Path
    project: Path

    @property
    def settings(self) -> Settings:
        """Settings of this lake."""
        return Settings(
            lake=self.root,
            warehouse=self.root / "warehouse.duckdb",
            state=f"sqlite:///{self.root / 'state.db'}",
        )

    def land(self, path: str, data: bytes) -> Path:
        """Write a file below the lake."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(data, mtime=0) if path.endswith(".gz") else data)
        return file

    def land_rows(
        self, path: str, rows: list[dict[str, Any]], types: dict[str, pa.DataType] | None = None
    ) -> Path:
        """Write Parquet below the lake; types are inferred unless given."""
        given = types or {}
        columns = {
            name: pa.array([row.get(name) for row in rows], given.get(name)) for name in rows[0]
        }
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), file)
        return file

    def land_copy(self, file: Path, path: Path) -> None:
        """Copy a file to a path below the lake."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, self.root / path)

    def ingest(self, as_of: datetime = AS_OF, run_id: str | None = None) -> IngestReport:
        """One ingest; checks the accounting identity, which always holds."""
        report = ingest(self.settings, self.project, as_of=as_of, run_id=run_id)
        assert report.landed == report.accepted + report.duplicate + report.quarantined
        for counts in report.sources.values():
            assert counts.landed == counts.accepted + counts.duplicate + counts.quarantined
        return report

    def manifest(self) -> list[dict[str, Any]]:
        """Rows of the manifest, sorted by path."""
        rows: list[dict[str, Any]] = []
        for part in sorted((self.root / "manifest").glob("*.parquet")):
            rows += pq.read_table(part).to_pylist()
        return sorted(rows, key=lambda row: str(row["path"]))

    def rows(
        self, source: str, columns: str = "*", kind: str | None = None
    ) -> list[tuple[Any, ...]]:
        """What silver would read of a source, sorted."""
        paths = [
            str(self.root / row["path"])
            for row in self.manifest()
            if row["source"] == source and kind in (None, row["kind"])
        ]
        if not paths:
            return []
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(
                f"select {columns} from read_parquet($paths, union_by_name = true, "
                "hive_partitioning = false) order by all",
                {"paths": paths},
            ).fetchall()


def new_lake(folder: Path) -> Lake:
    """An empty lake and its project below a folder."""
    project = folder / "project"
    (project / "models" / "bronze").mkdir(parents=True)
    (project / "models" / "bronze" / "_sources.yml").write_text(DECLARATIONS)
    root = folder / "lake"
    root.mkdir()
    return Lake(root, project)

"""A lake with one declared table, and silver over it in memory: from landing to state in a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from synapse.ingest.service import IngestReport
from synapse_tests.cdc_project import CdcTable
from synapse_tests.ingest_lake import AS_OF, CHANGES, ORDERS, Lake, lines, new_lake
from synapse_tests.silver_engine import SilverEngine

NOW = AS_OF.replace(tzinfo=None)
MOMENT = datetime(2026, 3, 1)
COLUMNS = {"order_id": "bigint", "label": "varchar", "updated_at": "timestamp"}
ORDERS_TABLE = CdcTable("orders", ["order_id"], COLUMNS, {"sequence": True})
State = list[tuple[Any, ...]]


@dataclass
class Silver:
    """A lake with one declared table, and silver over it."""

    lake: Lake
    table: CdcTable
    engine: SilverEngine

    def take(self, as_of: datetime = AS_OF) -> IngestReport:
        """Ingest, then one incremental run; whatever it reads, a rebuild must read the same."""
        report = self.lake.ingest(as_of)
        if self.lake.manifest():
            self.engine.run()
        return report

    def living(self, columns: str = "order_id, label") -> State:
        """Rows of the current state that are not deleted."""
        return self.query(f"select {columns} from silver.stg_dms__orders where not _is_deleted")

    def states(self) -> State:
        """Key and whether it is deleted."""
        return self.query("select order_id, _is_deleted from silver.stg_dms__orders")

    def versions(self) -> State:
        """The history: key, label, from, to."""
        return self.engine.connection.execute(
            "select order_id, label, _valid_from, _valid_to from silver.hist_dms__orders "
            "order by order_id, _version"
        ).fetchall()

    def query(self, sql: str) -> State:
        """Sorted rows."""
        return self.engine.connection.execute(f"{sql} order by all").fetchall()


def open_silver(folder: Path, table: CdcTable = ORDERS_TABLE) -> Silver:
    """An empty lake whose project declares the table (and the usual topics)."""
    lake = new_lake(folder)
    file = lake.project / "models" / "bronze" / "_sources.yml"
    declared = yaml.safe_load(file.read_text())
    (entry,) = [t for t in declared["sources"][0]["tables"] if t["name"] == "orders"]
    entry["config"]["meta"]["cdc"] = {"key": list(table.key), **table.cdc}
    entry["columns"] = [{"name": n, "data_type": kind} for n, kind in table.columns.items()]
    file.write_text(yaml.safe_dump(declared))
    return Silver(lake, table, SilverEngine(lake.root, "shop", [table]))


def change_path(number: int, day: str = "2026/03/01") -> str:
    """A change file's path."""
    return f"{ORDERS}/{day}/{day.replace('/', '')}-{number:09d}.parquet"


def loaded(order_id: Any, moment: datetime | None, **values: Any) -> dict[str, Any]:
    """A row of a full load."""
    stamp = {} if moment is None else {"dms_committed_at": f"{moment:%Y-%m-%d %H:%M:%S.%f}"}
    return {"Op": "I", **stamp, "order_id": order_id, "label": f"loaded {order_id}", **values}


def envelope(op: str, position: int, moment: datetime, **images: Any) -> dict[str, Any]:
    """A Debezium record from MySQL."""
    milliseconds = int((moment - datetime(1970, 1, 1)) / timedelta(milliseconds=1))
    source = {"ts_ms": milliseconds, "file": "mysql-bin.000003", "pos": position, "row": 0}
    return {"op": op, "source": source, **images}


def deliver(silver: Silver, offset: int, records: list[Any]) -> None:
    """Land a file of the table's Debezium topic."""
    silver.lake.land(f"{CHANGES}/cdc.shop.orders+0+{offset:010d}.json", lines(records))


def after(seconds: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=seconds)

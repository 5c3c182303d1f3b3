"""Reports that group only changed dates again equal a rebuild, whatever changes of which date."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synapse.generate.calendar import DEFAULT_START
from synapse.generate.service import generate
from synapse.ingest.service import ingest
from synapse.runner.clock import end_of_date
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings
from synapse.warehouse_compare import compare_warehouses
from synapse_tests.lakes import PROJECT_DIR, ask, lake_settings

USERS, DAYS = 40, 70
LAST = DEFAULT_START + timedelta(days=DAYS - 1)
MODEL = "said-once"
RUN_ID = "late-dates"


@dataclass
class Product:
    """The source of a lake, in which anything may still be changed."""

    settings: Settings
    commits: int = field(default=0)

    def change(self, table: str, op: str, **values: object) -> None:
        """Land a change of a row, of which what is not said stays; an inserted key is new."""
        self.commits += 1
        folder = self.settings.lake / "bronze" / "dms" / "synapse" / table
        schema = pq.read_schema(max(folder.glob("20*/**/*.parquet")))
        key, value = next(iter(values.items()))
        like = "order by 1 limit 1" if op == "I" else f"where {key} = {value}"
        row = self.row(f"select * from silver.stg_dms__{table} {like}")
        committed = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.commits)
        row |= values | {
            "Op": op,
            "dms_committed_at": f"{committed:%Y-%m-%d %H:%M:%S}.000000",
            "dms_change_seq": f"{self.commits + 10**34:035}",
        }
        changed = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema)
        path = folder / f"{committed:%Y/%m/%d}" / f"{committed:%Y%m%d-%H%M%S}000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(changed, path)

    def land_event(self, **values: object) -> None:
        """Land an app event."""
        self.commits += 1
        folder = self.settings.lake / "bronze" / "kconnect" / "topics" / "app-events"
        hour = "year=2027/month=01/day=01/hour=00"
        path = folder / hour / f"app-events+0+{10**8 + self.commits}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(values))

    def row(self, query: str) -> dict[str, Any]:
        """Return the one row of a query on the warehouse."""
        warehouse = self.settings.warehouse
        names = [name for name, *_ in ask(warehouse, f"describe {query}")]
        return dict(zip(names, ask(warehouse, query)[0], strict=True))

    def value(self, query: str) -> Any:
        """Return the one value of a query on the warehouse."""
        return next(iter(self.row(query).values()))


def say_late(product: Product) -> None:
    """What comes late: to dates long past, to one before the first, and with a model of its own."""
    first = datetime.combine(DEFAULT_START, datetime.min.time())
    middle = first + timedelta(days=20, hours=12)
    user_id = product.value("select min(user_id) from gold.fct_user_days")
    for message_id, role, sent_at in (
        (10**9, "user", middle),
        (10**9 + 1, "assistant", middle + timedelta(seconds=90)),
        (10**9 + 2, "user", first - timedelta(days=17)),
    ):
        product.change(
            "messages",
            "I",
            message_id=message_id,
            conversation_id=10**9,
            user_id=user_id,
            role=role,
            model=MODEL if role == "assistant" else None,
            sent_at=sent_at,
        )
    product.land_event(
        event_id="late-request",
        event_name="api_request",
        user_id=user_id,
        anonymous_id=None,
        occurred_at="2026-03-20T02:59:59Z",
        platform="web",
        app_version="4.6.0",
        region=None,
        country=None,
        properties={"status": 503, "feature": MODEL},
    )


def unsay_late(product: Product) -> None:
    """The first date, the only answer of a model and a month's activity go, or move elsewhere."""
    product.change("messages", "D", message_id=10**9 + 2)
    product.change("messages", "D", message_id=10**9 + 1)
    message = product.row(
        "select source_order, sent_at from gold.fct_messages where source_system = 'dms' "
        f"and role = 'user' and sent_date = date '{DEFAULT_START + timedelta(days=40)}'"
    )
    product.change(
        "messages",
        "U",
        message_id=message["source_order"],
        sent_at=message["sent_at"] - timedelta(days=33),
    )


def name_as_staff(product: Product) -> None:
    """Whoever wrote most turns out to be internal: dates of all their history change."""
    user_id = product.value(
        "select user_id from gold.fct_user_days group by user_id order by count(*) desc limit 1"
    )
    product.change("users", "U", user_id=user_id, is_internal=True)


def land_nothing(product: Product) -> None:
    """Only as-of moves."""


STEPS: Mapping[str, tuple[Callable[[Product], None], date]] = {
    "late": (say_late, LAST + timedelta(days=1)),
    "undone": (unsay_late, LAST + timedelta(days=2)),
    "internal": (name_as_staff, LAST + timedelta(days=3)),
    "as-of back": (land_nothing, LAST - timedelta(days=12)),
    "as-of on": (land_nothing, LAST + timedelta(days=30)),
}


def build(settings: Settings, day: date) -> None:
    """Bring silver and gold level with what landed, as of the end of a business date."""
    as_of = end_of_date(day, settings.business_timezone)
    report = ingest(settings, PROJECT_DIR, as_of=as_of, sweep=True)
    assert report.quarantined == 0
    write_run_context(settings, run_id=RUN_ID, as_of=as_of, is_backfill=False)
    run(settings, "path:models/silver", "path:models/gold")


def run(settings: Settings, *selected: str, full_refresh: bool = False) -> None:
    """Build models as of what the context says; all must succeed."""
    arguments = ["run", "--select", *selected, *(["--full-refresh"] if full_refresh else [])]
    result = DbtProject(settings, PROJECT_DIR).invoke(arguments, run_id=RUN_ID)
    assert result.succeeded, "\n".join(result.failures)


def test_reports_by_date_equal_a_rebuild_whatever_changes_of_which_date(tmp_path: Path) -> None:
    settings = lake_settings(tmp_path / "lake")
    generate(settings.lake, users=USERS, days=DAYS, seed=5, append=False, hazards="none")
    assert DbtProject(settings, PROJECT_DIR).invoke(["seed"]).succeeded
    build(settings, LAST)
    product = Product(settings)
    for name, (happen, day) in STEPS.items():
        before, after = tmp_path / "before.duckdb", tmp_path / "after.duckdb"
        shutil.copy2(settings.warehouse, before)
        happen(product)
        build(settings, day)
        shutil.copy2(settings.warehouse, after)
        assert compare_warehouses(before, after, ("gold",)), f"{name}: nothing changed"
        run(settings, "path:models/gold", full_refresh=True)
        differences = compare_warehouses(settings.warehouse, after, ("gold",))
        assert not differences, f"{name}:\n" + "\n".join(map(str, differences))
        shutil.copy2(after, settings.warehouse)

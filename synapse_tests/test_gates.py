"""Gates: what a stale source holds back, what a failed test stops, and what of it is published."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from sqlalchemy import select

from synapse.errors import SynapseError
from synapse.ingest.service import ingest
from synapse.publish.model import POINTER
from synapse.publish.reading import open_published, published_set
from synapse.run_report import say_run
from synapse.runner.context import write_run_context
from synapse.runner.dbt import DbtProject
from synapse.runner.gate_ledger import RUN_GATES
from synapse.runner.gates import find_gates
from synapse.runner.requires_fresh import required_sources
from synapse.runner.run_ledger import RunLedger
from synapse.runner.service import RunReport, run
from synapse.runner.source_freshness import Limit, stale_sources
from synapse.schedules.model import Step
from synapse.settings import Settings
from synapse.state_store import open_store
from synapse_tests.lakes import ask, lake_settings
from synapse_tests.probe_project import land_events, probe_project

LANDED = datetime(2026, 3, 10, 12, tzinfo=UTC)
LIMIT = timedelta(days=3)
SOURCE = "kconnect.app-events"


@dataclasses.dataclass
class World:
    """A small lake whose events landed at LANDED, and a project of four models."""

    settings: Settings
    project: Path
    dbt: DbtProject

    def run(self, as_of: datetime) -> RunReport:
        """The schedule of the project; changed models are parsed anew."""
        dbt = DbtProject(self.settings, self.project, self.dbt.target_path)
        return run(self.settings, self.project, schedule="probe", as_of=as_of, dbt=dbt)

    def built_at(self) -> dict[str, datetime]:
        """As-of of the run by which each table was built."""
        tables = ask(
            self.settings.warehouse,
            "select table_name from information_schema.tables where table_schema = 'gold'",
        )
        return {
            name: ask(self.settings.warehouse, f"select built_at from gold.{name}")[0][0]
            for (name,) in tables
        }

    def published_at(self) -> dict[str, datetime]:
        """The same, of what readers see."""
        with open_published(self.settings) as connection:
            return {
                name: connection.execute(f"select built_at from published.{name}").fetchall()[0][0]
                for name in published_set(self.settings).tables
            }

    def digest(self) -> str:
        """Of all that is published."""
        paths = sorted((self.settings.lake / "published").rglob("*"))
        read = [f"{path}".encode() + path.read_bytes() for path in paths if path.is_file()]
        return hashlib.sha256(b"".join(read)).hexdigest()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world after a first run, at LANDED."""
    root = tmp_path_factory.mktemp("gates")
    project = probe_project(root / "project")
    settings = lake_settings(root / "lake")
    land_events(settings.lake, 1)
    world = World(settings, project, DbtProject(settings, project))
    report = world.run(LANDED)
    assert report.status == "succeeded", report.dbt.failures
    for folder in (settings.lake, project):
        shutil.copytree(folder, root / "begun" / folder.name)
    return world


@pytest.fixture
def world(begun: World) -> World:
    """The world as it had begun, in the same place: dbt need not parse it again."""
    for folder in (begun.settings.lake, begun.project):
        shutil.rmtree(folder)
        shutil.copytree(folder.parent / "begun" / folder.name, folder)
    return begun


def naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


# --- freshness ------------------------------------------------------------------------------------


def test_what_gates_agrees_with_what_dbt_says_of_freshness(begun: World) -> None:
    """At the limit exactly, a second after, long before the source landed; and never landed."""
    for as_of in (LANDED + LIMIT, LANDED + LIMIT + timedelta(seconds=1), LANDED - timedelta(9)):
        write_run_context(begun.settings, run_id="probe", as_of=as_of, is_backfill=False)
        begun.dbt.invoke(["source", "freshness"])
        said = orjson.loads((begun.dbt.target_path / "sources.json").read_bytes())
        by_name = {result["unique_id"]: result for result in said["results"]}
        limits = [Limit(SOURCE, LIMIT.total_seconds()), Limit("kconnect.conversations", 1.0)]
        stale = stale_sources(begun.settings.open_lake(), limits, as_of)
        result = by_name["source.synapse.kconnect.app_events"]
        assert (result["status"] == "error") == (SOURCE in stale) == (as_of > LANDED + LIMIT)
        assert result["max_loaded_at_time_ago_in_s"] == (as_of - LANDED).total_seconds()
        if SOURCE in stale:
            assert stale[SOURCE].seconds == result["max_loaded_at_time_ago_in_s"]
        never = by_name["source.synapse.kconnect.conversations"]
        assert (never["status"], "kconnect.conversations" in stale) == ("pass", False)


def test_a_source_is_as_old_as_its_newest_part_whichever_was_written_last(world: World) -> None:
    lake = world.settings.open_lake()
    limit = Limit(SOURCE, 3600)
    for number, hours in enumerate((5, 2, 4), start=2):
        # Parts of backfills are written later and say an earlier as-of.
        land_events(world.settings.lake, number)
        assert ingest(world.settings, world.project, as_of=LANDED + timedelta(hours=hours)).accepted
    assert not stale_sources(lake, [limit], LANDED + timedelta(hours=6))
    (age,) = stale_sources(lake, [limit], LANDED + timedelta(hours=8)).values()
    assert age.seconds == 3 * 3600


@pytest.mark.parametrize(
    ("requires", "problem"),
    [
        ("[kconnect.app_events]", r"probe.yml, model behind: .*'kconnect.app_events', which is no"),
        ("[dms.synapse.plans]", r"probe.yml, model behind: .* no freshness.error_after"),
        ("kconnect.app-events", r"probe.yml, model behind: requires_fresh is a list"),
        ("[]", r"probe.yml, model behind: requires_fresh is a list"),
    ],
)
def test_a_requires_fresh_that_can_gate_nothing_is_refused(requires: str, problem: str) -> None:
    declared = {"freshness": {"error_after": {"count": 1, "period": "day"}}}
    other = {"freshness": {"warn_after": {"count": 1, "period": "day"}}}

    def source(name: str, freshness: dict[str, Any]) -> dict[str, object]:
        asked = {**freshness["freshness"], "filter": f"source = '{name}'"}
        return {
            "original_file_path": "models/bronze/s.yml", "source_name": "s", "name": name,
            "loaded_at_field": "as_of", "freshness": asked,
        }  # fmt: skip

    node = {
        "name": "behind", "resource_type": "model", "original_file_path": "models/behind.sql",
        "patch_path": "synapse://models/probe.yml",
        "config": {"meta": {"requires_fresh": yaml.safe_load(requires)}},
    }  # fmt: skip
    sources = {"a": source(SOURCE, declared), "b": source("dms.synapse.plans", other)}
    with pytest.raises(SynapseError, match=problem):
        required_sources({"nodes": {"n": node}, "sources": sources})


def test_freshness_that_the_manifest_cannot_answer_is_refused() -> None:
    node = {
        "original_file_path": "models/bronze/s.yml", "source_name": "s", "name": "t",
        "loaded_at_field": "updated_at",
        "freshness": {"warn_after": {"count": 1, "period": "day"}, "filter": "source = 'x'"},
    }  # fmt: skip
    with pytest.raises(SynapseError, match=r"s.yml, source s.t: .*loaded_at_field: as_of"):
        required_sources({"nodes": {}, "sources": {"s": node}})


# --- a gate ---------------------------------------------------------------------------------------


def test_a_stale_source_holds_back_only_who_requires_it_fresh(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    late = LANDED + LIMIT + timedelta(hours=1)
    report = world.run(late)
    assert report.status == "succeeded"
    before, now = naive(LANDED), naive(late)
    # `below` is built again, from what `behind` still holds.
    assert world.built_at() == {"base": now, "apart": now, "behind": before, "below": before}
    (gate,) = report.gates
    assert (gate.model, gate.source, gate.needs) == ("behind", SOURCE, None)
    assert (gate.age_seconds, gate.limit_seconds) == (LIMIT.total_seconds() + 3600, 3 * 86_400)
    say_run(report)
    assert "skipped: behind keeps its last content: kconnect.app-events" in capsys.readouterr().out
    engine = open_store(world.settings.state)
    with engine.connect() as connection:
        (row,) = connection.execute(select(RUN_GATES)).all()
    engine.dispose()
    assert (row.run_id, row.model, row.source) == (report.run_id, "behind", SOURCE)
    assert row.reason == gate.reason
    # What it keeps was published with the run that built it, and stays.
    tables = published_set(world.settings).tables
    assert {name: naive(table.as_of) for name, table in tables.items()} == {
        "apart": now, "behind": before, "below": now,
    }  # fmt: skip
    # It lands again: all are built.
    land_events(world.settings.lake, 2)
    again = world.run(late + timedelta(hours=1))
    assert (again.status, again.gates) == ("succeeded", ())
    assert set(world.built_at().values()) == {naive(late + timedelta(hours=1))}


def test_what_was_never_built_has_no_readers(world: World) -> None:
    world.settings.warehouse.unlink()
    report = world.run(LANDED + LIMIT + timedelta(hours=1))
    assert report.status == "succeeded", report.dbt.failures
    assert world.built_at().keys() == {"base", "apart"}
    reasons = {gate.model: gate.reason for gate in report.gates}
    assert reasons.keys() == {"behind", "below"}
    assert reasons["below"].startswith("reads behind, which was never built: kconnect.app-events")


def test_an_earlier_as_of_is_not_held_back_by_what_landed_later(world: World) -> None:
    def closed(as_of: datetime) -> bool:
        return bool(find_gates(world.settings, world.dbt, ["probe"], as_of).closed)

    assert closed(LANDED + LIMIT + timedelta(hours=1))
    assert not closed(LANDED - timedelta(days=30))


def test_a_source_that_never_landed_gates_nothing(begun: World, tmp_path: Path) -> None:
    project = probe_project(tmp_path / "project", requires="dms.synapse.messages")
    dbt = DbtProject(begun.settings, project, tmp_path / "target")
    assert not find_gates(begun.settings, dbt, ["probe"], LANDED + 100 * LIMIT).closed


# --- tests that stop ------------------------------------------------------------------------------


def with_test(world: World, model: str, severity: str) -> None:
    """A test of a model that fails."""
    test = world.project / "tests" / f"test_of_{model}.sql"
    test.parent.mkdir(exist_ok=True)
    test.write_text(
        "{{ config(severity='" + severity + "') }} select id from {{ ref('" + model + "') }}"
    )


def test_a_failed_test_stops_what_reads_the_model_and_nothing_is_published(world: World) -> None:
    before = world.digest()
    with_test(world, "base", "error")
    report = world.run(LANDED + timedelta(hours=2))
    assert report.status == "failed"
    assert report.dbt.statuses["fail"] == 1
    before_, now = naive(LANDED), naive(LANDED + timedelta(hours=2))
    assert world.built_at() == {"base": now, "apart": before_, "behind": before_, "below": before_}
    assert set(world.published_at().values()) == {naive(LANDED)}
    assert world.digest() == before


def test_all_is_built_and_nothing_published_where_the_last_test_fails(world: World) -> None:
    before = world.digest()
    with_test(world, "below", "error")
    assert world.run(LANDED + timedelta(hours=2)).status == "failed"
    assert set(world.built_at().values()) == {naive(LANDED + timedelta(hours=2))}
    assert world.digest() == before


def test_a_test_that_warns_stops_nothing(world: World) -> None:
    with_test(world, "below", "warn")
    report = world.run(LANDED + timedelta(hours=2))
    assert report.status == "succeeded"
    assert report.dbt.statuses["warn"] == 1
    assert set(world.published_at().values()) == {naive(LANDED + timedelta(hours=2))}


def test_what_a_failed_run_has_built_is_not_the_next_runs_to_publish(tmp_path: Path) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'state.db'}")
    ledger = RunLedger(engine)
    step = Step("daily", "daily")
    with engine.begin() as connection:
        ledger.step(connection, "passed", 0, step, "succeeded", built=["a", "b", "c"])
        ledger.step(connection, "failed", 0, step, "failed", built=["b"])
        ledger.step(connection, "next", 0, step, "succeeded", built=["c"])
    assert [ledger.built_by(run) for run in ("passed", "failed", "next")] == [{"a"}, {"b"}, {"c"}]
    with engine.begin() as connection:  # the failed one goes on
        ledger.step(connection, "failed", 1, step, "succeeded", built=["c"])
    assert ledger.built_by("failed") == {"b", "c"}
    engine.dispose()


def test_an_unchanged_run_keeps_the_set_and_sees_that_there_is_one(world: World) -> None:
    assert world.run(LANDED).status == "succeeded"  # a copied warehouse is another
    before, number = world.digest(), published_set(world.settings).number
    assert world.run(LANDED).status == "unchanged"
    assert world.digest() == before
    (world.settings.lake / POINTER).unlink()
    assert world.run(LANDED).status == "unchanged"
    assert world.digest() == before
    shutil.rmtree(world.settings.lake / "published")
    assert world.run(LANDED).status == "unchanged"
    assert set(world.published_at().values()) == {naive(LANDED)}
    assert published_set(world.settings).number == number + 1

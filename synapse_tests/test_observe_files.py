"""What others read of a lake: OpenMetrics, logs of bounded size, the quality summary of a date."""

from __future__ import annotations

import dataclasses
import html.parser
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sqlalchemy import insert, update
from sqlalchemy.engine import Engine

from synapse.errors import SynapseError
from synapse.ingest import tables
from synapse.observe import log as logs
from synapse.observe.log import Log, log_file
from synapse.observe.openmetrics import FILE, openmetrics_text, write_openmetrics
from synapse.observe.quality import read_quality
from synapse.observe.quality_files import as_html, as_markdown, write_quality
from synapse.observe.tables import ANOMALIES, NODE_RUNS, RUN_ENDS, SOURCE_AGES
from synapse.settings import Settings
from synapse_tests.lakes import lake_settings
from synapse_tests.observed import add_runs, empty_store

DAY = date(2026, 6, 14)
# 14 June in São Paulo ends at 03:00 UTC of the 15th.
END = datetime(2026, 6, 15, 3)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[tuple[Settings, Engine]]:
    settings = lake_settings(tmp_path / "lake")
    settings.lake.mkdir()
    engine = empty_store(settings.state)
    yield settings, engine
    engine.dispose()


def parsed(settings: Settings) -> list[Metric]:
    text = openmetrics_text(settings).decode()
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def samples(settings: Settings) -> dict[tuple[str, tuple[str, ...]], float]:
    families = parsed(settings)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_exposition_says_what_the_ledger_knows(lake: tuple[Settings, Engine]) -> None:
    settings, engine = lake
    ids = add_runs(engine, [
        {"as_of": END, "seconds": 30.0, "landed": 5},
        {"as_of": END + timedelta(hours=1), "seconds": 40.0, "landed": 7, "status": "failed"},
        {"as_of": END + timedelta(hours=2), "status": "running", "landed": 0},
    ])  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            update(RUN_ENDS).where(RUN_ENDS.c.run_id == ids[1]).values(tests_failed=2)
        )
        connection.execute(insert(SOURCE_AGES).values(
            run_id="f", unique_id="s", source='a "quoted"\nname', status="warn", age_seconds=90,
            as_of=END, checked_at=END,
        ))  # fmt: skip
        connection.execute(insert(ANOMALIES).values(
            run_id=ids[1], kind="source_volume", subject="s", schedule="hourly", observed=1,
            median=9, deviation=1, points=5, as_of=END,
            found_at=datetime.now(UTC).replace(tzinfo=None),
        ))  # fmt: skip
    found = samples(settings)
    assert found["synapse_runs_total", ("hourly", "succeeded")] == 1
    assert found["synapse_runs_total", ("hourly", "failed")] == 1
    assert found["synapse_runs_at_work", ("hourly",)] == 1
    assert found["synapse_last_success_timestamp_seconds", ("hourly",)] == (
        END.replace(tzinfo=UTC).timestamp()
    )
    assert found["synapse_last_run_duration_seconds", ("hourly",)] == 40
    assert found["synapse_rows_total", ("landed",)] == 12
    assert found["synapse_tests_failed_total", ("hourly",)] == 2
    assert found["synapse_source_age_seconds", ('a "quoted"\nname',)] == 90
    assert found["synapse_source_stale", ('a "quoted"\nname',)] == 1
    assert found["synapse_cost_dollars_total", ("hourly",)] == pytest.approx(0.003)
    assert found["synapse_anomalies", ("source_volume",)] == 1


def test_a_lake_that_nothing_ran_on_has_every_family_and_no_sample(tmp_path: Path) -> None:
    settings = lake_settings(tmp_path)
    text = openmetrics_text(settings).decode()
    assert text.endswith("# EOF\n")
    families = {family.name for family in parsed(settings)}
    assert {"synapse_runs", "synapse_source_age_seconds", "synapse_cost_dollars"} <= families
    assert samples(settings) == {}


def test_the_file_is_replaced_whole(lake: tuple[Settings, Engine]) -> None:
    settings, engine = lake
    write_openmetrics(settings)
    before = (settings.lake / FILE).stat().st_ino
    add_runs(engine, [{}])
    path = write_openmetrics(settings)
    assert path.stat().st_ino != before
    assert path.read_bytes() == openmetrics_text(settings)
    assert [one.name for one in path.parent.iterdir()] == ["synapse.prom"]


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_logs_are_bounded_and_lose_no_recent_line(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_MOST_BYTES", 100)
        patch.setattr(logs, "_MOST_FILES", 4)
        day = date(2026, 6, 1)
        for number, size in enumerate(sizes):
            path = log_file(folder, day + timedelta(days=number // 10))
            with path.open("a") as file:
                file.write(f"{number:03}" + "x" * size + "\n")
    kept = sorted(folder.iterdir())
    assert len(kept) <= 4
    assert all(path.stat().st_size < 100 + 65 for path in kept)
    numbers = [int(line[:3]) for path in kept for line in path.read_text().splitlines()]
    assert numbers == list(range(numbers[0], len(sizes)))


def test_each_line_is_an_object_with_the_runs_id(
    lake: tuple[Settings, Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = dataclasses.replace(lake[0], log=frozenset({"json", "file"}))
    log = Log(settings, run_id="r1", schedule="hourly")
    log.info("step_ended", step="hourly", at=datetime(2026, 6, 1))
    log.warning("refused", source="dms.synapse.users", refused=3)
    lines = capsys.readouterr().err.splitlines()
    (file,) = (settings.lake / "logs").iterdir()
    assert file.read_text().splitlines() == lines
    said = [json.loads(line) for line in lines]
    assert [(one["event"], one["level"], one["run_id"]) for one in said] == [
        ("step_ended", "info", "r1"), ("refused", "warning", "r1"),
    ]  # fmt: skip
    assert all(one["timestamp"].endswith("Z") for one in said)
    Log(lake[0], run_id="r1").info("nothing")
    assert capsys.readouterr().err == ""


def test_the_setting_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYNAPSE_LOG", "json, file")
    assert Settings.load(lake=tmp_path).log == {"json", "file"}
    monkeypatch.setenv("SYNAPSE_LOG", "xml")
    with pytest.raises(SynapseError, match="give json"):
        Settings.load(lake=tmp_path)


@pytest.fixture
def day(lake: tuple[Settings, Engine]) -> tuple[Settings, Engine]:
    """A date with an hourly run, the daily run that closed it, and the runs around it."""
    _, engine = lake
    ids = add_runs(engine, [
        {"as_of": END - timedelta(hours=2), "landed": 40},
        {"as_of": END + timedelta(hours=1), "schedule": "daily", "landed": 600},
        {"as_of": END - timedelta(days=1), "landed": 9_000},
    ])  # fmt: skip
    test = {
        "run_id": ids[1], "position": 0, "schedule": "daily", "step": "user_metrics",
        "resource_type": "test", "severity": "error", "model": "fct_events",
        "column_name": "event_id", "milliseconds": 5, "as_of": END, "started_at": END,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(update(RUN_ENDS).where(RUN_ENDS.c.run_id == ids[1]).values(tests=2))
        connection.execute(insert(NODE_RUNS), [
            {**test, "attempt": 1, "unique_id": "test.a", "name": "a_is_unique", "status": "fail",
             "failures": 12},
            {**test, "attempt": 2, "unique_id": "test.a", "name": "a_is_unique", "status": "pass",
             "failures": 0},
            {**test, "attempt": 1, "unique_id": "test.b", "name": "orphaned_events",
             "status": "warn", "failures": 65},
        ])  # fmt: skip
        connection.execute(insert(tables.DRIFT).values(
            source="dms.synapse.users", column_name="<b>nick|name</b>", change="undeclared",
            physical_type="VARCHAR", was="", path="p", run_id=ids[0], first_seen=END,
            last_seen=END,
        ))  # fmt: skip
    return lake


def test_a_date_is_what_landed_on_it_and_the_tests_of_the_run_that_closed_it(
    day: tuple[Settings, Engine],
) -> None:
    quality = read_quality(day[0], DAY)
    assert [(one.source, one.landed) for one in quality.accounts] == [("kconnect.app-events", 40)]
    assert quality.landed_ever == 9_640
    assert quality.tests == {"pass": 1, "warn": 1}
    assert [(one.test, one.failures) for one in quality.failed] == [("orphaned_events", 65)]
    assert {(one.name, one.about, one.count) for one in quality.runs} == {
        ("hourly", "succeeded", 1), ("daily", "succeeded", 1),
    }  # fmt: skip
    assert [one.model for one in quality.slowest] == ["fct_events"]
    assert quality.verdict == "look"


def test_a_row_that_is_not_accounted_for_is_bad(day: tuple[Settings, Engine]) -> None:
    settings, engine = day
    with engine.begin() as connection:
        connection.execute(
            update(tables.RUN_SOURCES).values(accepted=tables.RUN_SOURCES.c.landed - 1)
        )
    quality = read_quality(settings, DAY)
    assert (quality.unaccounted, quality.unaccounted_ever, quality.verdict) == (1, 3, "bad")


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_loads_nothing_and_takes_no_text_for_markup(
    day: tuple[Settings, Engine],
) -> None:
    paths = write_quality(day[0], read_quality(day[0], DAY))
    assert [path.name for path in paths] == ["quality-2026-06-14.md", "quality-2026-06-14.html"]
    text = paths[1].read_text()
    page = Page(text)
    assert page.open == []
    assert page.links == []
    assert not {"script", "img", "link", "b"} & set(page.tags)
    assert "&lt;b&gt;nick|name&lt;/b&gt;" in text
    assert "Worth a look" in text


def test_the_markdown_keeps_its_tables(day: tuple[Settings, Engine]) -> None:
    text = as_markdown(read_quality(day[0], DAY))
    assert "| warn | orphaned_events | fct_events | event_id | 65 |" in text
    tables_of = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables_of} <= {6, 7}


def test_a_date_without_anything_is_said_to_be_empty(lake: tuple[Settings, Engine]) -> None:
    quality = read_quality(lake[0], DAY)
    assert quality.verdict == "look"
    assert "Nothing ran." in as_markdown(quality)
    assert "Nothing ran." in as_html(quality)

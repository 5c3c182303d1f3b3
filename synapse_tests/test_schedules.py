"""schedules.yml: what it declares is one whole, and what cannot work is told with its line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from synapse.cli import app
from synapse.errors import SynapseError, UsageError
from synapse.runner.dbt import DbtProject
from synapse.runner.plan import make_plan
from synapse.schedules.load import load_schedules, selector_names
from synapse.schedules.model import Ingest, Task
from synapse.schedules.occurrences import latest_time, occurrence_time, times_after, times_between
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE, lake_settings

AS_OF = datetime(2026, 3, 2, 5, tzinfo=UTC)
GOOD = (PROJECT_DIR / "schedules.yml").read_text()


def project(folder: Path, text: str) -> Path:
    """A project that consists of schedules.yml and the real selectors.yml."""
    (folder / "schedules.yml").write_text(text)
    (folder / "selectors.yml").write_bytes((PROJECT_DIR / "selectors.yml").read_bytes())
    return folder


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "blamed", "says"),
    [
        ("selectors: [hourly]", "selectors: [hourli]", "[hourli]", "did you mean `hourly`"),
        ("judges_since: daily", "judges_since: dayly", "dayly", "which is no schedule"),
        ("needs: [daily,", "needs: [dayly,", "needs: [dayly", "neither a schedule nor a selector"),
        ("timeout: 50m", "timeout: 50 minutes", "50 minutes", "for example 50m"),
        ("timeout: 50m", "timeuot: 50m", "timeuot", "did you mean `timeout`"),
        ('"0 2 * * 1"', '"0 2 * * 8"', '"0 2 * * 8"', "write minute, hour, day"),
        ('"0 2 * * 1"', '"0 0 2 * * 1"', '"0 0 2 * * 1"', "write minute, hour, day"),
        ("{cents: 5}", "{cents: 0}", "{cents: 0}", "greater than 0"),
        ("{cents: 5}", "{}", "budget: {}", "give cents"),
        ("throttled: 3, locked: 3", "test: 3, locked: 3", "{test: 3", "come again however often"),
        ("task: freshness", "task: freshnes", "task: freshnes", "freshness"),
        ("aliases: [daily_aggregate]", "aliases: [hourly]", "[hourly]\n    desc", "also a name"),
        ("selectors: [hourly]", "selectors: [realtime]", "[realtime]\n", "scheduled twice"),
        ("  hourly:\n", "  daily:\n", "  daily:\n    aliases", "a second time, after line"),
        ("needs: [data_validation, user", "needs: [weekly, user", "needs: [weekly", "→"),
        ("  lake: Silver", "  ponds: Silver", "[lake]", "is not declared"),
        ("  lake: Silver", "  - lake: Silver", "table_groups:\n", "valid dictionary"),
        ("    owner: analytics\n", "", "  weekly:\n", "`schedules.weekly.owner` is missing"),
        ("version: 1", "version: [1", "table_groups:", "no valid YAML"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, blamed: str, says: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if says == "scheduled twice":
        # The second of the two is to blame.
        blamed = "selectors: [realtime]\n    judges_since: daily\n"
    with pytest.raises(SynapseError) as error:
        load_schedules(project(tmp_path, text))
    said = str(error.value)
    assert says in said
    assert f"schedules.yml line {line_of(text, blamed)}" in said, said


def test_a_project_without_the_file_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SynapseError, match=r"schedules.yml is missing.*Copy"):
        load_schedules(tmp_path)


def test_the_declaration_is_the_one_that_was_asked_for() -> None:
    schedules = load_schedules(PROJECT_DIR)
    assert schedules.name_of("daily_aggregate") == "daily"
    assert schedules.name_of("weekly_reports") == "weekly"
    with pytest.raises(UsageError, match=r"fortnightly.*choose"):
        schedules.name_of("fortnightly")
    daily, weekly = schedules["daily"], schedules["weekly"]
    assert (daily.cron, daily.needs) == ("0 1 * * *", ("data_validation", "user_metrics"))
    assert (weekly.cron, weekly.needs) == ("0 2 * * 1", ("daily", "business_metrics"))
    assert [step.selector for step in schedules.steps("weekly")] == [
        "business_metrics",
        "weekly_reports",
    ]
    assert schedules.needed_schedules("weekly") == ("daily",)
    # Hourly and daily write the same tables.
    assert set(schedules["hourly"].table_groups) & set(daily.table_groups)
    assert {each.task for each in schedules.by_name.values()} == set(Task)
    used = {step.selector for name in schedules.by_name for step in schedules.steps(name)}
    assert used | {"daily", "weekly"} == set(selector_names(PROJECT_DIR)), "nothing left over"


def test_a_run_comes_with_everything_it_depends_on_unless_that_has_run() -> None:
    schedules = load_schedules(PROJECT_DIR)

    def plan(*done: str, **more: bool) -> tuple[tuple[str, ...], list[str], Ingest]:
        found = make_plan(
            schedules, "weekly_reports", done=done, as_of=AS_OF, timezone=TIMEZONE, **more
        )
        return found.covers, [step.selector for step in found.steps], found.ingest

    own = ["business_metrics", "weekly_reports"]
    first = ["data_validation", "user_metrics", "daily_aggregate"]
    assert plan() == (("daily", "weekly"), [*first, *own], Ingest.sweep)
    assert plan("daily", "hourly") == (("weekly",), own, Ingest.none)
    with pytest.raises(SynapseError, match="weekly needs daily of 2026-03-01"):
        plan("hourly", may_build_needs=False)


def test_the_steps_of_daily_are_daily_and_none_reads_what_a_later_one_builds(
    tmp_path: Path,
) -> None:
    """Every model and test is in exactly one step, after all that it reads."""
    dbt = DbtProject(lake_settings(tmp_path / "lake"), PROJECT_DIR)
    dbt.parse()
    whole = dbt.nodes("daily")
    steps = [dbt.nodes(step.selector) for step in load_schedules(PROJECT_DIR).steps("daily")]
    assert sum(map(len, steps)) == len(whole)
    assert set().union(*steps) == whole.keys()
    built: set[str] = set()
    for nodes in steps:
        built |= nodes.keys()
        for name, parents in nodes.items():
            assert parents & whole.keys() <= built, name


LISBON = "Europe/Lisbon"


def local(moments: list[datetime], zone: str = LISBON) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M %Z}" for moment in moments]


@pytest.mark.parametrize(
    ("cron", "after", "until", "expected"),
    [
        ("0 1 * * *", "2026-03-28T12Z", "2026-03-30T12Z", ["03-29 02:00 WEST", "03-30 01:00 WEST"]),
        ("30 1 * * *", "2026-10-24T12Z", "2026-10-26T12Z", ["10-25 01:30 WEST", "10-26 01:30 WET"]),
        (
            "5 * * * *", "2026-10-24T23:10Z", "2026-10-25T02:10Z",
            ["10-25 01:05 WEST", "10-25 01:05 WET", "10-25 02:05 WET"],
        ),
        (
            "5 * * * *", "2026-03-29T00:00Z", "2026-03-29T01:10Z",
            ["03-29 00:05 WET", "03-29 02:05 WEST"],
        ),
    ],
    ids=["skipped: right after", "twice: once", "hourly: every hour", "hourly: none is made up"],
)  # fmt: skip
def test_times_where_the_clocks_change(
    cron: str, after: str, until: str, expected: list[str]
) -> None:
    start, end = (datetime.fromisoformat(text) for text in (after, until))
    assert local(times_between(cron, start, end, LISBON)) == expected


@given(
    st.sampled_from(["5 * * * *", "0 1 * * *", "30 1 * * *", "0 2 * * 1", "*/10 * * * *"]),
    st.sampled_from([LISBON, TIMEZONE, "America/Havana", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
)
def test_the_latest_time_is_the_one_before_the_next(cron: str, zone: str, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC, microsecond=0)
    latest = latest_time(cron, moment, zone)
    assert latest <= moment < next(times_after(cron, latest, zone))
    assert occurrence_time(cron, latest.isoformat(), zone) == latest


def test_a_time_that_the_schedule_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="is no time of this schedule"):
        occurrence_time("0 1 * * *", "2026-03-02T02:00:00-03:00", TIMEZONE)
    with pytest.raises(UsageError, match="neither `latest` nor"):
        occurrence_time("0 1 * * *", "soon", TIMEZONE)


def test_the_day_that_a_run_reports_has_ended() -> None:
    """At 01:00 of the business zone, not of UTC; Monday's weekly run closes the week."""
    schedules = load_schedules(PROJECT_DIR)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    zone = ZoneInfo(TIMEZONE)
    daily = next(times_after(schedules["daily"].cron, now, TIMEZONE)).astimezone(zone)
    weekly = next(times_after(schedules["weekly"].cron, now, TIMEZONE)).astimezone(zone)
    assert (daily.hour, daily.minute) == (1, 0)
    assert (weekly.weekday(), weekly.hour) == (0, 2)
    assert weekly - daily < timedelta(hours=2), "after the daily run of the same morning"


def test_the_plan_and_the_cron_lines_say_the_same_as_the_file() -> None:
    schedules = load_schedules(PROJECT_DIR)
    said = CliRunner().invoke(app, ["schedules", "--json", "--times", "2"])
    shown = json.loads(said.stdout)
    lines = CliRunner().invoke(app, ["deploy", "cron", "--lake", "/srv/lake"]).stdout.splitlines()
    jobs = [line for line in lines if " run " in line]
    assert list(shown) == list(schedules.by_name)
    assert len(jobs) == len(schedules.by_name), "nothing is scheduled twice"
    for (name, schedule), job in zip(schedules.by_name.items(), jobs, strict=True):
        assert shown[name]["cron"] == schedule.cron
        assert len(shown[name]["next"]) == 2
        assert job.startswith(f"{schedule.cron} ")
        assert f" run {name} --occurrence latest " in job
    unit = CliRunner().invoke(app, ["deploy", "cron", "--systemd", "--lake", "/srv/lake"]).stdout
    assert "synapse schedule --lake /srv/lake" in unit

"""Each beginning and each end is told once, whoever looks, whatever is down, and nothing leaks."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select, text
from typer.testing import CliRunner

from synapse.alerts.after_run import Sentinel, after_run
from synapse.alerts.condition import Condition
from synapse.alerts.ledger import AlertLedger
from synapse.alerts.model import Severity, Terms
from synapse.alerts.notice import make_notice
from synapse.alerts.sender import Patience
from synapse.alerts.service import Watch
from synapse.alerts.standing import Kind, Standing, State, step
from synapse.alerts.tables import FAULTS, NOTICES
from synapse.cli import app
from synapse.state_store import open_store
from synapse_tests.alert_project import HASTY, Store, declare, look_at, looker, rule, settings_in
from synapse_tests.alert_receivers import Web, the_web
from synapse_tests.postgres_server import postgres
from synapse_tests.test_alerts_channels import KEY, PAGER, SLACK, SLACK_URL

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
T = datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
ONCE = Patience(answer_seconds=30, attempts=1, wait_seconds=0.01, total_seconds=60)
CHANNELS = """
  on_call: {kind: pagerduty, key: "${PAGER_KEY}"}
  chat: {kind: slack, url: "${HOOK}"}"""
BROKEN = "dim_users: Binder Error: maria@example.com"
SCHEDULER = Path(__file__).with_name("scheduler_process.py")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with the_web(tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def online(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    for name, value in environment(web).items():
        monkeypatch.setenv(name, value)
    web.requests.clear()
    web.statuses.clear()
    return web


def environment(web: Web) -> dict[str, str]:
    return {
        "HTTPS_PROXY": web.proxy,
        "REQUESTS_CA_BUNDLE": web.authority,
        "PAGER_KEY": KEY,
        "HOOK": SLACK_URL,
    }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(settings_in(tmp_path))
    yield store
    store.close()


def actions(web: Web) -> list[str]:
    """What PagerDuty was told and took, in order."""
    return [request.json["event_action"] for request in web.of(PAGER)]


# What a rule sees over time: minutes until the next look, and what it finds then.
SEEN = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from([True, True, False, None])), max_size=40
)
SPANS = st.sampled_from([0, 1, 30, 60, 240]).map(lambda minutes: minutes * MINUTE)
WELL_FORMED = re.compile(r"(b r* e )*(b r* ?)?".replace(" ", ""))


@given(SEEN, SPANS, SPANS.filter(bool))
def test_beginning_and_end_alternate_and_nothing_is_told_too_often_or_lost(
    seen: list[tuple[int, bool | None]], hold: timedelta, repeat: timedelta
) -> None:
    now, standing = T, Standing()
    told: list[tuple[Kind, datetime]] = []
    bad_since: datetime | None = None
    known: bool | None = None
    for minutes, is_bad in seen:
        now += minutes * MINUTE
        standing, kind = step(standing, is_bad, now, hold=hold, repeat=repeat)
        if kind is not None:
            told.append((kind, now))
        if is_bad is None:
            assert kind is None
            continue
        known = is_bad
        bad_since = (bad_since or now) if is_bad else None
        is_open = bool(told) and told[-1][0] is not Kind.recovery
        # Bad for as long as hold asks: somebody knows. Well: nobody thinks otherwise.
        assert is_open == (bad_since is not None and (now - bad_since >= hold or is_open))
        if is_open:
            assert now - told[-1][1] < repeat, "while it lasts it is told again in time"
    letters = "".join({"begin": "b", "repeat": "r", "recovery": "e"}[kind] for kind, _ in told)
    assert WELL_FORMED.fullmatch(letters), letters
    for (_, before), (kind, after) in pairwise(told):
        if kind is Kind.repeat:
            assert after - before >= repeat
    if known is False:
        assert not told or told[-1][0] is Kind.recovery, "no recovery is lost"


@settings(max_examples=25)
@given(SEEN, SPANS, SPANS.filter(bool))
def test_the_store_keeps_exactly_what_was_decided(
    seen: list[tuple[int, bool | None]], hold: timedelta, repeat: timedelta
) -> None:
    terms = Terms("r", Severity.info, "tests", "#r", hold, repeat, ("a", "b"))
    with TemporaryDirectory() as folder:
        where = settings_in(Path(folder))
        engine = open_store(where.state)
        ledger = AlertLedger(engine)
        now, standing = T, Standing()
        expected: list[str] = []
        for minutes, is_bad in seen:
            now += minutes * MINUTE
            standing, kind = step(standing, is_bad, now, hold=hold, repeat=repeat)
            condition = Condition("s", is_bad, "it is bad")
            before = ledger.standings("r").get("s")
            ledger.change(
                terms, condition, before, now,
                lambda kind, of, now=now, about=condition: make_notice(  # type: ignore[misc]
                    kind, terms, about, of, now, where
                ),
            )  # fmt: skip
            stored = ledger.standings("r").get("s", (0, Standing()))[1]
            assert stored == standing
            if kind is not None:
                expected.append(kind.value)
        with engine.connect() as connection:
            rows = connection.execute(select(NOTICES).order_by(NOTICES.c.id)).all()
        engine.dispose()
    for channel in ("a", "b"):
        kept = [row.kind for row in rows if row.channel == channel]
        # None of them was delivered: a reminder of what nobody has heard of yet is none.
        assert kept == [kind for kind in expected if kind != "repeat"]


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from([5, 70, 130])),
        min_size=2,
        max_size=10,
    )
)
def test_whatever_was_down_meanwhile_hears_each_beginning_and_end_once_and_in_order(
    web: Web, turns: list[tuple[bool, bool, int]]
) -> None:
    os.environ.update(environment(web))  # hypothesis repeats the body, not the fixtures
    try:
        web.requests.clear()
        taken: list[str] = []
        with TemporaryDirectory() as folder:
            store = Store(settings_in(Path(folder)))
            project = declare(Path(folder), rule("failed_run"), channels=CHANNELS)
            look = looker(store.settings, project, ONCE)
            now = T
            for is_up, is_bad, minutes in [*turns, (True, False, 5)]:
                now += minutes * MINUTE
                status = "failed" if is_bad else "succeeded"
                store.run("hourly", now, MINUTE, status, BROKEN if is_bad else None)
                web.statuses[PAGER] = [200 if is_up else 503]
                heard = len(web.of(PAGER))
                look(now + 2 * MINUTE)
                if is_up:
                    taken += actions(web)[heard:]
            with store.engine.connect() as connection:
                left = connection.execute(
                    select(NOTICES.c.id).where(NOTICES.c.state == "waiting")
                ).all()
            store.close()
        assert not left
        assert re.fullmatch(r"((trigger )+resolve ?)*", " ".join(taken)), taken
        episodes = "".join("b" if bad else "w" for _, bad, _ in turns)
        assert taken.count("resolve") == len(re.findall("b+", episodes)), "none lost, none twice"
    finally:
        for name in environment(web):
            del os.environ[name]


def test_one_channel_that_is_down_or_silent_does_not_hold_up_the_others(
    store: Store, tmp_path: Path, online: Web
) -> None:
    project = declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    store.run("hourly", T, status="failed", detail=BROKEN)
    online.statuses[SLACK] = [0]  # it never answers
    watch = Watch(store.settings, project, HASTY)
    first = watch.look(T + MINUTE)
    assert first.told.sent == {"on_call": 1}
    assert any("channel `chat`" in problem for problem in first.problems)
    online.statuses[SLACK] = [200]
    online.released.set()
    online.released.clear()
    watch.close()
    # What it was not told is kept, and told once the claim on it is free.
    with store.engine.begin() as connection:
        connection.execute(NOTICES.update().values(claimed_until=None))
    later = looker(store.settings, project)(T + 2 * MINUTE)
    assert later.told.sent == {"chat": 1}
    assert not later.problems
    assert actions(online) == ["trigger"]


def test_a_variable_that_is_not_set_is_told_and_the_other_channel_works(
    store: Store, tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK")
    project = declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    store.run("hourly", T, status="failed", detail=BROKEN)
    look = looker(store.settings, project)(T + MINUTE)
    assert look.told.sent == {"on_call": 1}
    (problem,) = look.problems
    assert "channel `chat` needs HOOK, which is not set" in problem
    assert "the alerts failed_run" in problem
    assert actions(online) == ["trigger"]


def test_no_secret_and_nothing_that_people_wrote_is_printed_kept_or_sent(
    store: Store, tmp_path: Path, online: Web, caplog: pytest.LogCaptureFixture
) -> None:
    project = declare(
        tmp_path / "project", rule("failed_run"), rule("quarantine", over="0", within="1d"),
        channels=CHANNELS,
    )  # fmt: skip
    (project / "dbt_project.yml").touch()
    now = datetime.now(UTC)
    store.run("hourly", now - HOUR, status="failed", detail=BROKEN)
    store.refused("kconnect.app-events", 2, now - HOUR)
    online.statuses[SLACK] = [403]
    caplog.set_level(0)
    where = ["--lake", str(store.settings.lake), "--project-dir", str(project)]
    printed = ""
    for command in (
        ["check", "--dry-run"],
        ["check"],
        ["check", "--json"],
        ["list"],
        ["test", "chat"],
    ):
        done = CliRunner().invoke(app, ["alerts", *command, *where])
        printed += done.output + str(done.exception or "")
    assert "failed_run" in printed
    assert "HTTP 403" in printed
    kept = store.settings.lake.joinpath("state.db").read_bytes()
    sent = b"".join(request.body for request in online.requests)
    logged = "\n".join(
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("synapse", "apprise"))
    )
    for secret in (KEY, SLACK_URL, SLACK_URL.rpartition("/")[2]):
        for place in (printed, logged, kept.decode("latin-1")):
            assert secret not in place
    assert b"maria" not in sent
    assert "maria" not in printed + logged


def test_dry_run_says_it_and_does_nothing(store: Store, tmp_path: Path, online: Web) -> None:
    look = looker(
        store.settings, declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    )
    store.run("hourly", T, status="failed", detail=BROKEN)
    for _ in range(2):
        assert [n.kind for n in look(T + MINUTE, dry_run=True).notices] == [Kind.begin]
    assert online.requests == []
    assert look(T + MINUTE).told.sent == {"chat": 1, "on_call": 1}


def test_no_fault_of_the_alerts_reaches_a_run_and_each_is_counted(
    store: Store, tmp_path: Path, online: Web
) -> None:
    said: list[str] = []
    project = declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    store.run("hourly", datetime.now(UTC) - HOUR, status="failed", detail=BROKEN)
    online.statuses[SLACK] = [401]
    after_run(store.settings, project, said.append)
    assert any(line.startswith("alert: [critical] failed_run") for line in said)
    assert any("channel `chat`: it answered HTTP 401" in line for line in said)
    with store.engine.connect() as connection:
        assert len(connection.execute(select(FAULTS)).all()) == 1
    # A store that is down, a file that cannot work, a project without alerts.
    said.clear()
    after_run(replace(store.settings, state="sqlite:////nowhere/state.db"), project, said.append)
    (project / "alerts.yml").write_text(
        "version: 1\nrunbook: r.md\nrules: {}\nchannels: {a: {kind: fax}}"
    )
    after_run(store.settings, project, said.append)
    Sentinel(store.settings, project, said.append)()
    assert len(said) == 3, said
    assert "alerts.yml line" in said[1]
    (project / "alerts.yml").unlink()
    after_run(store.settings, project, said.append)
    assert len(said) == 3


def test_the_sentinel_takes_up_a_changed_file(store: Store, tmp_path: Path, online: Web) -> None:
    said: list[str] = []
    project = declare(tmp_path / "project", rule("failed_run"))
    store.run("hourly", datetime.now(UTC) - HOUR, status="failed", detail=BROKEN)
    look = Sentinel(store.settings, project, said.append)
    look()
    assert said == [], "without channels nobody is told"
    declare(project, rule("failed_run"), channels=CHANNELS)
    os.utime(project / "alerts.yml", (1, 1))
    look()
    look()
    assert actions(online) == ["trigger"]


def test_a_scheduler_tells_what_it_finds_while_nothing_runs(
    store: Store, tmp_path: Path, online: Web
) -> None:
    project = declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    store.run("hourly", datetime.now(UTC), status="failed", detail=BROKEN, scheduled=False)
    command = [sys.executable, str(SCHEDULER), store.settings.state, str(project)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as scheduler:
        try:
            deadline = time.monotonic() + 60
            while len(online.requests) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            scheduler.send_signal(signal.SIGTERM)
    assert actions(online) == ["trigger"]
    assert len(online.of(SLACK)) == 1


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_processes_that_look_at_once_tell_once(
    tmp_path: Path, online: Web, request: pytest.FixtureRequest, engine: str
) -> None:
    where = settings_in(tmp_path)
    if engine == "postgresql":
        server: str = request.getfixturevalue("server")
        name = f"t{uuid.uuid4().hex}"
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"create database {name}"))
        admin.dispose()
        where = replace(where, state=server.replace("/postgres", f"/{name}"))
    store = Store(where)
    project = declare(
        tmp_path / "project", rule("failed_run"), rule("failed_checks"), channels=CHANNELS
    )
    turns = 4
    for turn in range(turns):
        status = "failed" if turn % 2 == 0 else "succeeded"
        store.run("hourly", T + turn * HOUR, MINUTE, status, BROKEN if turn % 2 == 0 else None)
    # Runs that begin later are not seen by who looks at an earlier moment.
    moments = [T + turn * HOUR + 2 * MINUTE for turn in range(turns)]
    ready = SPAWN.Barrier(3)
    processes = [
        SPAWN.Process(target=look_at, args=(where, project, moments, ready)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
        assert process.exitcode == 0
    looker(where, project)(moments[-1])
    store.close()
    assert actions(online) == ["trigger", "resolve"] * (turns // 2)
    assert len(online.of(SLACK)) == turns


def test_the_list_shows_what_fires_and_what_could_not_be_told(
    store: Store, tmp_path: Path, online: Web
) -> None:
    project = declare(tmp_path / "project", rule("failed_run"), channels=CHANNELS)
    (project / "dbt_project.yml").touch()
    store.run("hourly", T, status="failed", detail=BROKEN)
    online.statuses[SLACK] = [403]
    looker(store.settings, project)(T + MINUTE)
    watch = Watch(store.settings, project)
    (firing,) = watch.ledger.firing()
    ((_, standing),) = watch.ledger.standings("failed_run").values()
    watch.close()
    assert (firing.rule, firing.subject, firing.sent, firing.untold) == (
        "failed_run",
        "hourly",
        1,
        1,
    )
    assert standing.state is State.firing
    where = ["--lake", str(store.settings.lake), "--project-dir", str(project)]
    shown = CliRunner().invoke(app, ["alerts", "list", *where])
    assert "failed_run" in shown.output
    assert "hourly" in shown.output

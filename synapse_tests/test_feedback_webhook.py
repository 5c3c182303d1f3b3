"""Every entry reaches the webhook at least once, and no receiver can hold an ingest up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy import create_engine, update

from synapse.feedback.channel import Patience
from synapse.feedback.service import BATCH
from synapse.feedback.settings import FeedbackSettings
from synapse.feedback.webhook import signature
from synapse.ingest import tables as t
from synapse.ingest.quarantine import discard, entries
from synapse.ingest.replay import replay
from synapse.runner.lease import lease
from synapse_tests.feedback_receiver import HASTY, Receiver, feedback_to, quarantine, receiving
from synapse_tests.ingest_lake import AS_OF, EVENTS, event, lines, new_lake

# The example of the Standard Webhooks specification's own tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # pragma: allowlist secret


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as receiver:
        yield receiver


def test_everything_is_told_once_in_bounded_batches(receiver: Receiver, tmp_path: Path) -> None:
    count = 2 * BATCH + 7
    state = quarantine(tmp_path, count)
    feedback = feedback_to(tmp_path, webhook=receiver.url)
    assert feedback.tell(state) == []
    assert [len(request.events) for request in receiver.requests] == [BATCH, BATCH, 7]
    assert len(set(receiver.ids)) == count
    assert feedback.tell(state) == []
    assert len(receiver.requests) == 3


def test_the_message_is_a_cloudevent_that_says_where_and_why(
    receiver: Receiver, tmp_path: Path
) -> None:
    feedback_to(tmp_path, webhook=receiver.url).tell(quarantine(tmp_path, 2))
    (request,) = receiver.requests
    assert request.headers["content-type"].startswith("application/cloudevents-batch+json")
    events = [JSONFormat().read(CloudEvent, orjson.dumps(each)) for each in request.events]
    second = events[1]
    assert second.get_type() == "synapse.quarantine.refused"
    assert second.get_source() == "/synapse/sources/kconnect.app-events"
    assert second.get_data() == {
        "entry_id": f"{1:016x}",
        "state": "refused",
        "source": "kconnect.app-events",
        "kind": "topic",
        "unit": "record",
        "path": f"{EVENTS}/app-events+0+0000000000.json",
        "number": 2,
        "byte_start": 10,
        "byte_end": 19,
        "rule": "column_type",
        "columns": ["user_id"],
        "expectation": "must fit bigint without loss",
        "kafka_topic": "app-events",
        "kafka_partition": 0,
        "kafka_offset": 1,
        "first_seen": "2026-03-01T00:00:00Z",
        "attempts": 1,
        "show": f"synapse quarantine show {1:016x}",
    }


def test_a_secret_signs_as_standard_webhooks_does(receiver: Receiver, tmp_path: Path) -> None:
    request_id = "msg_p5jXN8AQM9LWM0D4loKWxJek"  # pragma: allowlist secret
    message = (request_id, "1614265330", b'{"test": 2432232314}')
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(SECRET, *message) == expected
    feedback_to(tmp_path, webhook=receiver.url, token=SECRET).tell(quarantine(tmp_path, 1))
    (request,) = receiver.requests
    headers = request.headers
    assert headers["webhook-signature"] == signature(
        SECRET, headers["webhook-id"], headers["webhook-timestamp"], request.body
    )
    assert "authorization" not in headers


def test_any_other_token_is_a_bearer_token_even_beside_a_netrc(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    state = quarantine(tmp_path, 1)
    feedback_to(tmp_path, webhook=receiver.url, token="t0ken").tell(state)
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer t0ken"
    assert "webhook-signature" not in request.headers


@pytest.mark.parametrize("status", [500, 503, 408])
def test_a_passing_failure_is_tried_again_with_the_same_id(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.answers = [status, status]
    assert feedback_to(tmp_path, webhook=receiver.url).tell(quarantine(tmp_path, 3)) == []
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3


@pytest.mark.parametrize(
    ("answers", "said", "asked"),
    [
        ([500, 502, 503], "HTTP 503", 3),
        ([401], "HTTP 401", 1),
        ([429], "HTTP 429", 1),
        ([307], "redirects", 1),
    ],
)
def test_what_a_receiver_that_is_down_was_not_told_waits_for_the_next_run(
    receiver: Receiver, tmp_path: Path, answers: list[int], said: str, asked: int
) -> None:
    state = quarantine(tmp_path, BATCH + 1)
    feedback = feedback_to(tmp_path, webhook=receiver.url, token="t0ken")
    receiver.answers = list(answers)
    (notice,) = feedback.tell(state)
    assert said in notice
    assert f"{BATCH + 1} quarantine entries" in notice
    assert "t0ken" not in notice
    assert "/hook" not in notice
    assert len(receiver.requests) == asked
    receiver.requests.clear()
    assert feedback.tell(state) == []
    assert len(set(receiver.ids)) == BATCH + 1


def test_a_batch_that_is_refused_does_not_hold_up_the_others(
    receiver: Receiver, tmp_path: Path
) -> None:
    state = quarantine(tmp_path, 2 * BATCH)
    receiver.answers = [400]
    (notice,) = feedback_to(tmp_path, webhook=receiver.url).tell(state)
    assert f"{BATCH} quarantine entries have not been told" in notice
    assert len(receiver.requests) == 2


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/secret-path"
        (notice,) = feedback_to(tmp_path, webhook=url).tell(quarantine(tmp_path, 1))
    assert "the webhook at 127.0.0.1: it cannot be reached" in notice
    assert "secret-path" not in notice


def test_a_bundle_of_certificates_that_is_not_there_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    feedback = feedback_to(tmp_path, webhook="https://127.0.0.1:1/secret-path")
    (notice,) = feedback.tell(quarantine(tmp_path, 1))
    assert "the request failed (OSError)" in notice


@pytest.mark.parametrize("how", ["never", "trickle"])
def test_telling_ends_while_the_receiver_still_keeps_its_answer_back(
    receiver: Receiver, tmp_path: Path, how: str
) -> None:
    state = quarantine(tmp_path, 1)
    receiver.answers = [getattr(receiver, how)] * 3
    (notice,) = feedback_to(tmp_path, HASTY, webhook=receiver.url).tell(state)
    assert not receiver.released.is_set()
    assert "no answer within" in notice
    assert feedback_to(tmp_path, webhook=receiver.url).tell(state) == []


def test_the_time_for_all_batches_is_bounded_too(receiver: Receiver, tmp_path: Path) -> None:
    state = quarantine(tmp_path, BATCH + 1)
    none_left = Patience(total_seconds=0)
    (notice,) = feedback_to(tmp_path, none_left, webhook=receiver.url).tell(state)
    assert "did not suffice" in notice
    assert receiver.requests == []


def test_each_later_state_is_told_under_its_own_id(receiver: Receiver, tmp_path: Path) -> None:
    state = quarantine(tmp_path, 1)
    feedback = feedback_to(tmp_path, webhook=receiver.url)
    feedback.tell(state)
    engine = create_engine(state)
    for values in ({"attempts": 2}, {"attempts": 3}, {"attempts": 4, "state": "replayed"}):
        with engine.begin() as connection:
            connection.execute(update(t.QUARANTINE).values(**values))
        feedback.tell(state)
        feedback.tell(state)
    engine.dispose()
    assert receiver.states == ["refused", "failed_again", "failed_again", "replayed"]
    assert len(set(receiver.ids)) == 4


def test_two_runs_at_once_do_not_both_tell(receiver: Receiver, tmp_path: Path) -> None:
    state = quarantine(tmp_path, 1)
    with lease(state, "other", name="feedback"):
        (notice,) = feedback_to(tmp_path, webhook=receiver.url).tell(state)
    assert "another run" in notice
    assert receiver.requests == []


def _tell(folder: Path, url: str, state: str) -> None:
    feedback_to(folder, webhook=url).tell(state)


def test_a_run_killed_before_it_has_the_answer_tells_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    state = quarantine(tmp_path, BATCH + 1)
    context = multiprocessing.get_context("spawn")
    teller = context.Process(target=_tell, args=(tmp_path, receiver.url, state))

    def kill(_: BaseHTTPRequestHandler) -> None:
        assert teller.pid is not None
        # Only the main thread waits for it: two that do take the exit code from each other.
        os.kill(teller.pid, signal.SIGKILL)

    receiver.answers = [204, kill]
    teller.start()
    teller.join()
    assert teller.exitcode == -signal.SIGKILL
    told = receiver.ids
    receiver.requests.clear()
    assert feedback_to(tmp_path, webhook=receiver.url).tell(state) == []
    assert receiver.ids == told[BATCH:]


def test_ingest_replay_and_discard_tell_once_they_have_committed(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_FEEDBACK_WEBHOOK", receiver.url)
    lake = new_lake(tmp_path)
    path = f"{EVENTS}/app-events+0+0000000000.json"
    lake.land(path, lines([b"{", event(1), event(2, user_id=str(2**63)), event(3, user_id="x")]))
    assert lake.ingest().notices == []
    assert receiver.states == ["refused"] * 3
    sources = lake.project / "models" / "bronze" / "_sources.yml"
    sources.write_text(
        sources.read_text().replace("user_id, data_type: bigint", "user_id, data_type: varchar", 1)
    )
    receiver.requests.clear()
    report = replay(lake.settings, lake.project, as_of=AS_OF)
    assert report.notices == []
    assert sorted(receiver.states) == ["failed_again", "failed_again", "replayed"]
    receiver.requests.clear()
    discard(lake.settings, [entries(lake.settings)[0].id], "it is garbage")
    assert receiver.states == ["discarded"]
    assert b"garbage" not in receiver.requests[0].body
    receiver.requests.clear()
    assert lake.ingest().notices == []
    assert receiver.requests == []


def test_an_ingest_succeeds_and_says_who_could_not_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv("SYNAPSE_FEEDBACK_WEBHOOK", f"http://127.0.0.1:{port}/")
        lake = new_lake(tmp_path)
        lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([b"{", event(1)]))
        report = lake.ingest()
    assert (report.accepted, report.quarantined) == (1, 1)
    assert any("have not been told" in notice for notice in report.notices)


def test_without_settings_nobody_is_told(tmp_path: Path) -> None:
    state = f"sqlite:///{tmp_path / 'no' / 'state.db'}"
    assert feedback_to(tmp_path).tell(state) == []
    assert FeedbackSettings() == feedback_to(tmp_path).settings


def test_a_state_store_that_cannot_be_used_is_a_notice(tmp_path: Path) -> None:
    state = f"sqlite:///{tmp_path / 'no' / 'state.db'}"
    (notice,) = feedback_to(tmp_path, webhook="http://127.0.0.1:1/").tell(state)
    assert "producers were not told" in notice

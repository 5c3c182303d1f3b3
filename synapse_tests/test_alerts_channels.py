"""Each channel against a real receiver here: HTTPS, SMTP, SNS, ServiceNow's table API."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from athena_local import aws
from athena_local.parts import start, stop, wait_ready
from athena_local.ports import reserved_ports
from athena_local.stack import moto_part
from synapse.alerts.delivery import send
from synapse.alerts.load import load_alerts
from synapse.alerts.notice import Notice
from synapse.alerts.sender import NotSentError, Sender, sender_of
from synapse.alerts.service import trial_notices
from synapse.alerts.standing import Kind
from synapse.cli import app
from synapse.errors import SynapseError
from synapse.schedules.load import load_schedules
from synapse_tests.alert_project import PATIENT, declare, rule, settings_in
from synapse_tests.alert_receivers import Web, mail_server, servicenow, the_web
from synapse_tests.aws_parts import client

PAGER, SLACK, TEAMS = "events.pagerduty.com", "hooks.slack.com", "prod-1.logic.azure.com"
KEY = "f" * 31 + "0"
SLACK_URL = "https://hooks.slack.com/services/" + "/".join(("T0AAAA", "B0BBBB", "CcCcCcCcCcCc"))
TEAMS_URL = (
    "https://prod-1.logic.azure.com:443/workflows/0123456789abcdef/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=AbCdEf0123456789"
)
NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with the_web(tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def online(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """This process reaches the web through the proxy, and trusts its authority."""
    monkeypatch.setenv("HTTPS_PROXY", web.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", web.authority)
    web.requests.clear()
    web.statuses.clear()
    return web


def sender(folder: Path, channel: str) -> Sender:
    """The sender of the one channel of a project."""
    declare(folder, rule("failed_run"), channels=f"{{it: {{{channel}}}}}")
    return sender_of("it", load_alerts(folder, load_schedules(folder)), PATIENT)


def notices(folder: Path) -> list[Notice]:
    """A beginning, a reminder and a recovery of one subject."""
    begin, recovery = trial_notices(settings_in(folder), NOW)
    return [begin, replace(begin, kind=Kind.repeat, title=f"still: {begin.title}"), recovery]


def test_slack_takes_all_of_a_notice(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SLACK_URL)
    slack = sender(tmp_path, 'kind: slack, url: "${HOOK}"')
    for notice in notices(tmp_path):
        slack.send(notice)
    first, _, last = online.of(SLACK)
    assert first.path == SLACK_URL.removeprefix("https://hooks.slack.com")
    text = first.body.decode()
    for part in ("somebody tries this channel", "owner whoever sent it", "docs/runbook.md#alerts"):
        assert part in text
    assert "over: test" in last.body.decode()


def test_teams_gets_an_adaptive_card(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", TEAMS_URL)
    sender(tmp_path, 'kind: teams, url: "${HOOK}"').send(notices(tmp_path)[0])
    (request,) = online.of(TEAMS)
    assert request.path.startswith("/workflows/0123456789abcdef/triggers/manual/paths/invoke?")
    assert "sig=AbCdEf0123456789" in request.path
    (card,) = request.json["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert "somebody tries this channel" in orjson.dumps(card["content"]["body"]).decode()


def test_pagerduty_resolves_the_incident_that_it_opened(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", KEY)
    pager = sender(tmp_path, 'kind: pagerduty, key: "${PAGER_KEY}"')
    for notice in notices(tmp_path):
        pager.send(notice)
    events = [request.json for request in online.of(PAGER)]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    assert {event["routing_key"] for event in events} == {KEY}
    payload = events[0]["payload"]
    assert payload["severity"] == "info"
    assert "somebody tries this channel" in payload["summary"]


def test_any_service_of_apprise_can_be_a_channel(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY", "jsons://receiver.example.com/alerts")
    sender(tmp_path, 'kind: apprise, url: "${ANY}"').send(notices(tmp_path)[0])
    (request,) = online.of("receiver.example.com")
    assert request.json["title"].startswith("[info] test: somebody tries")


def test_mail_goes_over_tls_with_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tmp_path, "synapse", "pa$$ word/1") as (box, authority):
        monkeypatch.setenv("SSL_CERT_FILE", authority)
        monkeypatch.setenv("MAIL_PASSWORD", "pa$$ word/1")
        said = (
            f"kind: email, host: 127.0.0.1, port: {box.port}, sender: synapse@example.com, "
            "recipients: [data@example.com, oncall@example.com], user: synapse, "
            'password: "${MAIL_PASSWORD}"'
        )
        mail = sender(tmp_path, said)
        for notice in notices(tmp_path):
            mail.send(notice)
        monkeypatch.setenv("MAIL_PASSWORD", "another")
        with pytest.raises(NotSentError):
            sender(tmp_path, said).send(notices(tmp_path)[0])
    assert sorted(name for each in box.recipients[:2] for name in each) == [
        "data@example.com",
        "oncall@example.com",
    ]
    first = box.mails[0]
    assert first["subject"].startswith("[info] test: somebody tries")
    assert "synapse@example.com" in first["from"]
    body = first.get_body(("plain",))
    assert body is not None
    assert "owner whoever sent it" in body.get_content()
    assert len(box.mails) == 6


def test_sns_publishes_what_a_queue_then_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reserved_ports(1, None, tmp_path / "ports") as (port,):
        running = start([moto_part(tmp_path, port)], {})
        try:
            wait_ready(running, 120)
            url = f"http://127.0.0.1:{port}"
            sns, sqs = client("sns", url), client("sqs", url)
            arn = sns.create_topic(Name="alerts")["TopicArn"]
            queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
            sns.subscribe(
                TopicArn=arn,
                Protocol="sqs",
                Endpoint=sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
                    "Attributes"
                ]["QueueArn"],
            )
            monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", url)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.ACCESS_KEY)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.SECRET_KEY)
            topic = sender(tmp_path, f'kind: sns, topic_arn: "{arn}"')
            topic.send(notices(tmp_path)[0])
            (taken,) = sqs.receive_message(QueueUrl=queue)["Messages"]
            gone = sender(tmp_path, f'kind: sns, topic_arn: "{arn}x"')
            with pytest.raises(NotSentError, match="NotFound") as error:
                gone.send(notices(tmp_path)[0])
            assert not error.value.is_worth_repeating
        finally:
            stop(running)
    message = orjson.loads(taken["Body"])
    assert message["Subject"].startswith("[info] test: somebody tries")
    assert "owner whoever sent it" in message["Message"]
    assert message["MessageAttributes"]["kind"]["Value"] == "begin"


def test_servicenow_keeps_one_incident_a_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOW_PASSWORD", "s3cret")
    with servicenow() as instance:
        now = sender(
            tmp_path,
            f'kind: servicenow, instance: "{instance.url}", user: synapse, '
            'password: "${NOW_PASSWORD}", assignment_group: Data',
        )
        begin, repeat, recovery = notices(tmp_path)
        instance.statuses.extend([503, 429])
        send(now, begin, PATIENT, 60)  # what passes is tried again
        for notice in (repeat, recovery, begin):
            now.send(notice)
        instance.statuses.append(401)
        with pytest.raises(NotSentError, match="HTTP 401") as error:
            now.send(repeat)
        assert not error.value.is_worth_repeating
        now.send(recovery)
        now.send(recovery)  # of what is resolved already
    first, second = instance.incidents.values()
    assert (first["state"], second["state"]) == ("6", "6"), "one resolved, then another, resolved"
    assert first["short_description"].startswith("[info] test: somebody tries")
    assert (first["urgency"], first["assignment_group"]) == ("3", "Data")
    assert first["notes"][0].startswith("still: [info] test")
    basic = base64.b64encode(b"synapse:s3cret").decode()
    assert instance.authorizations == {f"Basic {basic}"}


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (403, 1)])
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    monkeypatch.setenv("HOOK", SLACK_URL)
    online.statuses[SLACK] = [status]
    with pytest.raises(NotSentError, match=f"HTTP {status}"):
        send(sender(tmp_path, 'kind: slack, url: "${HOOK}"'), notices(tmp_path)[0], PATIENT, 60)
    assert len(online.of(SLACK)) == tries


@pytest.mark.parametrize(
    ("channel", "value", "says"),
    [
        ('kind: slack, url: "${HOOK}"', "https://example.com/s3cret", "no incoming webhook"),
        ('kind: teams, url: "${HOOK}"', "https://example.com/s3cret", "no workflow of Teams"),
        ('kind: apprise, url: "${HOOK}"', "nothing://s3cret", "none that apprise knows"),
        ('kind: slack, url: "${HOOK}"', "", "needs HOOK, which is not set.*alerts failed_run"),
    ],
)
def test_a_channel_that_cannot_be_is_told_without_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str, value: str, says: str
) -> None:
    monkeypatch.setenv("HOOK", value)
    with pytest.raises(SynapseError, match=says) as error:
        sender(tmp_path, channel)
    assert "alerts.yml line 3: channel `it`" in str(error.value)
    assert "s3cret" not in str(error.value)


def test_the_command_tries_a_channel_and_leaves_nothing_open(
    tmp_path: Path, online: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", KEY)
    settings = settings_in(tmp_path)
    project = declare(
        tmp_path, rule("failed_run"), channels='{on_call: {kind: pagerduty, key: "${PAGER_KEY}"}}'
    )
    where = ["--lake", str(settings.lake), "--project-dir", str(project)]
    (project / "dbt_project.yml").touch()
    done = CliRunner().invoke(app, ["alerts", "test", "on_call", *where])
    assert done.exit_code == 0, done.output
    assert [r.json["event_action"] for r in online.of(PAGER)] == ["trigger", "resolve"]
    online.statuses[PAGER] = [400]
    refused = CliRunner().invoke(app, ["alerts", "test", "on_call", *where])
    assert isinstance(refused.exception, SynapseError)
    assert "HTTP 400" in str(refused.exception)
    unknown = CliRunner().invoke(app, ["alerts", "test", "chat", *where])
    assert "there are: on_call" in str(unknown.exception)

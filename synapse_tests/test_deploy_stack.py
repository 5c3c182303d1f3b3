"""The stacks on moto, over HTTP, and what their state machines do there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from athena_local.ports import reserved_ports
from synapse.deploy.render import render
from synapse.generate.service import generate
from synapse.schedules.load import load_schedules
from synapse.schedules.occurrences import latest_time
from synapse_tests.aws_parts import client
from synapse_tests.cloud_templates import load_template
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE

ACCOUNT = "123456789012"
SECONDS = 120


@dataclass(frozen=True)
class Cloud:
    """The server, the project that it runs and what was rendered of it."""

    url: str
    project: Path
    folder: Path
    home: Path

    def client(self, service: str) -> Any:
        return client(service, self.url)

    @property
    def lake(self) -> str:
        return f"synapse-dev-lake-{ACCOUNT}"

    def deploy(self, name: str, parameters: dict[str, str]) -> None:
        self.client("cloudformation").create_stack(
            StackName=f"synapse-dev-{name}",
            TemplateBody=(self.folder / f"{name}.yml").read_text(),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in {"Environment": "dev", **parameters}.items()
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

    def at(self, name: str) -> str:
        """The schedule's latest time as EventBridge Scheduler writes it."""
        cron = load_schedules(self.project)[name].cron
        return f"{latest_time(cron, datetime.now(UTC), TIMEZONE):%Y-%m-%dT%H:%M:%SZ}"

    def start(self, name: str, at: str, how: str = "--occurrence") -> str:
        states = self.client("stepfunctions")
        started = states.start_execution(
            stateMachineArn=f"arn:aws:states:sa-east-1:{ACCOUNT}:stateMachine:synapse-dev-{name}",
            name=uuid.uuid4().hex,
            input=json.dumps({"how": how, "at": at, "tries": 0}),
        )
        return str(started["executionArn"])

    def end(self, execution: str) -> tuple[str, list[str]]:
        """Its status once it has ended, and the states that it went through."""
        states = self.client("stepfunctions")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            told = states.describe_execution(executionArn=execution)
            if told["status"] != "RUNNING":
                sys.stdout.write(f"{told.get('error')}: {told.get('cause')}\n")  # of a failed test
                events = states.get_execution_history(executionArn=execution)["events"]
                entered = [e["stateEnteredEventDetails"]["name"] for e in events
                           if "stateEnteredEventDetails" in e]  # fmt: skip
                for event in events:
                    if "Failed" in event["type"]:
                        sys.stdout.write(f"{event}\n")
                return told["status"], entered
            time.sleep(0.1)
        raise TimeoutError(execution)


def project_with_quiet_crons(folder: Path) -> Path:
    """The project with times that do not come while the test runs."""
    folder.mkdir()
    for path in PROJECT_DIR.iterdir():
        if not path.name.startswith(".") and path.name != "schedules.yml":
            (folder / path.name).symlink_to(path)
    text = (PROJECT_DIR / "schedules.yml").read_text()
    for cron in ('"5 * * * *"', '"30 4 * * *"'):
        assert cron in text
        text = text.replace(cron, '"15 3 1 1 *"')
    text = text.replace("throttled: 3, locked: 3, network: 3", "throttled: 1, network: 1")
    (folder / "schedules.yml").write_text(text)
    return folder


@contextlib.contextmanager
def served(folder: Path, project: Path) -> Iterator[str]:
    with reserved_ports(1, None, folder / "ports") as (port,):
        url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if "SYNAPSE" not in name},
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
            "AWS_REGION": "sa-east-1",
            "AWS_DEFAULT_REGION": "sa-east-1",
            "AWS_ENDPOINT_URL": url,
            "SYNAPSE_LAKE": f"s3://synapse-dev-lake-{ACCOUNT}",
            "SYNAPSE_HOME": str(folder / "home"),
            # The place of the state store: moto has no PostgreSQL in its RDS.
            "SYNAPSE_STATE": f"sqlite:///{folder / 'state.db'}",
            "SYNAPSE_BUSINESS_TIMEZONE": TIMEZONE,
            "SYNAPSE_ON_LANDING": (
                f"arn:aws:states:sa-east-1:{ACCOUNT}:stateMachine:synapse-dev-hourly"
            ),
        }
        command = [sys.executable, "-m", "synapse_tests.cloud_server", "--port", str(port)]
        log = (folder / "server.log").open("w")
        environment["PYTHONPATH"] = str(PROJECT_DIR)
        server = subprocess.Popen(
            command, cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_ready(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(20)
            log.close()


def _wait_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(Exception):
            client("sts", url).get_caller_identity()
            return
        time.sleep(0.1)
    raise TimeoutError("the server does not answer")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    project = project_with_quiet_crons(folder / "project")
    rendered = folder / "rendered"
    render(PROJECT_DIR, load_schedules(project), TIMEZONE, rendered)
    with served(folder, project) as url:
        cloud = Cloud(url, project, rendered, folder / "home")
        ec2 = cloud.client("ec2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = ",".join(each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2])
        registry = f"{ACCOUNT}.dkr.ecr.sa-east-1.amazonaws.com"
        cloud.deploy("storage", {})
        cloud.deploy(
            "runtime",
            {
                "VpcId": vpc,
                "SubnetIds": subnets,
                "ImageUri": f"{registry}/synapse@sha256:{'0' * 64}",
                "RepositoryArn": f"arn:aws:ecr:sa-east-1:{ACCOUNT}:repository/synapse",
            },
        )
        cloud.deploy("schedules", {"SubnetIds": subnets})
        yield cloud


def test_every_resource_of_every_template_was_made(cloud: Cloud) -> None:
    formation = cloud.client("cloudformation")
    for name in ("storage", "runtime", "schedules"):
        stack = f"synapse-dev-{name}"
        (told,) = formation.describe_stacks(StackName=stack)["Stacks"]
        assert told["StackStatus"] == "CREATE_COMPLETE"
        resources = formation.describe_stack_resources(StackName=stack)["StackResources"]
        wanted = load_template(cloud.folder / f"{name}.yml")["Resources"]
        assert {each["LogicalResourceId"] for each in resources} == set(wanted)


def test_what_was_made_is_as_the_templates_say(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        closed = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(closed.values()) == {True}
        assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
        assert "kms" in json.dumps(
            s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        )
    workgroup = cloud.client("athena").get_work_group(WorkGroup="synapse-dev")["WorkGroup"]
    assert workgroup["Configuration"]["EnforceWorkGroupConfiguration"] is True
    assert workgroup["Configuration"]["BytesScannedCutoffPerQuery"] == 2**40
    databases = cloud.client("glue").get_databases()["DatabaseList"]
    words = ("bronze", "silver", "gold", "ops", "snapshots")
    assert {each["Name"] for each in databases} == {f"synapse_dev_{word}" for word in words}
    scheduler = cloud.client("scheduler")
    listed = scheduler.list_schedules(GroupName="synapse-dev")["Schedules"]
    names = set(load_schedules(cloud.project).by_name)
    assert {each["Name"] for each in listed} == {*names, "synapse-watch"}
    for name in names:
        told = scheduler.get_schedule(Name=name, GroupName="synapse-dev")
        assert told["Target"]["Arn"].endswith(f"stateMachine:synapse-dev-{name}")
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 2 * len(names) + 4


def test_a_run_that_never_begins_is_tried_again_and_then_told(cloud: Cloud) -> None:
    """Nothing has landed: the Lambda refuses, the run does, and somebody hears of it."""
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    queue = sqs.create_queue(QueueName="somebody")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    (topic,) = (each["TopicArn"] for each in sns.list_topics()["Topics"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    at = cloud.at("hourly")
    status, states = cloud.end(cloud.start("hourly", at))
    assert status == "FAILED"
    once = ["Ask", "Decide", "Ingest", "Run", "Count"]
    assert states == [*once, *once, "Ask", "Decide", "Tell", "Failed"], "as often as retries say"
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == "Synapse dev: hourly failed"
    assert at in told["Message"]
    assert "ended 2 times before it began" in told["Message"]
    # Whoever asks later is told the same, and nothing is started.
    assert cloud.end(cloud.start("hourly", at)) == ("FAILED", ["Ask", "Decide", "Tell", "Failed"])


def test_what_lands_is_told_to_the_queue_ingested_and_run(cloud: Cloud, tmp_path: Path) -> None:
    """From S3's notification to a run, and each time of a schedule once."""
    generate(tmp_path, users=5, days=3, seed=7, append=False, hazards="none")
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    # moto knows no conditions: to it, "deny all without TLS" is "deny all".
    s3.delete_bucket_policy(Bucket=cloud.lake)
    # And no batches: it would start a run for each object.
    functions = cloud.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    for path in sorted((tmp_path / "bronze").rglob("*")):
        if path.is_file():
            key = path.relative_to(tmp_path).as_posix()
            s3.put_object(Bucket=cloud.lake, Key=key, Body=path.read_bytes())
    queue = sqs.get_queue_url(QueueName="synapse-dev-landed")["QueueUrl"]
    received = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["SentTimestamp"]
    )["Messages"]
    assert any("bronze/" in unquote(each["Body"]) for each in received)

    invoke = functions.invoke
    ingested = invoke(FunctionName="synapse-dev-ingest", Payload=json.dumps(
        {"do": "ingest", "schedule": "hourly", "at": "2026-06-01T00:00:00Z", "sweep": True,
         "seconds": 0.0}))  # fmt: skip
    slices = [json.loads(ingested["Payload"].read())]
    assert slices[0]["is_finished"] is False, "its time is over after the first source"
    assert slices[0]["accepted"] > 0

    status, states = cloud.end(cloud.start("maintenance", cloud.at("maintenance")))
    assert (status, states) == (
        "SUCCEEDED", ["Ask", "Decide", "Run", "Count", "Ask", "Decide", "Done"],
    )  # fmt: skip
    again = cloud.end(cloud.start("maintenance", cloud.at("maintenance")))
    assert again == ("SUCCEEDED", ["Ask", "Decide", "Done"])

    records = [
        {"messageId": each["MessageId"], "body": each["Body"], "attributes": each["Attributes"]}
        for each in received
    ]
    for _ in range(2):  # a batch that comes again starts nothing more
        answer = invoke(FunctionName="synapse-dev-ingest", Payload=json.dumps({"Records": records}))
        assert "FunctionError" not in answer, answer["Payload"].read()
    executions = cloud.client("stepfunctions").list_executions(
        stateMachineArn=f"arn:aws:states:sa-east-1:{ACCOUNT}:stateMachine:synapse-dev-hourly"
    )["executions"]
    landed = [each for each in executions if each["name"].startswith("landed-")]
    assert len(landed) == 1

"""What `synapse deploy aws` renders: one of each for each schedule, and no right too many."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pyawscron import AWSCron
from statelint.config import Config
from statelint.linter import Linter
from typer.testing import CliRunner

from synapse.athena.warehouse import recorded_table
from synapse.cli import app
from synapse.deploy.cron_expression import expression, skipped_times
from synapse.deploy.render import render
from synapse.deploy.schedules_template import schedules_template
from synapse.deploy.state_machine import AWS_ERRORS, state_machine
from synapse.errors import SynapseError
from synapse.lake import WRITTEN
from synapse.publish.model import FOLDER as PUBLISHED
from synapse.runner.record import RECORDED
from synapse.schedules.load import load_schedules
from synapse.schedules.model import Ingest
from synapse.schedules.occurrences import times_between
from synapse_tests.cloud_templates import load_template, policies, statements
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE

SCHEDULES = load_schedules(PROJECT_DIR)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aws")
    render(PROJECT_DIR, SCHEDULES, TIMEZONE, folder)
    return folder


@pytest.fixture(scope="module")
def templates(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: load_template(path) for path in sorted(folder.glob("*.yml"))}


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def test_the_command_renders_and_calls_nobody(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # whoever calls is refused
    arguments = ["deploy", "aws", "--project-dir", str(PROJECT_DIR), "--out", str(tmp_path)]
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, SynapseError)
    assert "--plan" in str(refused.exception)
    done = CliRunner().invoke(app, [*arguments, "--plan", "--json"])
    assert done.exit_code == 0, done.output
    files = [Path(path).name for path in json.loads(done.output)["files"]]
    assert files == ["storage.yml", "runtime.yml", "schedules.yml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_cfn_lint_finds_nothing_and_would_find_something(folder: Path, tmp_path: Path) -> None:
    def lint(*paths: Path) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("cfn-lint")), *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    found = lint(*sorted(folder.glob("*.yml")))
    assert (found.returncode, found.stdout) == (0, "")
    broken = tmp_path / "storage.yml"
    broken.write_text((folder / "storage.yml").read_text().replace("aws:kms", "aws:kmz"))
    assert lint(broken).returncode != 0


def test_each_schedule_has_one_machine_and_one_time_and_nothing_else_has(
    templates: dict[str, dict[str, Any]],
) -> None:
    template = templates["schedules"]
    machines = of_type(template, "AWS::StepFunctions::StateMachine")
    names = [each["StateMachineName"]["Fn::Sub"] for each in machines.values()]
    assert names == [f"synapse-${{Environment}}-{name}" for name in SCHEDULES.by_name]
    times = of_type(template, "AWS::Scheduler::Schedule")
    watch = times.pop("Watch")
    assert json.loads(watch["Target"]["Input"]) == {"do": "watch"}
    assert {each["Name"] for each in times.values()} == set(SCHEDULES.by_name)
    assert len(times) == len(SCHEDULES.by_name)
    for each in times.values():
        schedule = SCHEDULES[each["Name"]]
        told = expression(schedule.cron, TIMEZONE)
        assert each["ScheduleExpression"] == told.text
        assert each["ScheduleExpressionTimezone"] == told.timezone
        started = machines[each["Target"]["Arn"]["Ref"]]["StateMachineName"]["Fn::Sub"]
        assert started == f"synapse-${{Environment}}-{each['Name']}"
    for kind in ("failed", "late"):
        alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
        said = [each["AlarmName"]["Fn::Sub"] for each in alarms]
        for name in SCHEDULES.by_name:
            assert said.count(f"synapse-${{Environment}}-{name}-{kind}") == 1
    # Nothing by hand starts a run at a time: that would be a second schedule.
    for name in ("storage", "runtime"):
        assert not of_type(templates[name], "AWS::Scheduler::Schedule")
        assert not of_type(templates[name], "AWS::Events::Rule")


def problems(machine: dict[str, Any]) -> list[str]:
    """What statelint, a port of AWS's own, finds wrong with a definition."""
    # Its URI check wants an ARN whose parts are filled in.
    text = json.dumps(machine).replace("${AWS::Partition}", "aws")
    return list(Linter.validate(text, Config()))


@pytest.mark.parametrize("name", SCHEDULES.by_name)
def test_a_machine_does_what_its_schedule_declares(name: str) -> None:
    schedule, machine = SCHEDULES[name], state_machine(name, SCHEDULES[name])
    states = machine["States"]
    assert problems(machine) == []
    assert ("Ingest" in states) == (schedule.ingest is not Ingest.none)
    if "Ingest" in states:
        assert states["Ingest"]["Parameters"]["Payload"]["sweep"] == (
            schedule.ingest is Ingest.sweep
        )
        assert states["Ingest"]["TimeoutSeconds"] <= 900, "Lambda ends it then"
    (container,) = states["Run"]["Parameters"]["Overrides"]["ContainerOverrides"]
    assert container["Command.$"].startswith(f"States.Array('run', '{name}', $.how, $.at")
    retried = {
        kind: each["MaxAttempts"]
        for each in states["Run"]["Retry"]
        for kind, errors in AWS_ERRORS.items()
        if each["ErrorEquals"] == list(errors)
    }
    assert retried == dict(schedule.retries)
    # It may wait for a lease as long as it may run, and must outlive its own time-out.
    assert states["Run"]["TimeoutSeconds"] > 2 * schedule.timeout.total_seconds()
    assert machine["TimeoutSeconds"] > states["Run"]["TimeoutSeconds"]
    assert states["Tell"]["Next"] == "Failed"


def test_statelint_would_find_a_state_that_nobody_has() -> None:
    machine = state_machine("hourly", SCHEDULES["hourly"])
    machine["States"]["Wait"]["Next"] = "Nowhere"
    assert problems(machine)


# -- rights


def test_no_statement_allows_every_action_or_every_resource_where_one_could_be_named(
    templates: dict[str, dict[str, Any]],
) -> None:
    # Actions for which AWS has no ARN (Service Authorization Reference).
    nameless = {
        "ecr:GetAuthorizationToken",
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
    }
    seen = 0
    for template in templates.values():
        for _, policy in policies(template):
            for statement in statements(policy):
                seen += 1
                if statement["Effect"] == "Deny":
                    continue
                assert not [a for a in statement["Action"] if a == "*" or a.endswith(":*")]
                if "*" in statement["Resource"]:
                    assert set(statement["Action"]) <= nameless, statement
    assert seen > 15


def granted(template: dict[str, Any], role: str) -> Iterator[dict[str, Any]]:
    """Statements that a role has, with those of the managed policies that it names."""
    properties = template["Resources"][role]["Properties"]
    for policy in properties.get("Policies", ()):
        yield from statements(policy["PolicyDocument"])
    for managed in properties.get("ManagedPolicyArns", ()):
        document = template["Resources"][managed["Ref"]]["Properties"]["PolicyDocument"]
        yield from statements(document)


@pytest.mark.parametrize("role", ["RunnerRole", "IngestRole"])
def test_a_run_can_neither_delete_nor_overwrite_what_landed(
    templates: dict[str, dict[str, Any]], role: str
) -> None:
    own = list(granted(templates["runtime"], role))
    assert any("s3:GetObject" in each["Action"] for each in own), "it reads what landed"
    recorded = recorded_table(RECORDED[0]).location.split("/")[0]
    written = set()
    for statement in own:
        harms = [a for a in statement["Action"] if re.match(r"s3:(Delete|Put|\*)", a)]
        for resource in statement["Resource"] if harms else ():
            text = json.dumps(resource)
            if "LakeBucket" in text:
                found = re.search(r"\$\{Bucket\}/([a-z]+)/\*", text)
                assert found, text
                # `synapse maintain` forgets recorded days, and nothing else of the lake.
                allowed = {"s3:PutObject"} | (
                    {"s3:DeleteObject"} if found[1] == recorded else set()
                )
                assert set(harms) <= allowed, statement
                written.add(found[1])
    assert written == {*WRITTEN, PUBLISHED, recorded}
    # And whatever a role may be granted later, the bucket refuses.
    (lake,) = (
        each
        for each in of_type(templates["storage"], "AWS::S3::BucketPolicy").values()
        if each["Bucket"] == {"Ref": "LakeBucket"}
    )
    refused = [s for s in statements(lake["PolicyDocument"]) if s["Sid"].startswith("Runs")]
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion"} <= set(refused[0]["Action"])
    named = templates["runtime"]["Resources"][role]["Properties"]["RoleName"]["Fn::Sub"]
    assert named in json.dumps(refused[0]["Condition"])


@pytest.mark.parametrize("role", ["StatesRole", "SchedulerRole", "StartRole", "IngestRole"])
def test_only_the_runner_touches_tables(templates: dict[str, dict[str, Any]], role: str) -> None:
    for statement in granted(templates["runtime"], role):
        assert not [a for a in statement["Action"] if a.startswith(("athena:", "glue:"))]


def test_every_bucket_is_encrypted_versioned_closed_and_asks_for_tls(
    templates: dict[str, dict[str, Any]],
) -> None:
    storage = templates["storage"]
    buckets = of_type(storage, "AWS::S3::Bucket")
    assert len(buckets) == 3
    rules = {
        each["Bucket"]["Ref"]: list(statements(each["PolicyDocument"]))
        for each in of_type(storage, "AWS::S3::BucketPolicy").values()
    }
    for name, bucket in buckets.items():
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert bucket["LifecycleConfiguration"]["Rules"]
        assert storage["Resources"][name]["DeletionPolicy"] == "Retain"
        (tls,) = (each for each in rules[name] if each["Sid"] == "OnlyOverTls")
        assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", ["s3:*"])
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert storage["Resources"]["Key"]["Properties"]["EnableKeyRotation"] is True
    (workgroup,) = of_type(storage, "AWS::Athena::WorkGroup").values()
    limits = workgroup["WorkGroupConfiguration"]
    assert limits["EnforceWorkGroupConfiguration"] is True
    assert "BytesScannedCutoffPerQuery" in limits
    assert "3" in limits["EngineVersion"]["SelectedEngineVersion"]


def test_no_secret_is_in_a_template_or_in_the_environment_of_what_runs(
    templates: dict[str, dict[str, Any]],
) -> None:
    runtime = templates["runtime"]["Resources"]
    (container,) = runtime["Runner"]["Properties"]["ContainerDefinitions"]
    secrets = {each["Name"] for each in container["Secrets"]}
    assert secrets == {"PGPASSWORD", "SYNAPSE_PSEUDONYM_KEY"}
    assert not secrets & {each["Name"] for each in container["Environment"]}
    assert "resolve:" not in json.dumps(runtime["Ingest"])
    assert "resolve:" not in json.dumps(container)


def test_what_a_template_imports_another_exports(templates: dict[str, dict[str, Any]]) -> None:
    def exported(name: str) -> set[str]:
        outputs = templates[name].get("Outputs", {}).values()
        return {each["Export"]["Name"]["Fn::Sub"] for each in outputs}

    def imported(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "Fn::ImportValue" in value:
                yield value["Fn::ImportValue"]["Fn::Sub"]
            for each in value.values():
                yield from imported(each)
        elif isinstance(value, list):
            for each in value:
                yield from imported(each)

    assert set(imported(templates["runtime"])) <= exported("storage")
    before = exported("storage") | exported("runtime")
    assert set(imported(templates["schedules"])) <= before
    wanted = set(imported(templates["schedules"])) | set(imported(templates["runtime"]))
    assert before == wanted, "nothing is exported for nobody"


# -- times


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    span = st.tuples(one, one).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 7)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    plain = st.one_of(one.map(str), span)
    listed = st.lists(plain, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), listed, step)


days = st.one_of(fields(1, 28), st.just("L"))
weekdays = st.one_of(
    fields(0, 6),
    st.sampled_from(["mon-fri", "7", "0", "sun", "1#2", "5L"]),
)
crons = st.one_of(
    st.tuples(fields(0, 59), fields(0, 23), days, fields(1, 12), st.just("*")),
    st.tuples(fields(0, 59), fields(0, 23), st.just("*"), fields(1, 12), weekdays),
).map(" ".join)


def aws_times(text: str, begin: datetime, until: datetime) -> list[datetime]:
    """The times that a reader of AWS's own grammar finds in (begin, until]."""
    found: list[datetime] = []
    moment = begin
    cron = AWSCron(re.fullmatch(r"cron\((.*)\)", text)[1])  # type: ignore[index]
    while len(found) < 400:
        moment = cron.occurrence(moment).next()
        if moment is None or moment > until:
            break
        found.append(moment)
    return found


@settings(max_examples=150, deadline=None)
@given(crons)
def test_aws_reads_the_translation_as_cron_reads_the_original(cron: str) -> None:
    told = expression(cron, "UTC")
    until = BEGIN + YEAR
    theirs = aws_times(told.text, BEGIN, until)
    ours = times_between(cron, BEGIN, theirs[-1] if len(theirs) == 400 else until, "UTC")
    assert ours == theirs, told


@pytest.mark.parametrize("timezone", ["America/Sao_Paulo", "Europe/Lisbon", "America/New_York"])
def test_what_runs_every_hour_is_said_in_utc_where_no_hour_is_lost(timezone: str) -> None:
    told = expression("5 * * * *", timezone)
    assert told.timezone == "UTC"
    assert times_between("5 * * * *", BEGIN, BEGIN + YEAR, timezone) == times_between(
        "5 * * * *", BEGIN, BEGIN + YEAR, "UTC"
    )


@pytest.mark.parametrize(
    ("cron", "text"),
    [
        ("0 2 * * 1", "cron(0 2 ? * MON *)"),
        ("0 2 * * 7", "cron(0 2 ? * SUN *)"),
        ("0 2 * * 1#2", "cron(0 2 ? * 2#2 *)"),
        ("0 2 * * 5L", "cron(0 2 ? * 6L *)"),
        ("*/20 8-18 L * *", "cron(0,20,40 8-18 L * ? *)"),
    ],
)
def test_weekdays_count_from_sunday_as_one(cron: str, text: str) -> None:
    assert expression(cron, "UTC").text == text


def test_half_hours_and_days_stay_in_their_zone() -> None:
    assert expression("5 * * * *", "Asia/Kolkata").timezone == "Asia/Kolkata"
    assert expression("0 1 * * *", "Europe/Lisbon").timezone == "Europe/Lisbon"
    assert expression("0 2 * * 1", "UTC").text == "cron(0 2 ? * MON *)"


@pytest.mark.parametrize("cron", ["0 1 1 * 1", "0 1 L,3 * *", "0 1 LW * *", "0 1 * * 1#1,3"])
def test_what_no_expression_says_is_refused_with_the_way_out(cron: str) -> None:
    with pytest.raises(SynapseError, match=r"schedules\.yml.*declare two schedules"):
        expression(cron, "UTC")


def test_a_time_that_the_clocks_skip_is_told_when_rendering(tmp_path: Path) -> None:
    # In Lisbon 01:00 does not exist on the last Sunday of March.
    assert skipped_times("0 1 * * *", "Europe/Lisbon", BEGIN, years=1)
    assert not skipped_times("0 1 * * *", TIMEZONE, BEGIN, years=1)
    assert not skipped_times("5 * * * *", "Europe/Lisbon", BEGIN, years=1)
    notices = render(PROJECT_DIR, SCHEDULES, "Europe/Lisbon", tmp_path).notices
    assert any(notice.startswith("daily:") for notice in notices)


def test_names_that_cloudformation_cannot_tell_apart_are_refused() -> None:
    one = SCHEDULES["hourly"]
    twins = type(SCHEDULES)({"a_b": one, "a__b": one}, {})
    with pytest.raises(SynapseError, match="rename it"):
        schedules_template(twins, TIMEZONE)


def test_the_rendered_file_has_no_anchors_which_aws_refuses(folder: Path) -> None:
    for path in folder.glob("*.yml"):
        events = yaml.parse(path.read_text())
        assert not [event for event in events if isinstance(event, yaml.AliasEvent)], path

"""What the doctor takes for AWS's words, against AWS's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel, StructureShape
from botocore.utils import ArgumentGenerator
from botocore.validate import ParamValidator

from synapse.dms_doctor.endpoint_checks import S3_CHECKS
from synapse.dms_doctor.service import examine_dms
from synapse.dms_doctor.setting_checks import SettingCheck
from synapse.dms_doctor.task_checks import TASK_CHECKS
from synapse_tests.dms_setups import described, right, write

# What describe-replication-tasks answers for a task that was created without settings
# (github.com/hashicorp/terraform-provider-aws #37780, github.com/go-to-k/cdk-real-drift #1557).
DEFAULTS: dict[str, Any] = {
    "TargetMetadata": {
        "TargetSchema": "",
        "SupportLobs": True,
        "FullLobMode": False,
        "LobChunkSize": 64,
        "LimitedSizeLobMode": True,
        "LobMaxSize": 32,
        "InlineLobMaxSize": 0,
        "BatchApplyEnabled": False,
    },
    "FullLoadSettings": {
        "CommitRate": 10000,
        "StopTaskCachedChangesApplied": False,
        "StopTaskCachedChangesNotApplied": False,
        "MaxFullLoadSubTasks": 8,
        "TransactionConsistencyTimeout": 600,
        "CreatePkAfterFullLoad": False,
        "TargetTablePrepMode": "DROP_AND_CREATE",
    },
    "ChangeProcessingDdlHandlingPolicy": {
        "HandleSourceTableDropped": True,
        "HandleSourceTableTruncated": True,
        "HandleSourceTableAltered": True,
    },
    "ErrorBehavior": {
        "DataErrorPolicy": "LOG_ERROR",
        "DataTruncationErrorPolicy": "LOG_ERROR",
        "DataErrorEscalationCount": 0,
        "TableErrorPolicy": "SUSPEND_TABLE",
        "ApplyErrorDeletePolicy": "IGNORE_RECORD",
        "ApplyErrorInsertPolicy": "LOG_ERROR",
        "ApplyErrorFailOnTruncationDdl": False,
        "FullLoadIgnoreConflicts": True,
    },
    "Logging": {"EnableLogging": False, "EnableLogContext": False},
    "BeforeImageSettings": None,
    "ValidationSettings": {"EnableValidation": False},
}


@pytest.fixture(scope="module")
def dms() -> ServiceModel:
    """AWS's description of the DMS API, as its SDK has it."""
    return botocore.session.get_session().get_service_model("dms")


def _input(dms: ServiceModel, operation: str) -> StructureShape:
    shape = dms.operation_model(operation).input_shape
    assert shape is not None
    return shape


@pytest.mark.parametrize("check", S3_CHECKS, ids=lambda check: check.id)
def test_s3_settings_bear_names_that_aws_knows(check: SettingCheck, dms: ServiceModel) -> None:
    shape = dms.shape_for("S3Settings")
    assert isinstance(shape, StructureShape)
    assert check.setting in shape.members
    kind = {bool: "boolean", int: "integer", str: "string"}[type(check.default)]
    assert shape.members[check.setting].type_name == kind


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.id)
def test_task_settings_have_the_defaults_that_aws_answers(check: SettingCheck) -> None:
    section, name = check.setting.split(".")
    answered = (DEFAULTS[section] or {}).get(name, check.default)
    assert answered == check.default
    assert section in DEFAULTS


def test_a_task_without_settings_is_judged_as_aws_fills_them_in(tmp_path: Path) -> None:
    silent, filled_in = right(), right()
    del silent.tasks[0]["ReplicationTaskSettings"]
    filled_in.tasks[0]["ReplicationTaskSettings"] = DEFAULTS
    found = [
        [
            (finding.check, finding.severity)
            for finding in examine_dms(
                write(tmp_path / name, described(config)), config.declarations
            ).findings
        ]
        for name, config in (("silent", silent), ("filled", filled_in))
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 5


def _assert_enums(shape: Any, value: Any) -> None:
    """Enumerations too, which botocore's validation leaves out."""
    if shape.type_name == "structure":
        for name, item in value.items():
            _assert_enums(shape.members[name], item)
    elif getattr(shape, "enum", None):
        assert value in shape.enum


def test_aws_takes_the_recommended_set_up(dms: ServiceModel) -> None:
    config = right()
    task = described(config)["tasks.json"]["ReplicationTasks"][0] | {
        "SourceEndpointArn": "arn",
        "TargetEndpointArn": "arn",
        "ReplicationInstanceArn": "arn",
    }
    for operation, given in (
        ("CreateEndpoint", config.endpoint),
        ("CreateReplicationTask", task),
    ):
        shape = _input(dms, operation)
        report = ParamValidator().validate(given, shape)
        assert not report.has_errors(), report.generate_report()
        _assert_enums(shape, given)


def test_the_skeletons_of_the_aws_cli_are_read(dms: ServiceModel, tmp_path: Path) -> None:
    """`--generate-cli-skeleton` fills every setting of every engine with blanks."""
    config = right()
    generate = ArgumentGenerator().generate_skeleton
    endpoint = generate(_input(dms, "CreateEndpoint"))
    task = generate(_input(dms, "CreateReplicationTask"))
    for name in ("EndpointIdentifier", "EndpointType", "EngineName"):
        endpoint[name] = config.endpoint[name]
    endpoint["S3Settings"] |= config.s3
    for name in ("DatePartitionTimezone", "AddTrailingPaddingCharacter"):
        del endpoint["S3Settings"][name]
    task |= described(config)["tasks.json"]["ReplicationTasks"][0]
    texts = json.loads(json.dumps({"endpoint.json": endpoint, "task.json": task}, default=str))
    files = write(tmp_path, texts)
    report = examine_dms(files, config.declarations)
    assert {finding.check for finding in report.findings} == {"wildcard_selection"}
    assert json.loads(files[0].read_text())["S3Settings"]["CdcPath"] == ""

"""`synapse doctor --dms` on the command line: exit codes, JSON, files that are no set-up."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synapse.cli import app
from synapse.declarations import load_declarations
from synapse.dms_doctor.service import DmsReport, examine_dms
from synapse.errors import UsageError
from synapse_tests.dms_setups import described, right, write
from synapse_tests.lakes import PROJECT_DIR


def _doctor(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", "--project-dir", str(PROJECT_DIR), *arguments])
    if isinstance(result.exception, UsageError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def _options(files: list[Path]) -> list[str]:
    return [part for file in files for part in ("--dms", str(file))]


def test_a_right_set_up_says_so_and_what_was_looked_at(tmp_path: Path) -> None:
    code, output = _doctor(*_options(write(tmp_path, described(right()))))
    assert code == 0
    assert "right: nothing in it goes against ingest" in output
    assert "dms.synapse.users" in output
    assert "not checked" not in output


def test_an_error_exits_with_1_and_names_setting_reason_and_cure(tmp_path: Path) -> None:
    config = right()
    config.s3["DataFormat"] = "csv"
    code, output = _doctor(*_options(write(tmp_path, described(config))))
    assert code == 1
    assert "$.Endpoints[0].S3Settings.DataFormat = csv" in output
    assert "cure: DataFormat = parquet" in output


def test_a_warning_alone_exits_with_0(tmp_path: Path) -> None:
    config = right()
    config.s3["DatePartitionEnabled"] = False
    code, output = _doctor(*_options(write(tmp_path, described(config))))
    assert code == 0
    assert "0 error(s), 1 warning(s)" in output


def test_json_holds_every_finding(tmp_path: Path) -> None:
    config = right()
    del config.s3["TimestampColumnName"]
    code, output = _doctor("--json", *_options(write(tmp_path, described(config))))
    found = {item["check"]: item for item in json.loads(output)["findings"]}
    assert code == 1
    assert found["commit_column"]["severity"] == "error"
    assert found["commit_column"]["found"] == "(absent)"
    assert set(found["commit_column"]) == {
        "check", "severity", "subject", "setting", "found", "reason", "cure", "tables"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"ReplicationTasks": [\n  {"a": }]}', "broken.json, line 2, column 9"),
        (b"", "line 1, column 1"),
        (b'{"Buckets": [1]}', "holds no DMS task and no DMS endpoint"),
        (b"[]", "holds no DMS task and no DMS endpoint"),
        (b'"text"', "holds no DMS task and no DMS endpoint"),
        (b"\xff\xfe{}", "not UTF-8"),
        (
            b'{"MigrationType": "cdc", "TableMappings": "{\\"rules\\": [\\n,]}"}',
            "$.TableMappings holds JSON in a string that breaks off at its line 2, column 1",
        ),
        (
            b'{"TableMappings": "file://mappings.json"}',
            "give that file too, with another --dms",
        ),
        (
            b'{"EngineName": "s3", "S3Settings": {"IncludeOpForFullLoad": "perhaps"}}',
            "$.S3Settings.IncludeOpForFullLoad is 'perhaps'; DMS takes true or false",
        ),
        (
            b'{"EngineName": "s3", "S3Settings": {"DataFormat": {"Ref": "Format"}}}',
            '$.S3Settings.DataFormat is {"Ref": "Format"}, which only the template',
        ),
        (
            b'{"MigrationType": "cdc", "TableMappings": {"Fn::Join": ["", []]}}',
            "$.TableMappings is",
        ),
        (
            b'{"EngineName": "s3", "S3Settings": {"CdcMaxBatchInterval": "soon"}}',
            "$.S3Settings.CdcMaxBatchInterval is 'soon'; DMS takes a whole number",
        ),
    ],
)
def test_a_file_that_is_no_set_up_is_bad_usage(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    code, output = _doctor("--dms", str(file))
    assert code == 2
    assert said in output
    assert "aws dms describe" in output or "--dms" in output or "DMS takes" in output


def test_a_file_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    code, output = _doctor("--dms", str(tmp_path / "none.json"))
    assert code == 2
    assert "none.json cannot be read" in output


def _examine(folder: Path, **documents: object) -> DmsReport:
    files = write(folder, {f"{name}.json": document for name, document in documents.items()})
    return examine_dms(files, load_declarations(PROJECT_DIR))


def test_what_the_files_do_not_hold_is_said(tmp_path: Path) -> None:
    config = right()
    only_endpoint = _examine(tmp_path / "a", endpoint=config.endpoint)
    assert [item for item in only_endpoint.not_checked if "describe-replication-tasks" in item]
    only_task = _examine(tmp_path / "b", task=config.tasks[0])
    assert [item for item in only_task.not_checked if "describe-endpoints" in item]


def test_of_all_endpoints_of_an_account_those_of_the_task_are_judged(tmp_path: Path) -> None:
    config = right()
    config.endpoint["EndpointArn"] = "arn:lake"
    other = copy.deepcopy(config.endpoint)
    other["EndpointArn"] = "arn:other"
    other["S3Settings"]["DataFormat"] = "csv"
    config.tasks[0]["TargetEndpointArn"] = "arn:lake"
    config.sources = [other]
    report = examine_dms(write(tmp_path, described(config)), config.declarations)
    assert {finding.check for finding in report.findings} == {"wildcard_selection"}


def test_loose_settings_beside_two_tasks_are_not_guessed_at(tmp_path: Path) -> None:
    config = right()
    other = copy.deepcopy(config.tasks[0])
    with pytest.raises(UsageError, match="which one they belong to is unknown"):
        _examine(
            tmp_path, tasks=[config.tasks[0], other], settings=other["ReplicationTaskSettings"]
        )


def test_names_of_the_source_may_differ_when_rules_bring_them_home(tmp_path: Path) -> None:
    """An Oracle-like source in capitals, in another schema, lands as declared."""
    config = right()
    for rule in config.rules:
        rule["object-locator"] = {"schema-name": "PROD", "table-name": "%"}
    for number, (level, action, value) in enumerate(
        [("schema", "rename", "synapse"), ("table", "convert-lowercase", ""),
         ("column", "convert-lowercase", "")]
    ):  # fmt: skip
        config.rules.append(
            {
                "rule-type": "transformation",
                "rule-id": str(100 + number),
                "rule-target": level,
                "rule-action": action,
                "value": value,
                "object-locator": {"schema-name": "PROD", "table-name": "%", "column-name": "%"},
            }
        )
    report = examine_dms(write(tmp_path, described(config)), config.declarations)
    assert {finding.check for finding in report.findings} == {"wildcard_selection"}

"""`synapse doctor --dms`: each check on a right set-up spoilt in one place, and in any number."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.dms_doctor.endpoint_checks import S3_CHECKS
from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.service import CHECK_IDS, DmsReport, examine_dms
from synapse.dms_doctor.setting_checks import SettingCheck
from synapse.dms_doctor.task_checks import TASK_CHECKS
from synapse_tests.dms_setups import DOCUMENT, MUTATIONS, Config, Mutation, described, right, write

# The recommended rules select every table of the schema, which is worth a note.
ALWAYS = {"wildcard_selection"}


def examine(folder: Path, config: Config, *, as_text: bool = True) -> DmsReport:
    """What the doctor says of a set-up that lies in files."""
    return examine_dms(write(folder, described(config, as_text=as_text)), config.declarations)


def checks_of(report: DmsReport) -> set[str]:
    """Ids of what was found, without what is always told."""
    return {finding.check for finding in report.findings} - ALWAYS


def test_the_recommended_set_up_is_right(tmp_path: Path) -> None:
    report = examine(tmp_path, right())
    assert {finding.check for finding in report.findings} == ALWAYS
    assert all(finding.severity is Severity.info for finding in report.findings)
    assert not report.not_checked


def test_every_check_is_in_the_document_and_has_a_set_up_that_sets_it_off() -> None:
    listed = set(re.findall(r"^\| `([a-z_0-9]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert listed == CHECK_IDS
    assert frozenset().union(*(mutation.checks for mutation in MUTATIONS)) == CHECK_IDS - ALWAYS


@pytest.mark.parametrize("check", [*S3_CHECKS, *TASK_CHECKS], ids=lambda check: check.id)
def test_the_document_gives_each_setting_its_reason_and_cure(check: SettingCheck) -> None:
    row = next(
        line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{check.id}` |")
    )
    for text in (f"`{check.setting}`", check.reason, check.cure):
        assert text.replace("|", "\\|") in row


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_one_mistake_is_the_one_finding(mutation: Mutation, tmp_path: Path) -> None:
    config = right()
    mutation.apply(config)
    report = examine(tmp_path, config)
    assert checks_of(report) == mutation.checks
    for finding in report.findings:
        assert all((finding.setting, finding.found, finding.reason, finding.cure))


@settings(deadline=None)
@given(chosen=st.lists(st.sampled_from(MUTATIONS), unique=True, max_size=12), as_text=st.booleans())
def test_mistakes_add_up(chosen: list[Mutation], as_text: bool) -> None:
    """Any mistakes together are told exactly as each alone, however the files are written."""
    config = right()
    expected: set[str] = set()
    touched: set[str] = set()
    for mutation in chosen:
        if mutation.touches & touched or "all" in mutation.touches:
            continue
        mutation.apply(config)
        touched |= mutation.touches
        expected |= mutation.checks
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), described(config, as_text=as_text))
        report = examine_dms(files, config.declarations)
        again = examine_dms(
            write(Path(folder), described(config, as_text=not as_text))[::-1], config.declarations
        )
    assert checks_of(report) == expected
    assert report == again


def _seen(findings: list[Finding]) -> list[tuple[str, Severity, tuple[str, ...]]]:
    return [(item.check, item.severity, item.tables) for item in findings]


def _in_attributes(config: Config) -> dict[str, Any]:
    """The endpoint with all of its S3 settings as extra connection attributes."""

    def spelt(value: object) -> str:
        return json.dumps(value) if isinstance(value, bool | int) else str(value)

    pairs = [f"{name[0].lower()}{name[1:]}={spelt(value)}" for name, value in config.s3.items()]
    rest = {name: value for name, value in config.endpoint.items() if name != "S3Settings"}
    return rest | {"ExtraConnectionAttributes": ";".join(pairs) + ";"}


def _snake(value: Any) -> Any:
    """As Terraform spells it; nested blocks are lists of one."""
    if not isinstance(value, dict):
        return value
    named = {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(): item for name, item in value.items()
    }
    return {
        name: [_snake(item)] if isinstance(item, dict) else item for name, item in named.items()
    }


def _forms(config: Config) -> dict[str, dict[str, Any]]:
    """The same set-up in every form that people have it in: files by name."""
    task = described(config)["tasks.json"]["ReplicationTasks"][0]
    plain_task = config.tasks[0]
    terraform_task = {
        "replication_task_id": "product-to-lake",
        "migration_type": task["MigrationType"],
        "table_mappings": task["TableMappings"],
        "replication_task_settings": task["ReplicationTaskSettings"],
    }
    return {
        "skeletons": {"task.json": plain_task, "endpoint.json": config.endpoint},
        "one file": {"both.json": {"task": plain_task, "endpoint": config.endpoint}},
        "attributes": {"task.json": task, "endpoint.json": _in_attributes(config)},
        "parts": {
            "settings.json": plain_task["ReplicationTaskSettings"],
            "mappings.json": plain_task["TableMappings"],
            "s3.json": config.s3,
        },
        "cloudformation": {
            "template.json": {
                "Resources": {
                    "Lake": {"Type": "AWS::DMS::Endpoint", "Properties": config.endpoint},
                    "Task": {
                        "Type": "AWS::DMS::ReplicationTask",
                        "Properties": task
                        | {
                            "TargetEndpointArn": {"Ref": "Lake"},
                            "TableMappings": {"Fn::Sub": task["TableMappings"]},
                        },
                    },
                }
            }
        },
        "terraform": {
            "plan.json": {
                "planned_values": {
                    "root_module": {
                        "resources": [
                            {"values": terraform_task},
                            {"values": _snake(config.endpoint)},
                        ]
                    }
                },
                "resource_changes": [{"change": {"after": terraform_task}}],
            }
        },
        "terraform s3 endpoint": {
            "show.json": {
                "values": {
                    "root_module": {
                        "resources": [
                            {"values": terraform_task},
                            {"values": {"endpoint_id": "lake", "endpoint_type": "target"}
                             | _snake(config.s3)},
                        ]
                    }
                }
            }
        },
    }  # fmt: skip


def _spoilt() -> Config:
    config = right()
    names = {
        "preserve_transactions: PreserveTransactions=True",
        "op_on_load: no IncludeOpForFullLoad",
        "truncate_deletes_files: no HandleSourceTableTruncated",
        "sequence_column: none",
        "no_log: no EnableLogging",
        "batch_interval: CdcMaxBatchInterval=5",
    }
    chosen = [mutation for mutation in MUTATIONS if mutation.name in names]
    assert len(chosen) == len(names)
    for mutation in chosen:
        mutation.apply(config)
    return config


@pytest.mark.parametrize("form", list(_forms(right())))
def test_every_form_gives_the_same_findings(form: str, tmp_path: Path) -> None:
    for name, config in (("right", right()), ("spoilt", _spoilt())):
        usual = examine(tmp_path / name / "usual", config)
        files = write(tmp_path / name / form, _forms(config)[form])
        assert sorted(_seen(examine_dms(files, config.declarations).findings)) == sorted(
            _seen(usual.findings)
        )


@pytest.mark.parametrize("check", [*S3_CHECKS, *TASK_CHECKS], ids=lambda check: check.id)
def test_the_printed_cure_cures(check: SettingCheck, tmp_path: Path) -> None:
    """Whoever does what the finding says does not see it again."""
    wrong = next(mutation for mutation in MUTATIONS if mutation.checks == {check.id})
    config = right()
    wrong.apply(config)
    block = config.s3 if check in S3_CHECKS else config.settings
    for section in check.setting.split(".")[:-1]:
        block = block[section]
    left_out = re.match(r"leave (\w+) out", check.cure)
    if left_out:
        del block[left_out[1]]
    elif check.id == "before_image_setting":
        block["EnableBeforeImage"] = False  # its rule is there; the setting is only useless
    else:
        for name, value in re.findall(r"(\w+) = ([\w/<> ']+?)(?=[,;(]| stops|$| to )", check.cure):
            block[name] = value.strip()
    assert checks_of(examine(tmp_path, config)) == set()

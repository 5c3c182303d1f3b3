"""All checks of a DMS set-up against the project's declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synapse.declarations import Declarations, DmsTable
from synapse.dms_doctor.blocks import plain
from synapse.dms_doctor.column_checks import check_columns
from synapse.dms_doctor.documents import Endpoint, Setup, read_setup
from synapse.dms_doctor.endpoint_checks import S3_CHECKS
from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.rules import Mapping
from synapse.dms_doctor.source_checks import check_source
from synapse.dms_doctor.table_checks import check_coverage, check_tables, landed
from synapse.dms_doctor.task_checks import TASK_CHECKS, check_migration_type, check_settings
from synapse.dms_doctor.timestamp_checks import check_commit_column, check_op_column

CHECK_IDS = frozenset(check.id for check in (*S3_CHECKS, *TASK_CHECKS)) | {
    "target_engine",
    "conflicting_settings",
    "commit_column",
    "op_column",
    "migration_type",
    "table_renamed",
    "table_undeclared",
    "wildcard_selection",
    "row_filter",
    "parallel_load",
    "table_not_selected",
    "two_tasks",
    "sequence_column",
    "sequence_type",
    "sequence_undeclared",
    "before_image",
    "before_image_name",
    "before_image_filter",
    "column_missing",
    "column_type",
    "column_masked",
    "source_mysql",
    "source_postgres",
    "postgres_ddl",
}
"""The id of every check; docs/dms_setup.md explains each."""


@dataclass
class DmsReport:
    """checked: what was looked at. not_checked: what the files do not hold. worst first."""

    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity is severity for finding in self.findings)


def examine_dms(files: list[Path], declarations: Declarations) -> DmsReport:
    """Check what the files hold of a DMS set-up.

    Raises UsageError that names the file and the place for what cannot be read.
    """
    return examine_setup(read_setup(files), declarations)


def examine_setup(setup: Setup, declarations: Declarations) -> DmsReport:
    """Check a set-up; the findings do not depend on the order of tasks and endpoints."""
    mappings = [Mapping(task) for task in setup.tasks if task.mappings is not None]
    tables = _tables(mappings, declarations)
    found: list[Finding] = []
    for endpoint in setup.targets:
        found += _target(endpoint, _tables(_writers(endpoint, mappings), declarations))
    for endpoint in setup.sources:
        found += check_source(endpoint)
    for task in setup.tasks:
        found += check_settings(task)
        found += check_migration_type(task)
    for mapping in mappings:
        found += check_tables(mapping.task, mapping, declarations)
        found += check_columns(mapping.task, mapping, landed(mapping, declarations))
    if mappings:
        found += check_coverage(mappings, declarations)
    report = DmsReport(findings=sorted(found, key=lambda finding: finding.order))
    _say_scope(report, setup, tables, mappings)
    return report


def _tables(mappings: list[Mapping], declarations: Declarations) -> list[DmsTable]:
    """The declared tables that the tasks are about; all of them where no mapping tells."""
    chosen = {
        item.table.source: item.table
        for mapping in mappings
        for item in landed(mapping, declarations)
    }
    return list(chosen.values()) if chosen else list(declarations.tables)


def _writers(endpoint: Endpoint, mappings: list[Mapping]) -> list[Mapping]:
    """The mappings of the tasks that name the endpoint; all where none does."""
    named = [
        mapping
        for mapping in mappings
        if endpoint.arn and mapping.task.block.setting("TargetEndpointArn").value == endpoint.arn
    ]
    return named or mappings


def _target(endpoint: Endpoint, tables: Iterable[DmsTable]) -> Iterator[Finding]:
    if endpoint.engine != "s3":
        yield Finding(
            "target_engine",
            Severity.error,
            endpoint.subject,
            endpoint.block.setting("EngineName").path,
            endpoint.engine or "(absent)",
            "Ingest reads what DMS writes to S3.",
            "a target endpoint with EngineName = s3",
        )
        return
    for check in S3_CHECKS:
        yield from check.run(endpoint.settings, endpoint.subject)
    yield from check_commit_column(endpoint, tables)
    yield from check_op_column(endpoint, tables)
    yield from _conflicts(endpoint)


def _conflicts(endpoint: Endpoint) -> Iterator[Finding]:
    for name, (spelt, value) in sorted(endpoint.extra.members.items()):
        structured = endpoint.structured.setting(spelt)
        if structured.is_set and _said(structured.value) != _said(value):
            yield Finding(
                "conflicting_settings",
                Severity.warning,
                endpoint.subject,
                endpoint.extra.setting(name).path,
                f"{spelt}={value}",
                f"{structured.path} says {structured.shown('')}: which of the two holds depends on "
                "which was set last.",
                "set it once, in S3Settings",
            )


def _said(value: object) -> str:
    """One spelling of true, True and y, and of GZIP and gzip."""
    spelt = plain(str(value).strip())
    return {"y": "true", "n": "false"}.get(spelt, spelt)


def _say_scope(
    report: DmsReport, setup: Setup, tables: list[DmsTable], mappings: list[Mapping]
) -> None:
    for endpoint in setup.targets:
        report.checked.append(f"{endpoint.subject}: S3 settings, names of columns")
    for endpoint in setup.sources:
        report.checked.append(f"{endpoint.subject}: source engine {endpoint.engine}")
    for task in setup.tasks:
        parts = ["settings" if task.settings is not None else "settings (all at their defaults)"]
        if not task.block.members and task.settings is None:
            parts = []
        if task.mappings is not None:
            parts.append("table mappings")
        report.checked.append(f"{task.subject}: {', '.join(parts)}")
    if mappings:
        names = ", ".join(sorted(table.source for table in tables))
        report.checked.append(f"{len(tables)} declared table(s): {names}")
    report.checked.sort()
    if not setup.targets:
        report.not_checked.append(
            "the target endpoint: add `aws dms describe-endpoints > endpoints.json` and "
            "--dms endpoints.json"
        )
    if not setup.tasks:
        report.not_checked.append(
            "the task: add `aws dms describe-replication-tasks > tasks.json` and --dms tasks.json"
        )
    elif not mappings:
        report.not_checked.append("which tables land: the files hold no table mappings")
    if setup.tasks and all(
        task.settings is None and not task.block.members for task in setup.tasks
    ):
        report.not_checked.append("the task's settings: the files hold none")

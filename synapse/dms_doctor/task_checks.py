"""Checks of the settings of a replication task, against what ingest does with what it writes."""

from __future__ import annotations

from collections.abc import Iterator

from synapse.dms_doctor.blocks import Block
from synapse.dms_doctor.documents import Task
from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.setting_checks import Default, SettingCheck, among, unless, when

_ENOUGH_FOR_TEXT_KB = 1_024


def _lob_size(value: Default) -> Severity | None:
    return Severity.warning if int(value) < _ENOUGH_FOR_TEXT_KB else None


def _data_error(value: Default) -> Severity | None:
    return {"IGNORE_RECORD": Severity.error, "LOG_ERROR": Severity.warning}.get(str(value).upper())


TASK_CHECKS = (
    SettingCheck(
        "truncate_deletes_files",
        "ChangeProcessingDdlHandlingPolicy.HandleSourceTableTruncated",
        True,
        when(True, Severity.error),
        "A TRUNCATE at the source makes DMS delete every file of the table in S3, those that "
        "ingest has not seen yet included, and lands no delete: bronze is lost while silver keeps "
        "all rows.",
        "HandleSourceTableTruncated = false; after a TRUNCATE, reload the table",
        "changes",
    ),
    SettingCheck(
        "drop_deletes_files",
        "ChangeProcessingDdlHandlingPolicy.HandleSourceTableDropped",
        True,
        when(True, Severity.error),
        "DMS carries a DROP TABLE at the source out on S3: the table's files in bronze go, those "
        "that ingest has not seen yet included.",
        "HandleSourceTableDropped = false",
        "changes",
    ),
    SettingCheck(
        "alter_ignored",
        "ChangeProcessingDdlHandlingPolicy.HandleSourceTableAltered",
        True,
        when(False, Severity.warning),
        "Columns that are added or widened at the source do not land: ingest cannot report the "
        "drift, and declaring the column later finds it empty.",
        "HandleSourceTableAltered = true",
        "changes",
    ),
    SettingCheck(
        "table_prep_mode",
        "FullLoadSettings.TargetTablePrepMode",
        "DROP_AND_CREATE",
        unless("DO_NOTHING", Severity.error),
        "At every start and reload DMS first empties the table's folder: change files go that "
        "ingest may not have seen, and a rebuild from bronze is no longer possible. With "
        "DO_NOTHING, load files are overwritten in place, which is what an epoch expects.",
        "TargetTablePrepMode = DO_NOTHING",
        "load",
    ),
    SettingCheck(
        "stops_after_cached_changes",
        "FullLoadSettings.StopTaskCachedChangesApplied",
        False,
        when(True, Severity.warning),
        "The task stops after the load: no change lands until someone resumes it.",
        "StopTaskCachedChangesApplied = false",
        "changes",
    ),
    SettingCheck(
        "stops_before_cached_changes",
        "FullLoadSettings.StopTaskCachedChangesNotApplied",
        False,
        when(True, Severity.warning),
        "The task stops before the changes made during the load are written: the load alone is a "
        "state that the source never had, until someone resumes it.",
        "StopTaskCachedChangesNotApplied = false",
        "changes",
    ),
    SettingCheck(
        "batch_apply",
        "TargetMetadata.BatchApplyEnabled",
        False,
        when(True, Severity.error),
        "Batch apply is not supported for S3 and may lose changes; what it merges never reaches "
        "the history.",
        "BatchApplyEnabled = false",
        "changes",
    ),
    SettingCheck(
        "lobs_left_out",
        "TargetMetadata.SupportLobs",
        True,
        when(False, Severity.error),
        "TEXT columns of MySQL and text columns of PostgreSQL are LOBs to DMS: they would not land "
        "at all, and their declared columns would be NULL.",
        "SupportLobs = true, LimitedSizeLobMode = true",
    ),
    SettingCheck(
        "full_lob_mode",
        "TargetMetadata.FullLobMode",
        False,
        when(True, Severity.error),
        "Full LOB mode is not supported for S3: text columns would not land.",
        "FullLobMode = false, LimitedSizeLobMode = true",
    ),
    SettingCheck(
        "lob_size",
        "TargetMetadata.LobMaxSize",
        32,
        _lob_size,
        "TEXT columns of MySQL and text columns of PostgreSQL are LOBs to DMS: longer values are "
        "cut to this many KB, and nothing in the file tells that they were.",
        "LobMaxSize = 10240 (KB), or more than your longest text",
    ),
    SettingCheck(
        "truncation_policy",
        "ErrorBehavior.DataTruncationErrorPolicy",
        "LOG_ERROR",
        among(("LOG_ERROR", "IGNORE_RECORD"), Severity.warning),
        "A value that DMS cuts lands as if it were whole, or its row does not land: only the "
        "task's log tells, and ingest cannot count what never landed.",
        "DataTruncationErrorPolicy = SUSPEND_TABLE (the table becomes late, which freshness shows)",
    ),
    SettingCheck(
        "data_error_policy",
        "ErrorBehavior.DataErrorPolicy",
        "LOG_ERROR",
        _data_error,
        "A row that DMS cannot convert does not land: with LOG_ERROR only the task's log tells, "
        "with IGNORE_RECORD nothing does, and ingest cannot count what never landed.",
        "DataErrorPolicy = SUSPEND_TABLE (the table becomes late, which freshness shows)",
    ),
    SettingCheck(
        "truncate_unnoticed",
        "ErrorBehavior.ApplyErrorFailOnTruncationDdl",
        False,
        when(False, Severity.info),
        "A TRUNCATE at the source lands nothing: silver keeps the rows until the table is "
        "reloaded, and nobody is told.",
        "ApplyErrorFailOnTruncationDdl = true stops the task at a TRUNCATE; then reload the table",
        "changes",
    ),
    SettingCheck(
        "no_log",
        "Logging.EnableLogging",
        False,
        when(False, Severity.warning),
        "What DMS leaves out or cuts is told in its log only, and there is none.",
        "EnableLogging = true",
    ),
    SettingCheck(
        "before_image_setting",
        "BeforeImageSettings.EnableBeforeImage",
        False,
        when(True, Severity.info),
        "This setting is for Kinesis and Kafka and adds nothing on S3; there the before image "
        "comes from a mapping rule.",
        "a mapping rule add-before-image-columns (check before_image)",
    ),
    SettingCheck(
        "validation",
        "ValidationSettings.EnableValidation",
        False,
        when(True, Severity.info),
        "On S3, validation queries all of a table's files with Athena every night, at Athena's "
        "price. Ingest does not need it.",
        "EnableValidation = false, if you do not want to pay for it",
    ),
)
"""Each looks at one setting of the task; docs/dms_setup.md has the table of them."""


def check_settings(task: Task) -> Iterator[Finding]:
    """Run the checks that concern what this task does; a task without settings has the defaults."""
    if task.settings is None and not task.block.members:
        return
    settings = task.settings or Block(f"{task.block.path}.ReplicationTaskSettings")
    for check in TASK_CHECKS:
        if check.needs == "load" and not task.has_load:
            continue
        if check.needs == "changes" and not task.has_changes:
            continue
        yield from check.run(settings, task.subject)


def check_migration_type(task: Task) -> Iterator[Finding]:
    """A task that only loads, or only captures changes, gives half of a table."""
    found = task.migration
    if found is None or found.text() not in ("full-load", "cdc"):
        return
    only_loads = found.text() == "full-load"
    yield Finding(
        "migration_type",
        Severity.warning,
        task.subject,
        found.path,
        found.text(),
        "Tables are only as new as the last reload, history has no changes between reloads, and a "
        "delete shows when the next reload lacks its row."
        if only_loads
        else "Rows that do not change after the task starts never land, unless another task loads "
        "them.",
        "MigrationType = full-load-and-cdc"
        + ("" if only_loads else ", or a full-load task beside this one"),
    )

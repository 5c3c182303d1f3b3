"""The right DMS set-up of docs/dms_setup.md, and one way to spoil it for every check."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from synapse.declarations import Declarations, load_declarations
from synapse_tests.lakes import PROJECT_DIR

DOCUMENT = PROJECT_DIR / "docs" / "dms_setup.md"
CHANGES = "ChangeProcessingDdlHandlingPolicy"


@cache
def _declared() -> Declarations:
    return load_declarations(PROJECT_DIR)


@cache
def _recommended() -> tuple[str, ...]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return tuple(re.findall(r"```json\n(.*?)```", text, re.DOTALL))


@dataclass
class Config:
    """A set-up as people have it: one endpoint, one or more tasks, perhaps the source."""

    endpoint: dict[str, Any]
    tasks: list[dict[str, Any]]
    sources: list[dict[str, Any]] = field(default_factory=list)
    declarations: Declarations = field(default_factory=_declared)

    @property
    def s3(self) -> dict[str, Any]:
        """The S3 settings."""
        return self.endpoint["S3Settings"]  # type: ignore[no-any-return]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the first task."""
        return self.tasks[0]["ReplicationTaskSettings"]  # type: ignore[no-any-return]

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The mapping rules of the first task."""
        return self.tasks[0]["TableMappings"]["rules"]  # type: ignore[no-any-return]

    def add_rule(self, **members: Any) -> None:
        """Add a mapping rule; underscores in names stand for hyphens."""
        rule = {name.replace("_", "-"): value for name, value in members.items()}
        self.rules.append({"rule-id": str(len(self.rules) + 1), **rule})

    def declare(self, table: str, **changes: Any) -> None:
        """Change the declaration of a table."""
        self.declarations = replace(
            self.declarations,
            tables=tuple(
                replace(item, **changes) if item.name == table else item
                for item in self.declarations.tables
            ),
        )


def right() -> Config:
    """The set-up that the document recommends, for the project's own declarations."""
    endpoint, task = (json.loads(block) for block in _recommended())
    return Config(endpoint, [task])


@dataclass(frozen=True)
class Mutation:
    """A mistake.

    checks: what it must set off, and nothing else. touches: mutations that share one exclude each
    other; "all" excludes every other one.
    """

    checks: frozenset[str]
    name: str
    apply: Callable[[Config], None]
    touches: frozenset[str]


MUTATIONS: list[Mutation] = []


def _mutation(check: str, apply: Callable[[Config], None], *touches: str, name: str = "") -> None:
    checks = frozenset(check.split("+"))
    MUTATIONS.append(Mutation(checks, name or check, apply, frozenset(touches or checks)))


def _setting(check: str, path: str, value: Any) -> None:
    """Spoil one setting by a wrong value."""
    *sections, last = path.split(".")

    def apply(config: Config) -> None:
        block = config.s3 if sections == ["S3"] else config.settings
        for section in sections if sections != ["S3"] else []:
            block = block.setdefault(section, {})
        block[last] = value

    _mutation(check, apply, path, name=f"{check}: {last}={value}")


def _absent(check: str, path: str) -> None:
    """Leave a setting to its default."""
    section, last = path.split(".")

    def apply(config: Config) -> None:
        del (config.s3 if section == "S3" else config.settings[section])[last]

    _mutation(check, apply, path, name=f"{check}: no {last}")


for _check, _path, _value in (
    ("data_format", "S3.DataFormat", "csv"),
    ("commit_column", "S3.TimestampColumnName", "ts"),
    ("task_start_timestamp", "S3.UseTaskStartTimeForFullLoadTimestamp", True),
    ("timestamp_milliseconds", "S3.ParquetTimestampInMillisecond", "y"),
    ("op_on_load", "S3.IncludeOpForFullLoad", "false"),
    ("inserts_only", "S3.CdcInsertsOnly", True),
    ("deletes_left_out", "S3.CdcInsertsAndUpdates", True),
    ("preserve_transactions", "S3.PreserveTransactions", True),
    ("cdc_path", "S3.CdcPath", "changes"),
    ("date_partition", "S3.DatePartitionEnabled", False),
    ("date_partition_sequence", "S3.DatePartitionSequence", "DDMMYYYY"),
    ("date_partition_delimiter", "S3.DatePartitionDelimiter", "NONE"),
    ("date_partition_timezone", "S3.DatePartitionTimezone", "America/Sao_Paulo"),
    ("bucket_folder", "S3.BucketFolder", "landing"),
    ("public_acl", "S3.CannedAclForObjects", "PUBLIC_READ"),
    ("batch_interval", "S3.CdcMaxBatchInterval", 5),
    ("batch_interval", "S3.CdcMaxBatchInterval", 7200),
    ("change_file_size", "S3.CdcMinFileSize", 10),
    ("string_padding", "S3.AddTrailingPaddingCharacter", True),
    ("compression", "S3.CompressionType", "GZIP"),
    ("truncate_deletes_files", f"{CHANGES}.HandleSourceTableTruncated", True),
    ("drop_deletes_files", f"{CHANGES}.HandleSourceTableDropped", True),
    ("alter_ignored", f"{CHANGES}.HandleSourceTableAltered", False),
    ("table_prep_mode", "FullLoadSettings.TargetTablePrepMode", "TRUNCATE_BEFORE_LOAD"),
    ("stops_after_cached_changes", "FullLoadSettings.StopTaskCachedChangesApplied", True),
    ("stops_before_cached_changes", "FullLoadSettings.StopTaskCachedChangesNotApplied", True),
    ("batch_apply", "TargetMetadata.BatchApplyEnabled", True),
    ("lobs_left_out", "TargetMetadata.SupportLobs", False),
    ("full_lob_mode", "TargetMetadata.FullLobMode", True),
    ("lob_size", "TargetMetadata.LobMaxSize", 64),
    ("truncation_policy", "ErrorBehavior.DataTruncationErrorPolicy", "IGNORE_RECORD"),
    ("data_error_policy", "ErrorBehavior.DataErrorPolicy", "IGNORE_RECORD"),
    ("truncate_unnoticed", "ErrorBehavior.ApplyErrorFailOnTruncationDdl", False),
    ("no_log", "Logging.EnableLogging", False),
    ("before_image_setting", "BeforeImageSettings.EnableBeforeImage", True),
    ("validation", "ValidationSettings.EnableValidation", True),
):
    _setting(_check, _path, _value)

for _check, _path in (
    ("data_format", "S3.DataFormat"),
    ("commit_column", "S3.TimestampColumnName"),
    ("op_on_load", "S3.IncludeOpForFullLoad"),
    ("date_partition", "S3.DatePartitionEnabled"),
    ("bucket_folder", "S3.BucketFolder"),
    ("truncate_deletes_files", f"{CHANGES}.HandleSourceTableTruncated"),
    ("drop_deletes_files", f"{CHANGES}.HandleSourceTableDropped"),
    ("table_prep_mode", "FullLoadSettings.TargetTablePrepMode"),
    ("lob_size", "TargetMetadata.LobMaxSize"),
    ("truncation_policy", "ErrorBehavior.DataTruncationErrorPolicy"),
    ("data_error_policy", "ErrorBehavior.DataErrorPolicy"),
    ("truncate_unnoticed", "ErrorBehavior.ApplyErrorFailOnTruncationDdl"),
    ("no_log", "Logging.EnableLogging"),
):
    _absent(_check, _path)


def _locator(table: str, column: str | None = None) -> dict[str, str]:
    found = {"schema-name": "synapse", "table-name": table}
    return found | ({"column-name": column} if column else {})


def _column_rule(action: str, table: str, column: str, **more: Any) -> Callable[[Config], None]:
    return lambda config: config.add_rule(
        rule_type="transformation",
        rule_target="column",
        rule_action=action,
        object_locator=_locator(table, column),
        **more,
    )


def _table_rule(action: str, table: str, **more: Any) -> Callable[[Config], None]:
    return lambda config: config.add_rule(
        rule_type="transformation",
        rule_target="table",
        rule_action=action,
        object_locator=_locator(table),
        **more,
    )


def _select(action: str, table: str, **more: Any) -> Callable[[Config], None]:
    return lambda config: config.add_rule(
        rule_type="selection", rule_action=action, object_locator=_locator(table), **more
    )


def _drop_rule(action: str) -> Callable[[Config], None]:
    def apply(config: Config) -> None:
        config.rules[:] = [rule for rule in config.rules if rule.get("rule-action") != action]

    return apply


def _edit_rule(action: str, **changes: Any) -> Callable[[Config], None]:
    def apply(config: Config) -> None:
        rule = next(rule for rule in config.rules if rule.get("rule-action") == action)
        for name, value in changes.items():
            member = name.replace("_", "-")
            rule[member] = rule[member] | value if isinstance(value, dict) else value

    return apply


def _second_task(config: Config) -> None:
    other = copy.deepcopy(config.tasks[0])
    other["ReplicationTaskIdentifier"] = "users-again"
    other["TableMappings"]["rules"][0]["object-locator"]["table-name"] = "users"
    config.tasks.append(other)


def _source(**members: Any) -> Callable[[Config], None]:
    return lambda config: config.sources.append(
        {"EndpointIdentifier": "product", "EndpointType": "source", **members}
    )


_mutation("target_engine", lambda config: config.endpoint.update(EngineName="redshift"), "all")
_mutation(
    "conflicting_settings",
    lambda config: config.endpoint.update(ExtraConnectionAttributes="maxFileSize=5;dataFormat=csv"),
    "S3.DataFormat",
    "extra",
)
_mutation("op_column", lambda config: config.declare("subscriptions", op_column="operation"))
_mutation(
    "migration_type",
    lambda config: config.tasks[0].update(MigrationType="cdc"),
    "migration",
    "FullLoadSettings.TargetTablePrepMode",
    name="migration_type: cdc",
)
_mutation(
    "migration_type",
    lambda config: config.tasks[0].update(MigrationType="full-load"),
    "all",
    name="migration_type: full-load",
)
_mutation("sequence_column", _drop_rule("add-column"), "sequence", name="sequence_column: none")
_mutation("sequence_column", _edit_rule("add-column", value="seq"), "sequence")
_mutation("sequence_type", _edit_rule("add-column", data_type={"length": 20}), "sequence")
_mutation(
    "sequence_type",
    _edit_rule("add-column", expression="$AR_H_STREAM_POSITION"),
    "sequence",
    name="sequence_type: expression",
)
_mutation(
    "sequence_type",
    _edit_rule("add-column", data_type={"type": "int8"}),
    "sequence",
    name="sequence_type: int8",
)
_mutation(
    "sequence_undeclared",
    lambda config: config.declare("subscriptions", sequence=False),
    "sequence",
)
_mutation("before_image", _drop_rule("add-before-image-columns"), "image")
_mutation(
    "before_image_name",
    _edit_rule("add-before-image-columns", before_image_def={"column-prefix": "OLD_"}),
    "image",
)
_mutation(
    "before_image_filter",
    _edit_rule("add-before-image-columns", before_image_def={"column-filter": "all"}),
    "image",
)
_mutation("table_renamed", _table_rule("rename", "plans", value="plan"), "plans")
_mutation(
    "table_renamed",
    _table_rule("convert-uppercase", "plans"),
    "plans",
    name="table_renamed: upper case",
)
_mutation(
    "table_renamed",
    lambda config: config.settings["TargetMetadata"].update(TargetSchema="raw"),
    "all",
    name="table_renamed: TargetSchema",
)
_mutation("table_not_selected", _select("exclude", "plans"), "plans")
_mutation("table_undeclared", _select("include", "invoices"))
_mutation(
    "row_filter",
    _select("include", "users", filters=[{"filter-type": "source", "column-name": "user_id"}]),
)
_mutation(
    "parallel_load",
    lambda config: config.add_rule(
        rule_type="table-settings",
        object_locator=_locator("messages"),
        parallel_load={"type": "ranges", "columns": ["message_id"], "boundaries": [["1000"]]},
    ),
)
_mutation("two_tasks", _second_task, "all")
_mutation("column_missing", _column_rule("remove-column", "users", "user_id"), "users")
_mutation(
    "column_missing",
    _column_rule("rename", "users", "email", value="mail"),
    "users",
    name="column_missing: rename",
)
_mutation(
    "column_missing",
    _column_rule("include-column", "users", "user_id"),
    "users",
    name="column_missing: include",
)
_mutation(
    "column_type",
    _column_rule("change-data-type", "payments", "amount_cents", data_type={"type": "bytes"}),
    "payments",
)
_mutation(
    "column_type",
    _column_rule("change-data-type", "payments", "amount_cents", data_type={"type": "string"}),
    "payments",
    name="column_type: string",
)
_mutation(
    "column_masked",
    _column_rule("data-masking-hash-mask", "conversations", "user_id"),
    "conversations",
)
_mutation("source_mysql", _source(EngineName="mysql"), "source")
_mutation("source_postgres", _source(EngineName="postgres"), "source")
_mutation(
    "source_postgres+postgres_ddl",
    _source(EngineName="aurora-postgresql", ExtraConnectionAttributes="captureDDLs=N"),
    "source",
)


def described(config: Config, *, as_text: bool = True) -> dict[str, dict[str, Any]]:
    """The set-up as files of AWS's describe commands: name -> JSON; nested JSON as AWS gives it."""
    tasks = copy.deepcopy(config.tasks)
    if as_text:
        for task in tasks:
            for name in ("TableMappings", "ReplicationTaskSettings"):
                if name in task:
                    task[name] = json.dumps(task[name])
    return {
        "tasks.json": {"ReplicationTasks": tasks},
        "endpoints.json": {"Endpoints": [config.endpoint, *config.sources]},
    }


def write(folder: Path, documents: dict[str, Any]) -> list[Path]:
    """Write documents as JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in documents]
    for file in files:
        file.write_text(json.dumps(documents[file.name], indent=1), encoding="utf-8")
    return files

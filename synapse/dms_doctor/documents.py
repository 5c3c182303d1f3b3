"""Reading what people have in hand of a DMS set-up: AWS's answers, skeletons, templates, parts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synapse.dms_doctor.blocks import Block, Setting, attributes, embedded
from synapse.errors import UsageError

_TASK = ("TableMappings", "ReplicationTaskSettings", "ReplicationSettings", "MigrationType")
_SETTINGS = (
    "TargetMetadata",
    "FullLoadSettings",
    "ErrorBehavior",
    "ChangeProcessingDdlHandlingPolicy",
    "ChangeProcessingTuning",
    "BeforeImageSettings",
)
_ENDPOINT = ("EndpointType", "EngineName", "S3Settings", "ExtraConnectionAttributes")
_S3 = (
    "DataFormat",
    "TimestampColumnName",
    "IncludeOpForFullLoad",
    "DatePartitionEnabled",
    "PreserveTransactions",
    "CdcInsertsOnly",
    "BucketFolder",
)
_WAY_OUT = (
    "Give what `aws dms describe-replication-tasks` and `aws dms describe-endpoints` print, the "
    "input of `create-replication-task` or `create-endpoint`, a CloudFormation template in JSON, "
    "or `terraform show -json`"
)


@dataclass
class Task:
    """A replication task, or the part of one that a file holds. None: that part is not there."""

    subject: str
    block: Block
    settings: Block | None
    mappings: Block | None

    @property
    def migration(self) -> Setting | None:
        """full-load, cdc or full-load-and-cdc; None where the files do not tell."""
        for name in ("MigrationType", "ReplicationType"):
            if self.block.setting(name).is_set:
                return self.block.setting(name)
        return None

    @property
    def has_load(self) -> bool:
        """Whether it loads what the tables hold when it starts."""
        return self.migration is None or self.migration.text() != "cdc"

    @property
    def has_changes(self) -> bool:
        """Whether it goes on with changes."""
        return self.migration is None or self.migration.text() != "full-load"


@dataclass
class Endpoint:
    """An endpoint. settings: structured ones over extra connection attributes."""

    subject: str
    block: Block
    settings: Block
    structured: Block
    extra: Block

    @property
    def engine(self) -> str:
        """s3, mysql, postgres, aurora-postgresql, ..."""
        given = self.block.setting("EngineName").text().casefold()
        return given or ("s3" if self.block.has("S3Settings", *_S3) else "")

    @property
    def is_source(self) -> bool:
        """Whether DMS reads from it."""
        return self.block.setting("EndpointType").text().casefold() == "source"

    @property
    def arn(self) -> str:
        """Its ARN, where the files give it."""
        value = self.block.setting("EndpointArn").value
        return value if isinstance(value, str) else ""


@dataclass
class Setup:
    """All that the files hold."""

    tasks: list[Task] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)

    @property
    def targets(self) -> list[Endpoint]:
        """Where data lands."""
        return [endpoint for endpoint in self.endpoints if not endpoint.is_source]

    @property
    def sources(self) -> list[Endpoint]:
        """Where data comes from."""
        return [endpoint for endpoint in self.endpoints if endpoint.is_source]


def read_setup(files: list[Path]) -> Setup:
    """Read DMS tasks and endpoints out of JSON files; their order does not matter.

    Raises UsageError that names the file (and the line and column) for what is no JSON or has
    nothing of DMS in it.
    """
    setup = Setup()
    for file in sorted(set(files)):
        document = _parse(file)
        if isinstance(document, dict) and "planned_values" in document:
            # A Terraform plan tells everything several times, the state before it included.
            document = document["planned_values"]
        before = len(setup.tasks) + len(setup.endpoints)
        _walk(document, "$", file.name, setup)
        if len(setup.tasks) + len(setup.endpoints) == before:
            raise UsageError(f"{file} holds no DMS task and no DMS endpoint. {_WAY_OUT}")
    setup.tasks = _joined(setup.tasks)
    setup.endpoints = _used(setup)
    return setup


def _parse(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}). {_WAY_OUT}"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text ({error.reason}). {_WAY_OUT}") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def _walk(value: Any, path: str, file: str, setup: Setup) -> None:
    if isinstance(value, list):
        for position, item in enumerate(value):
            _walk(item, f"{path}[{position}]", file, setup)
        return
    if not isinstance(value, dict):
        return
    block = Block.of(value, path)
    if block.has(*_TASK):
        setup.tasks.append(_task(block, file))
    elif block.has(*_SETTINGS):
        setup.tasks.append(Task(f"task ({file})", Block(path), block, None))
    elif _is_mappings(block):
        setup.tasks.append(Task(f"task ({file})", Block(path), None, block))
    elif block.has(*_ENDPOINT, *_S3):
        setup.endpoints.append(_endpoint(block, file))
    else:
        for name, item in value.items():
            _walk(item, f"{path}.{name}", file, setup)


def _is_mappings(block: Block) -> bool:
    rules = block.setting("rules").value
    return isinstance(rules, list) and any(
        isinstance(rule, dict) and Block.of(rule, "").has("rule-type") for rule in rules
    )


def _task(block: Block, file: str) -> Task:
    name = _name(
        block, "ReplicationTaskIdentifier", "ReplicationTaskId", "ReplicationConfigIdentifier"
    )
    settings = next(
        (
            block.block(candidate)
            for candidate in ("ReplicationTaskSettings", "ReplicationSettings")
            if block.setting(candidate).is_set
        ),
        None,
    )
    mappings = block.block("TableMappings") if block.setting("TableMappings").is_set else None
    return Task(f"task {name} ({file})", block, settings, mappings)


def _name(block: Block, *candidates: str) -> str:
    # A template may compute the name, which does not matter to any check.
    values = (block.setting(candidate).value for candidate in candidates)
    return next((value for value in values if isinstance(value, str) and value), "(unnamed)")


def _endpoint(block: Block, file: str) -> Endpoint:
    name = _name(block, "EndpointIdentifier", "EndpointId")
    # A file may hold the S3 settings alone, and Terraform has a resource of just them.
    structured = block.block("S3Settings") if block.has("S3Settings") else block
    given = block.setting("ExtraConnectionAttributes")
    extra = attributes(given.text(), given.path)
    return Endpoint(f"endpoint {name} ({file})", block, structured.over(extra), structured, extra)


def _joined(tasks: list[Task]) -> list[Task]:
    """Parts of one task that lie in several files, as one task."""
    whole = [task for task in tasks if task.settings is not None and task.mappings is not None]
    parts = [task for task in tasks if task not in whole]
    if len(tasks) < 2 or not parts:
        return tasks
    settings = [task.settings for task in tasks if task.settings is not None]
    mappings = [task.mappings for task in tasks if task.mappings is not None]
    blocks = [task for task in tasks if task.block.members]
    if len(settings) <= 1 and len(mappings) <= 1 and len(blocks) <= 1:
        named = (blocks or tasks)[0]
        return [
            Task(
                named.subject,
                named.block,
                settings[0] if settings else None,
                mappings[0] if mappings else None,
            )
        ]
    loose = [task.subject for task in parts if not task.block.members]
    if loose:
        raise UsageError(
            f"{', '.join(loose)}: settings or mappings on their own, beside several tasks; which "
            "one they belong to is unknown. Give one task at a time"
        )
    return tasks


def _used(setup: Setup) -> list[Endpoint]:
    """Of all endpoints of an account, those that the tasks name; all where they name none."""
    named = set()
    for task in setup.tasks:
        for name in ("SourceEndpointArn", "TargetEndpointArn"):
            value = task.block.setting(name).value
            if isinstance(value, str):
                named.add(value)
    used = [endpoint for endpoint in setup.endpoints if endpoint.arn and endpoint.arn in named]
    if used:
        return used
    # An account has other targets as well; they are only at fault when there is no S3 at all.
    has_s3 = any(endpoint.engine == "s3" for endpoint in setup.targets)
    return [
        endpoint
        for endpoint in setup.endpoints
        if endpoint.is_source or endpoint.engine == "s3" or not has_s3
    ]


def mapping_rules(task: Task) -> list[tuple[Block, str]]:
    """The rules of the task's table mappings, each with its JSON path."""
    if task.mappings is None:
        return []
    found = task.mappings.setting("rules")
    rules = embedded(found)
    if not isinstance(rules, list):
        return []
    return [
        (Block.of(rule, f"{found.path}[{position}]"), f"{found.path}[{position}]")
        for position, rule in enumerate(rules)
        if isinstance(rule, dict)
    ]

"""The CloudFormation template that follows from schedules.yml: machines, times and alarms."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from synapse.deploy.cron_expression import expression
from synapse.deploy.state_machine import state_machine
from synapse.errors import SynapseError
from synapse.schedules.model import CatchUp, Schedule, Schedules

WATCH_MINUTES = 10
_EARLIEST, _LATEST = 60, 86_400
_IMPORTS = {
    "Alerts": "AlertsArn",
    "Cluster": "ClusterArn",
    "Ingest": "IngestArn",
    "Runner": "RunnerArn",
    "RunnerGroup": "RunnerGroup",
}

Resource = dict[str, Any]


def schedules_template(schedules: Schedules, timezone: str) -> dict[str, Any]:
    """One state machine, one EventBridge schedule and two alarms for each schedule, and no more."""
    resources: dict[str, Resource] = {"Group": _group(), "Watch": _watch()}
    for name, schedule in schedules.by_name.items():
        word = logical_id(name)
        if f"{word}Machine" in resources:
            raise SynapseError(
                f"CloudFormation cannot tell schedule {name!r} from another: rename it"
            )
        resources[f"{word}Machine"] = _machine(name, schedule)
        resources[f"{word}Schedule"] = _schedule(name, schedule, timezone)
        resources[f"{word}Failed"] = _failed(name)
        resources[f"{word}Late"] = _late(name, schedule)
    resources |= _queue_alarms()
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Synapse: what schedules.yml declares. Rendered: change it there.",
        "Parameters": {
            "Environment": {
                "Type": "String",
                "AllowedPattern": "[a-z][a-z0-9]{1,11}",
                "Description": "As given to storage.yml and runtime.yml.",
            },
            "SubnetIds": {
                "Type": "List<AWS::EC2::Subnet::Id>",
                "Description": "As given to runtime.yml.",
            },
            "Schedules": {
                "Type": "String",
                "Default": "ENABLED",
                "AllowedValues": ["ENABLED", "DISABLED"],
                "Description": "Whether anything starts by itself.",
            },
        },
        "Resources": resources,
    }


def logical_id(name: str) -> str:
    """A schedule's name as CloudFormation takes it."""
    return "".join(part.capitalize() for part in name.split("_"))


def _group() -> Resource:
    return {
        "Type": "AWS::Scheduler::ScheduleGroup",
        "Properties": {"Name": {"Fn::Sub": "synapse-${Environment}"}},
    }


def _machine(name: str, schedule: Schedule) -> Resource:
    text = json.dumps(state_machine(name, schedule), indent=2, ensure_ascii=False)
    values = {word: _import(export) for word, export in _IMPORTS.items()}
    # Between the quotes that the definition has.
    values["Subnets"] = {"Fn::Join": ['", "', {"Ref": "SubnetIds"}]}
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": {"Fn::Sub": f"synapse-${{Environment}}-{name}"},
            "StateMachineType": "STANDARD",
            "RoleArn": _import("StatesRoleArn"),
            "DefinitionString": {"Fn::Sub": [text, values]},
        },
    }


def _schedule(name: str, schedule: Schedule, timezone: str) -> Resource:
    told = expression(schedule.cron, timezone)
    # What comes too late to be of use is not started: it goes to the dead letters.
    age = timedelta() if schedule.catch_up is CatchUp.none else schedule.sla
    start = {"how": "--occurrence", "at": "<aws.scheduler.scheduled-time>", "tries": 0}
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": name,
            "Description": schedule.description,
            "GroupName": {"Ref": "Group"},
            "State": {"Ref": "Schedules"},
            "ScheduleExpression": told.text,
            "ScheduleExpressionTimezone": told.timezone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": {"Ref": f"{logical_id(name)}Machine"},
                "RoleArn": _import("SchedulerRoleArn"),
                "Input": json.dumps(start),
                **_delivery(min(max(int(age.total_seconds()), _EARLIEST), _LATEST)),
            },
        },
    }


def _watch() -> Resource:
    """Looks for what is late: a schedule that nobody starts raises no error of its own."""
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": "synapse-watch",  # no schedule of ours has a hyphen
            "Description": "Tells CloudWatch how late each schedule is",
            "GroupName": {"Ref": "Group"},
            "State": {"Ref": "Schedules"},
            "ScheduleExpression": f"rate({WATCH_MINUTES} minutes)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": _import("IngestArn"),
                "RoleArn": _import("SchedulerRoleArn"),
                "Input": json.dumps({"do": "watch"}),
                **_delivery(_EARLIEST),
            },
        },
    }


def _delivery(age: int) -> dict[str, Any]:
    return {
        "RetryPolicy": {"MaximumEventAgeInSeconds": age, "MaximumRetryAttempts": 185},
        "DeadLetterConfig": {"Arn": _import("SchedulerDeadLettersArn")},
    }


def _failed(name: str) -> Resource:
    """A failure that no state could tell of: time-outs and aborts are not caught by a machine."""
    machine = {"Ref": f"{logical_id(name)}Machine"}
    kinds = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")
    metrics: list[dict[str, Any]] = [
        {
            "Id": f"m{number}",
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/States",
                    "MetricName": kind,
                    "Dimensions": [{"Name": "StateMachineArn", "Value": machine}],
                },
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for number, kind in enumerate(kinds)
    ]
    total = "SUM([" + ", ".join(f"FILL(m{number}, 0)" for number in range(len(kinds))) + "])"
    return _alarm(
        f"{name}-failed",
        f"{name} failed, timed out or was aborted",
        {"Metrics": [{"Id": "total", "Expression": total, "ReturnData": True}, *metrics]},
        missing="notBreaching",
    )


def _late(name: str, schedule: Schedule) -> Resource:
    dimensions = [
        {"Name": "Deployment", "Value": {"Fn::Sub": "synapse-${Environment}"}},
        {"Name": "Schedule", "Value": name},
    ]
    minutes = schedule.sla.total_seconds() / 60
    return _alarm(
        f"{name}-late",
        f"{name} has not succeeded {minutes:g} minutes after its time, or nobody looks",
        {
            "Namespace": "Synapse",
            "MetricName": "Late",
            "Dimensions": dimensions,
            "Period": 60 * WATCH_MINUTES,
            "Statistic": "Maximum",
            # Two looks: one that came while a run ended is no news.
            "periods": 2,
        },
        missing="breaching",
    )


def _queue_alarms() -> dict[str, Resource]:
    landed = {"Fn::Sub": "synapse-${Environment}-landed"}
    dead = {"Fn::Sub": "synapse-${Environment}-landed-dead"}
    depth, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    unread = {**_queue_metric(landed, age), "Threshold": 1800, "periods": 2}
    ingest = {"Fn::Sub": "synapse-${Environment}-ingest"}
    errors = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": ingest}],
        "Period": 300,
        "Statistic": "Sum",
        "Threshold": 5,
    }
    return {
        "LandedDead": _alarm(
            "landed-dead",
            "Notifications of what landed could not be made into a run",
            _queue_metric(dead, depth),
            missing="notBreaching",
        ),
        "SchedulerDead": _alarm(
            "scheduler-dead",
            "EventBridge Scheduler could not start something",
            _queue_metric(_import("SchedulerDeadLettersName"), depth),
            missing="notBreaching",
        ),
        "LandedOld": _alarm(
            "landed-old",
            "What landed half an hour ago has started no run",
            unread,
            missing="notBreaching",
        ),
        "IngestErrors": _alarm(
            "ingest-errors",
            "The Lambda of ingest fails again and again",
            errors,
            missing="notBreaching",
        ),
    }


def _queue_metric(queue: Any, metric: str) -> dict[str, Any]:
    return {
        "Namespace": "AWS/SQS",
        "MetricName": metric,
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
        "Period": 300,
        "Statistic": "Maximum",
    }


def _alarm(name: str, why: str, metric: dict[str, Any], *, missing: str) -> Resource:
    metric = dict(metric)
    periods = metric.pop("periods", 1)
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"synapse-${{Environment}}-{name}"},
            "AlarmDescription": f"{why}. docs/runbook.md says what to do.",
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": 1,
            "EvaluationPeriods": periods,
            "TreatMissingData": missing,
            "AlarmActions": [_import("AlertsArn")],
            "OKActions": [_import("AlertsArn")],
            **metric,
        },
    }


def _import(export: str) -> dict[str, Any]:
    return {"Fn::ImportValue": {"Fn::Sub": f"synapse-${{Environment}}-{export}"}}

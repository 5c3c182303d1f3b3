"""The Step Functions state machine of one schedule, in Amazon States Language.

It does what the embedded scheduler does with an occurrence: ask the state store, wait for what is
needed, ingest, run, ask again. Names in ${} are filled in by CloudFormation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from synapse.runner.error_class import ErrorClass
from synapse.schedules.model import Ingest, Schedule

WAIT_SECONDS = 60
INGEST_SECONDS = 600.0
"""After this an ingest begins no further source; its Lambda has 15 minutes."""
_LAMBDA_SECONDS = 900
_ASK_SECONDS = 120
_START_AND_STOP = timedelta(minutes=10)

# What the services say when the error is theirs; ours come from the Lambda under these names too.
AWS_ERRORS = {
    ErrorClass.throttled: (
        "ThrottledError",
        "Lambda.TooManyRequestsException",
        "ECS.ThrottlingException",
        "ECS.LimitExceededException",
    ),
    ErrorClass.locked: ("LockedError",),
    ErrorClass.network: (
        "NetworkError",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "ECS.ServerException",
        "ECS.AmazonECSException",
    ),
}

States = dict[str, dict[str, Any]]


def state_machine(name: str, schedule: Schedule) -> dict[str, Any]:
    """The definition. Its input: how (--occurrence or --as-of), at (ISO 8601), tries (0)."""
    retry = _retry(schedule)
    ingests = schedule.ingest is not Ingest.none
    states: States = {
        "Ask": _lambda(
            {"do": "ask", "schedule": name, **_of_input("how", "at", "tries")},
            {"state.$": "$.Payload.state", "why.$": "$.Payload.why"},
            "$.answer",
            _ASK_SECONDS,
            retry,
            catch=_tell(),
            then="Decide",
        ),
        "Decide": {
            "Type": "Choice",
            "Choices": [
                _if("$.answer.state", "run", "Ingest" if ingests else "Run"),
                _if("$.answer.state", "wait", "Wait"),
                _if("$.answer.state", "done", "Done"),
            ],
            "Default": "Tell",
        },
        "Wait": {"Type": "Wait", "Seconds": WAIT_SECONDS, "Next": "Ask"},
    }
    if ingests:
        states |= _ingest(name, schedule, retry)
    states |= {
        "Run": _run(name, schedule, retry),
        # The state store knows how it ended, or that it never began.
        "Count": {
            "Type": "Pass",
            "Parameters": {**_of_input("how", "at"), "tries.$": "States.MathAdd($.tries, 1)"},
            "Next": "Ask",
        },
        "Done": {"Type": "Succeed"},
        "Tell": {
            "Type": "Task",
            "Resource": "arn:${AWS::Partition}:states:::sns:publish",
            "Parameters": {
                "TopicArn": "${Alerts}",
                "Subject": f"Synapse ${{Environment}}: {name} failed",
                "Message.$": (
                    f"States.Format('{name} of {{}} failed: see `synapse status`, and the "
                    f"executions of synapse-${{Environment}}-{name}. {{}}', "
                    "$.at, States.JsonToString($))"
                ),
            },
            "ResultPath": None,
            "Retry": [_again(["States.ALL"], 3)],
            "Next": "Failed",
        },
        "Failed": {
            "Type": "Fail",
            "Error": "RunFailed",
            "Cause": f"{name} failed: see the message to the alerts topic, or `synapse status`",
        },
    }
    return {
        "Comment": f"{name}: {schedule.description} (rendered from schedules.yml)",
        "StartAt": "Ask",
        "TimeoutSeconds": _seconds(schedule.sla + 2 * schedule.timeout + timedelta(hours=1)),
        "States": states,
    }


def _ingest(name: str, schedule: Schedule, retry: list[dict[str, Any]]) -> States:
    """Source after source in slices of a Lambda's time; what one leaves, the next goes on with."""
    return {
        "Ingest": _lambda(
            {
                "do": "ingest",
                "schedule": name,
                "at.$": "$.at",
                "sweep": schedule.ingest is Ingest.sweep,
                "seconds": INGEST_SECONDS,
            },
            {"is_finished.$": "$.Payload.is_finished"},
            "$.ingest",
            _LAMBDA_SECONDS,
            retry,
            # A source too large for a Lambda: cut off, it accepted nothing, and the run ingests it.
            catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Run"}],
            then="Ingested",
        ),
        "Ingested": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.ingest.is_finished", "BooleanEquals": False, "Next": "Ingest"}
            ],
            "Default": "Run",
        },
    }


def _run(name: str, schedule: Schedule, retry: list[dict[str, Any]]) -> dict[str, Any]:
    wait = _seconds(schedule.timeout)
    command = f"'run', '{name}', $.how, $.at, '--wait', '{wait}', '--target', 'athena'"
    return {
        "Type": "Task",
        "Resource": "arn:${AWS::Partition}:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": "${Cluster}",
            "TaskDefinition": "${Runner}",
            "LaunchType": "FARGATE",
            "PropagateTags": "TASK_DEFINITION",
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "AssignPublicIp": "DISABLED",
                    "SecurityGroups": ["${RunnerGroup}"],
                    "Subnets": ["${Subnets}"],
                }
            },
            "Overrides": {
                "ContainerOverrides": [
                    {"Name": "runner", "Command.$": f"States.Array({command})"}
                ]
            },
        },
        # The run ends itself at its time-out and records it; this is for one that cannot.
        "TimeoutSeconds": wait + _seconds(schedule.timeout + _START_AND_STOP),
        "ResultPath": None,
        "Retry": retry,
        "Catch": [
            {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Count"},
            *_tell(),
        ],
        "Next": "Count",
    }  # fmt: skip


def _lambda(
    payload: dict[str, Any],
    selector: dict[str, str],
    path: str,
    seconds: int,
    retry: list[dict[str, Any]],
    *,
    catch: list[dict[str, Any]],
    then: str,
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:${AWS::Partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": "${Ingest}", "Payload": payload},
        "ResultSelector": selector,
        "ResultPath": path,
        "TimeoutSeconds": seconds,
        "Retry": retry,
        "Catch": catch,
        "Next": then,
    }


def _retry(schedule: Schedule) -> list[dict[str, Any]]:
    return [_again(list(AWS_ERRORS[kind]), count) for kind, count in schedule.retries.items()]


def _again(errors: list[str], attempts: int) -> dict[str, Any]:
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 5,
        "BackoffRate": 2.0,
        "MaxDelaySeconds": 120,
        # Many that were refused together must not come back together.
        "JitterStrategy": "FULL",
        "MaxAttempts": attempts,
    }


def _tell() -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Tell"}]


def _if(variable: str, value: str, then: str) -> dict[str, Any]:
    return {"Variable": variable, "StringEquals": value, "Next": then}


def _of_input(*names: str) -> dict[str, str]:
    return {f"{name}.$": f"$.{name}" for name in names}


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())

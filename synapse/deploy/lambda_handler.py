"""The Lambda of infra/runtime.yml: says whether a run may begin, ingests, sees what landed.

It is told what to do by the state machines ({"do": "ask"}, {"do": "ingest"}), by a schedule of its
own ({"do": "watch"}) and by the queue of what landed (Records of SQS).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NoReturn

import boto3
import orjson

from synapse.deploy.readiness import How, Readiness, moment
from synapse.errors import LeaseHeldError, SynapseError, UsageError
from synapse.ingest.service import ingest
from synapse.project import find_project
from synapse.runner.error_class import ErrorClass, error_class
from synapse.runner.history import RunHistory
from synapse.schedules.load import load_schedules
from synapse.settings import Settings

Event = Mapping[str, Any]


class ThrottledError(SynapseError):
    """A service refused for now; the state machine retries by this name."""


class LockedError(SynapseError):
    """Another run had it; the state machine retries by this name."""


class NetworkError(SynapseError):
    """A connection broke; the state machine retries by this name."""


_PASSING = {
    ErrorClass.throttled: ThrottledError,
    ErrorClass.locked: LockedError,
    ErrorClass.network: NetworkError,
}


def handle(event: Event, _context: object) -> dict[str, Any]:
    """What Lambda calls. Errors that may pass carry the name of their class."""
    if secret := os.environ.get("SYNAPSE_STATE_SECRET"):
        _know_the_password(secret)
    try:
        if "Records" in event:
            return _landed(event)
        asked = _member(event, "do")
        if asked not in _ACTIONS:
            raise UsageError(f"an event asks to {asked!r}; what is known is {sorted(_ACTIONS)}")
        return _ACTIONS[asked](event)
    except SynapseError as error:
        _raise_by_class(error)


def _raise_by_class(error: SynapseError) -> NoReturn:
    if error.exit_code == LeaseHeldError.exit_code:
        raise LockedError(error.message) from error
    kind = error_class(f"{error} {error.__cause__ or ''}")
    if kind is None:
        raise error
    raise _PASSING[kind](error.message) from error


def _member(event: Event, name: str) -> Any:
    if name not in event:
        raise UsageError(f"an event lacks {name!r}; it has {sorted(event)}")
    return event[name]


def _ask(event: Event) -> dict[str, Any]:
    schedule, tries = _member(event, "schedule"), int(_member(event, "tries"))
    at, how = moment(_member(event, "at")), How(_member(event, "how"))
    answer = _readiness().ask(schedule, how, at, tries, datetime.now(UTC))
    return {"state": answer.state.value, "why": answer.why}


def _ingest(event: Event) -> dict[str, Any]:
    report = ingest(
        Settings.load(),
        find_project(),
        as_of=moment(_member(event, "at")),
        sweep=True if _member(event, "sweep") else None,
        seconds=float(_member(event, "seconds")),
    )
    counts = ("landed", "accepted", "duplicate", "quarantined", "files")
    return {"is_finished": not report.is_cut, **{name: getattr(report, name) for name in counts}}


def _watch(_event: Event) -> dict[str, Any]:
    """A line for each schedule that CloudWatch reads metrics from, without a request of ours.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    now, readiness = datetime.now(UTC), _readiness()
    late = []
    for name in load_schedules(find_project()).by_name:
        found = readiness.lateness(name, now)
        if found.is_late:
            late.append(name)
        values: dict[str, float] = {"Late": int(found.is_late)}
        if found.age is not None:
            values["AgeMinutes"] = round(found.age.total_seconds() / 60, 1)
        _say_metrics(now, {"Schedule": name}, values)
    return {"late": late}


def _landed(event: Event) -> dict[str, Any]:
    """One run for a batch of notifications, and no second one for a batch that comes again."""
    records = event["Records"]
    # S3 sends a test message when a bucket is connected: it has landed nothing.
    if not any("Records" in orjson.loads(record["body"]) for record in records):
        return {"started": None}
    client = boto3.client("stepfunctions")
    sent = max(int(record["attributes"]["SentTimestamp"]) for record in records)
    at = datetime.fromtimestamp(sent / 1000, UTC)
    name = f"landed-{records[0]['messageId']}"
    machine = os.environ["SYNAPSE_ON_LANDING"]
    start = {"how": How.landed.value, "at": at.isoformat(timespec="milliseconds"), "tries": 0}
    with contextlib.suppress(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(
            stateMachineArn=machine, name=name, input=orjson.dumps(start).decode()
        )
    return {"started": name}


_ACTIONS: dict[str, Callable[[Event], dict[str, Any]]] = {
    "ask": _ask,
    "ingest": _ingest,
    "watch": _watch,
}


def _readiness() -> Readiness:
    return _readiness_of(Settings.load())


@cache
def _readiness_of(settings: Settings) -> Readiness:
    # Whoever comes first to a new store makes its tables.
    engine = RunHistory(settings.state).engine
    return Readiness(engine, load_schedules(find_project()), settings.business_timezone)


def _say_metrics(now: datetime, dimensions: dict[str, str], values: dict[str, float]) -> None:
    dimensions = {"Deployment": os.environ.get("SYNAPSE_DEPLOYMENT", "synapse"), **dimensions}
    described = {
        "Namespace": "Synapse",
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name} for name in values],
    }
    meta = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [described]}
    print(orjson.dumps({"_aws": meta, **dimensions, **values}).decode(), flush=True)  # noqa: T201


@cache
def _know_the_password(secret: str) -> None:
    """Lambda has no secrets of ECS's kind: fetched once a sandbox, for libpq to find."""
    found = boto3.client("secretsmanager").get_secret_value(SecretId=secret)
    os.environ["PGPASSWORD"] = orjson.loads(found["SecretString"])["password"]

"""The alerts as declared: channels by which people are told, and rules by which they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from synapse.schedules.model import Duration, Name, Sentence


class Severity(StrEnum):
    """How bad it is; PagerDuty's words."""

    critical = "critical"
    warning = "warning"
    info = "info"


def _secret(value: str) -> str:
    if not (value.startswith("${") and value.endswith("}") and value[2:-1].isidentifier()):
        raise ValueError(
            "is a secret: put it into the environment and write ${NAME} of that variable here"
        )
    return value


def _https(value: str) -> str:
    is_local = value.startswith(("http://127.0.0.1:", "http://localhost:"))
    if not (is_local or value.startswith(("https://", "${"))):
        raise ValueError("begins with https://, because a password goes with each request")
    return value.rstrip("/")


Secret = Annotated[str, AfterValidator(_secret)]
"""${NAME}: never the value itself."""
_EVERY = (Severity.critical, Severity.warning, Severity.info)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Channel(_Declared):
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = _EVERY
    """What it is for, where a rule does not name its channels."""


class Slack(_Channel):
    """An incoming webhook of Slack."""

    kind: Literal["slack"]
    url: Secret


class Teams(_Channel):
    """A workflow of Microsoft Teams: "post to a channel when a webhook request is received"."""

    kind: Literal["teams"]
    url: Secret


class PagerDuty(_Channel):
    """A service with the integration Events API v2."""

    kind: Literal["pagerduty"]
    key: Secret
    region: Literal["us", "eu"] = "us"


class Email(_Channel):
    """A mail server that takes mail for others (SMTP)."""

    kind: Literal["email"]
    host: Sentence
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "ssl", "none"] = "starttls"
    sender: Sentence
    recipients: Annotated[tuple[Sentence, ...], Field(min_length=1)]
    user: Sentence | None = None
    password: Secret | None = None


class Sns(_Channel):
    """A topic of Amazon SNS; credentials and endpoint as every AWS tool takes them."""

    kind: Literal["sns"]
    topic_arn: Annotated[
        str, Field(pattern=r"^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+|\$\{.+\})$")
    ]


class ServiceNow(_Channel):
    """Incidents of a ServiceNow instance (table API)."""

    kind: Literal["servicenow"]
    instance: Annotated[str, AfterValidator(_https)]
    user: Sentence
    password: Secret
    assignment_group: str | None = None


class AnyApprise(_Channel):
    """Whatever else apprise knows, by its URL: https://appriseit.com/services/."""

    kind: Literal["apprise"]
    url: Secret


Channel = Annotated[
    Slack | Teams | PagerDuty | Email | Sns | ServiceNow | AnyApprise, Field(discriminator="kind")
]


class _Rule(_Declared):
    description: Sentence
    severity: Severity
    owner: Sentence
    runbook: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    """Anchor of its section in docs/runbook.md."""
    channels: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """None: every channel that takes its severity."""
    hold: Duration | None = None
    """For so long it must have been so before anybody is told; None: tell at once."""
    repeat: Duration


class _OfSchedules(_Rule):
    schedules: tuple[Name, ...] = ()
    """None named: every one."""


class LatencyRule(_OfSchedules):
    """What had landed by a time of the schedule is in gold later than `over` after that time."""

    kind: Literal["latency"]
    over: Duration


class MissedScheduleRule(_OfSchedules):
    """A time of a schedule has not been run with success within its sla."""

    kind: Literal["missed_schedule"]


class FailedRunRule(_OfSchedules):
    """The newest run of a schedule failed for another reason than its checks, or was killed."""

    kind: Literal["failed_run"]


class FailedChecksRule(_OfSchedules):
    """Tests of severity error failed in the newest run of a schedule."""

    kind: Literal["failed_checks"]


class BudgetRule(_OfSchedules):
    """The newest run of a schedule cost more than its budget in schedules.yml."""

    kind: Literal["budget"]


class ErrorRateRule(_Rule):
    """Of the product's requests in the last complete hour, a greater share than `over` failed."""

    kind: Literal["error_rate"]
    over: Annotated[float, Field(gt=0, lt=1)]
    minimum_requests: Annotated[int, Field(ge=1)]


class QuarantineRule(_Rule):
    """More than `over` records of a source came into quarantine within `within` and lie there."""

    kind: Literal["quarantine"]
    over: Annotated[int, Field(ge=0)]
    within: Duration


class StaleSourceRule(_Rule):
    """Nothing of a source has landed for longer than it declares, or than `over` for all."""

    kind: Literal["stale_source"]
    over: Duration | None = None
    sources: tuple[Sentence, ...] = ()
    """As the manifest names them, such as dms.synapse.users; none named: every one."""


Rule = (
    LatencyRule
    | MissedScheduleRule
    | FailedRunRule
    | FailedChecksRule
    | BudgetRule
    | ErrorRateRule
    | QuarantineRule
    | StaleSourceRule
)
_DiscriminatedRule = Annotated[Rule, Field(discriminator="kind")]


class AlertFile(_Declared):
    """The whole file."""

    version: Annotated[int, Field(ge=1, le=1)]
    runbook: Sentence
    """What a rule's anchor is put behind, so that a notice links to its section."""
    channels: dict[Name, Channel] = Field(default_factory=dict)
    rules: Annotated[dict[Name, _DiscriminatedRule], Field(min_length=1)]


@dataclass(frozen=True)
class Terms:
    """On what terms the notices of a rule are told. runbook: the link to its section."""

    rule: str
    severity: Severity
    owner: str
    runbook: str
    hold: timedelta
    repeat: timedelta
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Alerts:
    """Channels and rules by name. lines: at which line of the file each channel stands."""

    file: str
    runbook: str
    channels: dict[str, Channel]
    rules: dict[str, Rule]
    lines: dict[str, int]

    def told(self, rule: Rule) -> tuple[str, ...]:
        """The channels that a rule's notices go to."""
        if rule.channels is not None:
            return rule.channels
        return tuple(n for n, each in self.channels.items() if rule.severity in each.severities)

    def terms(self, name: str) -> Terms:
        """On what terms the notices of a rule are told."""
        rule = self.rules[name]
        return Terms(
            name,
            rule.severity,
            rule.owner,
            f"{self.runbook}#{rule.runbook}",
            rule.hold or timedelta(0),
            rule.repeat,
            self.told(rule),
        )

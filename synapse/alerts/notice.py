"""A notice: short, with what is the matter, against which limit, and what to type next."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson

from synapse.alerts.condition import Condition
from synapse.alerts.model import Severity, Terms
from synapse.alerts.standing import Kind, Standing
from synapse.settings import Settings

_MARKS = {Kind.begin: "", Kind.repeat: "still: ", Kind.recovery: "over: "}


@dataclass(frozen=True)
class Notice:
    """What is told. key: the same for every notice of one subject (PagerDuty's dedup_key)."""

    key: str
    kind: Kind
    severity: Severity
    title: str
    lines: tuple[str, ...]
    rule: str
    subject: str
    lake: str
    runbook: str

    @property
    def body(self) -> str:
        """The text below the title."""
        return "\n".join(self.lines)

    def to_json(self) -> str:
        """As the store keeps it."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Notice:
        """What to_json wrote."""
        values = orjson.loads(text)
        values["kind"] = Kind(values["kind"])
        values["severity"] = Severity(values["severity"])
        values["lines"] = tuple(values["lines"])
        return cls(**values)


def notice_key(lake: str, rule: str, subject: str) -> str:
    """Names a subject of a rule on one lake, to services that put notices together."""
    digest = hashlib.sha256(f"{lake}\n{rule}\n{subject}".encode()).hexdigest()[:32]
    return f"synapse-{digest}"


def make_notice(
    kind: Kind,
    terms: Terms,
    condition: Condition,
    standing: Standing,
    now: datetime,
    settings: Settings,
) -> Notice:
    """The notice of a change. standing: as it is now, for a recovery as it was before."""
    lake = settings.location
    target = "" if settings.target == "duckdb" else f" --target {settings.target}"
    since = standing.since or now
    # What is well has no sentence about what is the matter.
    what = condition.subject if kind is Kind.recovery else condition.sentence
    lines = [
        f"value {condition.value}, limit {condition.limit}"
        if condition.value and kind is not Kind.recovery
        else "",
        f"since {since:%Y-%m-%d %H:%M} UTC"
        + (f", over at {now:%Y-%m-%d %H:%M} UTC" if kind is Kind.recovery else "")
        + (f", notice {standing.sent}" if kind is Kind.repeat else ""),
        f"run {condition.run_id}" if condition.run_id else "",
        f"owner {terms.owner}",
        f"runbook {terms.runbook}",
        f"next: {condition.command} --lake {shlex.quote(lake)}{target}"
        if condition.command and kind is not Kind.recovery
        else "",
    ]
    return Notice(
        key=notice_key(lake, terms.rule, condition.subject),
        kind=kind,
        severity=terms.severity,
        title=f"[{terms.severity}] {_MARKS[kind]}{terms.rule}: {what}",
        lines=tuple(line for line in lines if line),
        rule=terms.rule,
        subject=condition.subject,
        lake=lake,
        runbook=terms.runbook,
    )

"""What every way of telling people has in common, and which sender a channel gets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from synapse.alerts.model import Alerts, Channel, ServiceNow, Sns
from synapse.alerts.notice import Notice
from synapse.errors import SynapseError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SomeChannel = TypeVar("_SomeChannel", bound=Channel)


class NotSentError(Exception):
    """A channel did not take a notice, for a reason that holds no secret.

    is_worth_repeating: the same may pass a moment later.
    """

    def __init__(self, reason: str, *, is_worth_repeating: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_worth_repeating = is_worth_repeating


@dataclass(frozen=True)
class Patience:
    """Bounds on waiting for one channel: nobody's run hangs on whom it tells.

    answer_seconds: for one request. attempts: of one notice. wait_seconds: before the second
    attempt, then doubled. total_seconds: for all notices of one evaluation.
    """

    answer_seconds: float = 8
    attempts: int = 3
    wait_seconds: float = 0.5
    total_seconds: float = 25


class Sender(Protocol):
    """A way of telling people."""

    def send(self, notice: Notice) -> None:
        """Deliver it. Raises NotSentError."""
        ...


def sender_of(name: str, alerts: Alerts, patience: Patience) -> Sender:
    """The sender of a channel, its secrets taken from the environment.

    Raises SynapseError for a variable that is not set, a library that is not installed, or a value
    that the channel cannot be; none repeats a secret.
    """
    channel = _resolved(name, alerts)
    try:
        # Late, because most commands tell nobody, and because the libraries are an extra.
        if isinstance(channel, Sns):
            from synapse.alerts.sns import SnsSender

            return SnsSender(channel, patience)
        if isinstance(channel, ServiceNow):
            from synapse.alerts.servicenow import ServiceNowSender

            return ServiceNowSender(channel, patience)
        from synapse.alerts.apprise_sender import AppriseSender

        return AppriseSender(channel, patience, f"{_where(name, alerts)}")
    except ModuleNotFoundError as error:
        raise SynapseError(
            f"{_where(name, alerts)} needs {error.name}, which is not installed: "
            "pip install 'synapse-lakehouse[alerts]'"
        ) from error


def _where(name: str, alerts: Alerts) -> str:
    return f"{alerts.file} line {alerts.lines.get(name, 1)}: channel `{name}`"


def _resolved(name: str, alerts: Alerts) -> Channel:
    """The channel with each ${NAME} replaced by that variable's value."""
    channel = alerts.channels[name]

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            rules = [rule for rule, each in alerts.rules.items() if name in alerts.told(each)]
            raise SynapseError(
                f"{_where(name, alerts)} needs {match[1]}, which is not set in the environment: "
                f"set it, or take the channel out (it is for {_listed(rules)})"
            )
        return value

    texts = {
        field: _VARIABLE.sub(value_of, value)
        for field, value in dict(channel).items()
        if isinstance(value, str)
    }
    return channel.model_copy(update=texts)


def _listed(rules: Iterable[str]) -> str:
    names = list(rules)
    return f"the alerts {', '.join(names)}" if names else "no alert at present"

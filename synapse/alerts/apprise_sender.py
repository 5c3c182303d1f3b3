"""Slack, Teams, PagerDuty, e-mail and all else that apprise knows.

apprise says that a notice was not taken in its log only, and there in its own words, which may
repeat an address: of those only the HTTP status is read.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import apprise
from apprise.exception import AppriseImproperlyConfigured

from synapse.alerts.model import AnyApprise, Channel, Email, PagerDuty, Severity, Slack, Teams
from synapse.alerts.notice import Notice
from synapse.alerts.sender import NotSentError, Patience
from synapse.alerts.standing import Kind
from synapse.errors import SynapseError

_STATUS = re.compile(r"error=([0-9]{3})\b")
_WORTH_REPEATING = {408, 425, 429, 500, 502, 503, 504}
_PAGERDUTY_SEVERITIES = {
    Severity.critical: "critical",
    Severity.warning: "warning",
    Severity.info: "info",
}
_TYPES = {
    Severity.critical: apprise.NotifyType.FAILURE,
    Severity.warning: apprise.NotifyType.WARNING,
    Severity.info: apprise.NotifyType.INFO,
}


class AppriseSender:
    """Sends by the plugin of apprise that the channel's kind names."""

    def __init__(self, channel: Channel, patience: Patience, where: str) -> None:
        self._channel = channel
        self._times = {"cto": min(5.0, patience.answer_seconds), "rto": patience.answer_seconds}
        # Nothing of ours is kept on disk by it, and links and images are not loaded.
        self._asset = apprise.AppriseAsset(app_id="Synapse", app_desc="Synapse", app_url="")
        with _Ear():
            if self._plugin(None) is None:
                raise SynapseError(f"{where}: {_wrong(channel)}")

    def send(self, notice: Notice) -> None:
        """See Sender."""
        with _Ear() as ear:
            plugin = self._plugin(notice)
            assert plugin is not None
            is_over = notice.kind is Kind.recovery
            taken = plugin.notify(
                title=notice.title,
                body=notice.body,
                notify_type=apprise.NotifyType.SUCCESS if is_over else _TYPES[notice.severity],
            )
        if not taken:
            raise NotSentError(
                f"it answered HTTP {ear.status}"
                if ear.status
                else "it cannot be reached, or refuses",
                is_worth_repeating=ear.status is None or ear.status in _WORTH_REPEATING,
            )

    def _plugin(self, notice: Notice | None) -> apprise.NotifyBase | None:
        """A plugin of its own for each notice: apprise keeps pauses between those of one."""
        channel = self._channel
        # The plugin itself: apprise's own lookup loads all 130 of them first.
        if isinstance(channel, PagerDuty):
            from apprise.plugins.pagerduty import NotifyPagerDuty

            return self._instance(NotifyPagerDuty, self._pagerduty(channel, notice))
        if isinstance(channel, Email):
            from apprise.plugins.email import NotifyEmail

            return self._instance(NotifyEmail, self._email(channel))
        if isinstance(channel, Slack):
            from apprise.plugins.slack import NotifySlack

            found = NotifySlack.parse_native_url(channel.url)  # type: ignore[no-untyped-call]
            return self._instance(NotifySlack, found)
        if isinstance(channel, Teams):
            from apprise.plugins.workflows import NotifyWorkflows

            found = NotifyWorkflows.parse_native_url(channel.url)  # type: ignore[no-untyped-call]
            return self._instance(NotifyWorkflows, found)
        assert isinstance(channel, AnyApprise)
        plugin = apprise.Apprise.instantiate(channel.url, asset=self._asset)
        return plugin if isinstance(plugin, apprise.NotifyBase) else None

    def _instance(
        self, plugin: Callable[..., apprise.NotifyBase], values: dict[str, Any] | None
    ) -> apprise.NotifyBase | None:
        if values is None:
            return None
        try:
            return plugin(**{**values, **self._times, "asset": self._asset})
        except AppriseImproperlyConfigured:
            return None

    def _pagerduty(self, channel: PagerDuty, notice: Notice | None) -> dict[str, Any]:
        values: dict[str, Any] = {
            # Events API v2 knows the integration's key only; apprise asks for both.
            "apikey": channel.key,
            "integrationkey": channel.key,
            "region_name": channel.region,
            "include_image": False,
            "action": "map",
        }
        if notice is not None:
            values |= {
                "dedup": notice.key,
                "source": "synapse",
                "component": notice.subject,
                "class_id": notice.rule,
                "group": notice.lake,
                "severity": _PAGERDUTY_SEVERITIES[notice.severity],
                "details": {"runbook": notice.runbook},
            }
            if notice.runbook.startswith("https://"):
                values["click"] = notice.runbook
        return values

    def _email(self, channel: Email) -> dict[str, Any]:
        security = "insecure" if channel.security == "none" else channel.security
        return {
            "secure": channel.security != "none",
            "host": channel.sender.rpartition("@")[2].rstrip(">"),
            "smtp_host": channel.host,
            "port": channel.port,
            "secure_mode": security,
            "from_addr": channel.sender,
            "targets": list(channel.recipients),
            "user": channel.user,
            "password": channel.password,
            "format": "text",
        }


def _wrong(channel: Channel) -> str:
    return {
        "slack": "its url is no incoming webhook of Slack (https://hooks.slack.com/services/…)",
        "teams": "its url is no workflow of Teams (https://…/workflows/…/triggers/manual/…)",
        "pagerduty": "its key is no integration key of PagerDuty",
        "email": "sender or recipients are no e-mail addresses",
        "apprise": "its url is none that apprise knows, see https://appriseit.com/services/",
    }[channel.kind]


class _Ear(logging.Handler):
    """Hears the HTTP status in what apprise logs in this thread, and keeps the rest from others."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status: int | None = None
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        """Note the last status of a failure."""
        if record.thread == self._thread and (found := _STATUS.search(record.getMessage())):
            self.status = int(found[1])

    def __enter__(self) -> _Ear:
        self._logger.addHandler(self)
        # Its debug lines hold the addresses that are secrets.
        self._logger.setLevel(logging.WARNING)
        self._logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

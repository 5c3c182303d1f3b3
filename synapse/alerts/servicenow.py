"""Incidents of ServiceNow by its table API: apprise has none, so a thin sender of our own.

One incident a subject, known by its correlation_id: a reminder becomes a work note of the one that
is open, a recovery resolves it.
"""

from __future__ import annotations

import contextlib
from typing import Any

import requests

from synapse.alerts.model import ServiceNow, Severity
from synapse.alerts.notice import Notice
from synapse.alerts.sender import NotSentError, Patience
from synapse.alerts.standing import Kind

_WORTH_REPEATING = {408, 425, 429, 500, 502, 503, 504}
# Urgency and impact, of which ServiceNow derives the priority: 1 high, 2 medium, 3 low.
_URGENCY = {Severity.critical: "1", Severity.warning: "2", Severity.info: "3"}
_RESOLVED = "6"
_TITLE_CHARACTERS = 160


class ServiceNowSender:
    """Opens, notes and resolves incidents."""

    def __init__(self, channel: ServiceNow, patience: Patience) -> None:
        self._table = f"{channel.instance}/api/now/table/incident"
        self._auth = (channel.user, channel.password)
        self._group = channel.assignment_group
        self._seconds = patience.answer_seconds

    def send(self, notice: Notice) -> None:
        """See Sender."""
        incident = self._open_incident(notice.key)
        text = f"{notice.title}\n{notice.body}"
        if notice.kind is Kind.recovery:
            if incident is not None:
                self._ask(
                    "PATCH",
                    f"{self._table}/{incident}",
                    {
                        "state": _RESOLVED,
                        "close_code": "Resolved by caller",
                        "close_notes": text,
                    },
                )
        elif incident is not None:
            self._ask("PATCH", f"{self._table}/{incident}", {"work_notes": text})
        else:
            urgency = _URGENCY[notice.severity]
            values = {
                "short_description": notice.title[:_TITLE_CHARACTERS],
                "description": text,
                "urgency": urgency,
                "impact": urgency,
                "correlation_id": notice.key,
                "correlation_display": "Synapse",
            }
            if self._group:
                values["assignment_group"] = self._group
            self._ask("POST", self._table, values)

    def _open_incident(self, key: str) -> str | None:
        query = f"correlation_id={key}^stateNOT IN6,7,8"
        answer = self._ask(
            "GET",
            self._table,
            params={"sysparm_query": query, "sysparm_fields": "sys_id", "sysparm_limit": "1"},
        )
        found = answer.get("result")
        return str(found[0]["sys_id"]) if isinstance(found, list) and found else None

    def _ask(
        self,
        method: str,
        url: str,
        values: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            response = requests.request(
                method,
                url,
                json=values,
                params=params,
                auth=self._auth,
                headers={"Accept": "application/json"},
                timeout=self._seconds,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            # Their texts repeat the URL.
            raise NotSentError(f"it cannot be asked ({type(error).__name__})") from error
        if not 200 <= response.status_code < 300:
            raise NotSentError(
                f"it answered HTTP {response.status_code}",
                is_worth_repeating=response.status_code in _WORTH_REPEATING,
            )
        answer: Any = None
        with contextlib.suppress(ValueError):
            answer = response.json()
        if not isinstance(answer, dict):
            # An instance that sleeps answers 200 with a page.
            raise NotSentError("its answer is no JSON: is the instance awake?")
        return answer

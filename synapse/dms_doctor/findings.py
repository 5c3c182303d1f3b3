"""What a check says: how bad, which setting, why, and the value that cures it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """error: data would be refused, lost or wrong. warning: it works, but worse. info: know it."""

    error = "error"
    warning = "warning"
    info = "info"


SEVERITIES = tuple(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that will go wrong.

    check: id of the check (docs/dms_setup.md lists them). subject: the task or endpoint. setting:
    JSON path of the setting at fault. found: its value, "(absent: …)" with the default where it is
    not there. reason, cure: one sentence each. tables: declared tables it concerns, if it is not
    all of them.
    """

    check: str
    severity: Severity
    subject: str
    setting: str
    found: str
    reason: str
    cure: str
    tables: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, str, str, str, str]:
        """The worst first; nothing depends on the order in which files were given."""
        return (
            SEVERITIES.index(self.severity),
            self.subject,
            self.setting,
            self.check,
            self.found,
        )

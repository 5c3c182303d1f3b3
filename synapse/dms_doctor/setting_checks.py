"""Checks that look at one setting: what is wrong with which value, why, and what cures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from synapse.dms_doctor.blocks import Block, Setting
from synapse.dms_doctor.findings import Finding, Severity

Default = str | int | bool
Judge = Callable[[Default], Severity | None]


@dataclass(frozen=True)
class SettingCheck:
    """setting: its name, with the sections above it. default: what DMS takes when it is absent.

    judge: how bad a value is, None for one that is well. needs: "load" or "changes" when the check
    only concerns tasks that do that.
    """

    id: str
    setting: str
    default: Default
    judge: Judge
    reason: str
    cure: str
    needs: str = ""

    def run(self, block: Block, subject: str) -> Iterator[Finding]:
        """The finding about this setting in the block, if any."""
        *sections, name = self.setting.split(".")
        for section in sections:
            block = block.block(section)
        setting = block.setting(name)
        severity = self.judge(_typed(setting, self.default))
        if severity is not None:
            yield Finding(
                self.id,
                severity,
                subject,
                setting.path,
                setting.shown(self.default),
                self.reason,
                self.cure,
            )


def _typed(setting: Setting, default: Default) -> Default:
    if isinstance(default, bool):
        return setting.flag(default=default)
    if isinstance(default, int):
        return setting.number(default=default)
    return setting.text(default=default)


def word(value: Default) -> str:
    """A value of an enumeration in one spelling: PUBLIC_READ, public-read."""
    return str(value).replace("-", "").replace("_", "").casefold()


def when(wrong: Default, severity: Severity) -> Judge:
    """Judge that finds one value wrong."""
    return lambda value: severity if value == wrong else None


def unless(right: str, severity: Severity) -> Judge:
    """Judge that finds every value but one wrong, whatever its spelling."""
    return lambda value: None if word(value) == word(right) else severity


def among(wrong: tuple[str, ...], severity: Severity) -> Judge:
    """Judge that finds some values wrong, whatever their spelling."""
    words = {word(value) for value in wrong}
    return lambda value: severity if word(value) in words else None

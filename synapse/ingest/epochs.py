"""Which epoch a LOAD file belongs to, and whether a reload is complete (CONTRACT 1.1).

The first LOAD set is epoch 1 and a file under a new name joins the current epoch. A file that is
overwritten in place, or that lands under another declared prefix, starts a reload: the next epoch,
taken as a whole once its newest transfer time lies the quiet period before as-of, and never half.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta


@dataclass(frozen=True)
class LoadFile:
    """A LOAD version in bronze that is not accepted yet. prefix: position among the declared."""

    path: str
    sha256: str
    prefix: int
    transfer_from: datetime | None
    transfer_to: datetime | None
    is_readable: bool = True


@dataclass(frozen=True)
class CurrentEpoch:
    """What has been accepted: number (0 for nothing yet), its instant, and its prefixes.

    paths: LOAD paths that the current epoch holds. earlier: paths of earlier epochs only.
    is_of_other_source: Debezium began it, so that whatever DMS loads is a reload.
    """

    number: int = 0
    instant: datetime | None = None
    prefixes: frozenset[int] = frozenset({0})
    paths: frozenset[str] = frozenset()
    earlier: frozenset[str] = frozenset()
    is_of_other_source: bool = False


@dataclass
class EpochPlan:
    """accept: path -> epoch. held: path -> why it waits. declared: path -> its declared instant."""

    accept: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    declared: dict[str, datetime] = field(default_factory=dict)


def plan_epochs(
    current: CurrentEpoch,
    files: list[LoadFile],
    *,
    as_of: datetime,
    quiet: timedelta,
    is_confirmed: bool = False,
    declared: datetime | None = None,
) -> EpochPlan:
    """Decide for every candidate whether it is accepted now, and into which epoch.

    is_confirmed: a person says that the reload is complete, however young it is. declared: the
    instant of the next epoch, for files that carry no transfer time.
    """
    plan = EpochPlan()
    is_reload = any(_starts_reload(current, file) for file in files)
    if declared is not None and (is_reload or current.number == 0):
        for file in files:
            if file.is_readable and file.transfer_from is None:
                plan.declared[file.path] = declared
    files = [_dated(file, plan.declared.get(file.path)) for file in files]
    if not is_reload:
        for file in files:
            if file.is_readable:
                plan.accept[file.path] = max(current.number, 1)
        return plan
    starters = [file for file in files if _starts_reload(current, file)]
    undated = [file for file in starters if file.is_readable and file.transfer_from is None]
    begun = min(
        (file.transfer_from for file in starters if file.transfer_from is not None), default=None
    )
    reload = []
    for file in files:
        if not file.is_readable:
            continue
        dated = file.transfer_from
        # Beside undated files of a reload, nothing tells what another undated one belongs to.
        joins = bool(undated) if dated is None else begun is not None and dated >= begun
        if file in starters or joins:
            reload.append(file)
        else:
            plan.accept[file.path] = max(current.number, 1)
    unreadable = [file.path for file in files if not file.is_readable]
    why = _why_held(current, starters, undated, unreadable, begun)
    if why is None and not is_confirmed:
        why = _why_young(reload, as_of, quiet)
    for file in reload:
        if why is None:
            plan.accept[file.path] = current.number + 1
        else:
            plan.held[file.path] = why
    return plan


def _dated(file: LoadFile, instant: datetime | None) -> LoadFile:
    if instant is None:
        return file
    return replace(file, transfer_from=instant, transfer_to=instant)


def _starts_reload(current: CurrentEpoch, file: LoadFile) -> bool:
    if current.number == 0:
        return False
    if current.is_of_other_source:
        return True
    if file.path in current.paths or file.prefix not in current.prefixes:
        return True
    if file.path not in current.earlier:
        return False
    # A file of an earlier epoch, overwritten while its reload is already current, arrives late and
    # joins; written before that reload began, it says nothing about it.
    late = (
        file.transfer_from is not None
        and current.instant is not None
        and file.transfer_from >= current.instant
    )
    return not late


def _why_held(
    current: CurrentEpoch,
    starters: list[LoadFile],
    undated: list[LoadFile],
    unreadable: list[str],
    begun: datetime | None,
) -> str | None:
    if unreadable:
        return (
            f"{', '.join(unreadable)} of the same reload was refused; half a reload is never "
            "taken. Land it anew, or give it up: `synapse quarantine discard`"
        )
    if undated:
        return (
            f"{undated[0].path} was overwritten but carries no transfer time, so when the reload "
            "happened is unknown; let DMS write its timestamp column on full load, or declare the "
            "instant: cdc.reload_at in models/bronze"
        )
    if begun is not None and current.instant is not None and begun <= current.instant:
        return (
            f"{starters[0].path} was overwritten by a load of {begun}, which is not newer than the "
            f"current one of {current.instant}"
        )
    return None


def _why_young(reload: list[LoadFile], as_of: datetime, quiet: timedelta) -> str | None:
    newest = max(
        (file.transfer_to for file in reload if file.transfer_to is not None), default=None
    )
    if newest is not None and newest > as_of - quiet:
        return (
            f"its reload may still be running: its newest transfer time {newest} must lie "
            f"{quiet} before as-of {as_of}; where you know that it is complete, "
            "`synapse ingest --confirm-reload SOURCE` takes it now"
        )
    return None

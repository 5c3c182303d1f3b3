"""Where the lake lies and how to read it: environment and command line, checked once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_data_path

from synapse.errors import SynapseError, UsageError
from synapse.lake import Lake, open_lake

DEFAULT_TIMEZONE = "America/Sao_Paulo"
TARGETS = ("duckdb", "athena", "redshift")
LOGS = ("json", "file")
"""Structured logs: to standard error, and into the lake's folder logs/."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one invocation. All paths are absolute.

    lake: folder of bronze, retained, consolidated, quarantine and manifest; for a lake on S3 the
        folder on this machine that holds its embedded warehouse, state and dbt's artifacts.
    remote: s3://bucket/prefix of a lake on S3, else None.
    warehouse: file of the embedded warehouse.
    state: SQLAlchemy URL of the state store (ledger, lease, runs).
    business_timezone: IANA name; business dates (rule R1) are dates there.
    target: dbt target.
    reload_quiet_minutes: a reload of LOAD files counts as complete once its newest transfer time
        lies this long before as-of (CONTRACT 1.1: never half a reload).
    lookback_days: an hourly run lists folders dated this many days before as-of and later; older
        ones are listed by the daily sweep.
    processes: how many processes read small files at once; the machine's cores unless set.
    log: where structured logs go, any of LOGS.
    """

    lake: Path
    remote: str | None = None
    warehouse: Path
    state: str
    business_timezone: str = DEFAULT_TIMEZONE
    target: str = "duckdb"
    reload_quiet_minutes: int = 30
    lookback_days: int = 3
    processes: int = 1
    log: frozenset[str] = frozenset()

    @property
    def location(self) -> str:
        """The lake as people and engines name it: a folder, or s3://bucket/prefix."""
        return self.remote or str(self.lake)

    def open_lake(self) -> Lake:
        """The lake's files."""
        return open_lake(self.location, self.lake)

    def require_lake(self) -> None:
        """Raise SynapseError when there is no lake to look at."""
        if self.remote is None and not self.lake.is_dir():
            raise SynapseError(f"there is no lake at {self.lake}: give --lake or set SYNAPSE_LAKE")

    def require_folder(self, command: str) -> None:
        """Raise SynapseError for a lake on S3, which the command does not write."""
        if self.remote is not None:
            raise SynapseError(
                f"`{command}` writes to a folder and the lake is {self.remote}: write to a folder "
                f"and copy it with `aws s3 sync FOLDER/bronze {self.remote}/bronze`"
            )

    @classmethod
    def load(cls, lake: str | Path | None = None, target: str | None = None) -> Settings:
        """Settings from arguments, else the SYNAPSE_* environment, else the defaults.

        Raises SynapseError for a setting that cannot work, UsageError for an unknown target.
        """
        where = str(lake if lake is not None else os.environ.get("SYNAPSE_LAKE") or "lake")
        remote = _remote(where)
        root = _home(remote) if remote else Path(where).expanduser().resolve()
        if root.exists() and not root.is_dir():
            raise SynapseError(f"The lake {root} is a file; --lake (or SYNAPSE_LAKE) is a folder.")
        warehouse = os.environ.get("SYNAPSE_WAREHOUSE")
        return cls(
            lake=root,
            remote=remote,
            warehouse=Path(warehouse).expanduser().resolve()
            if warehouse
            else root / "warehouse.duckdb",
            state=os.environ.get("SYNAPSE_STATE") or f"sqlite:///{root / 'state.db'}",
            business_timezone=_timezone(
                os.environ.get("SYNAPSE_BUSINESS_TIMEZONE") or DEFAULT_TIMEZONE
            ),
            target=_target(target or os.environ.get("SYNAPSE_TARGET") or "duckdb"),
            reload_quiet_minutes=_whole("SYNAPSE_RELOAD_QUIET_MINUTES", 30),
            lookback_days=_whole("SYNAPSE_LOOKBACK_DAYS", 3),
            processes=max(_whole("SYNAPSE_PROCESSES", os.cpu_count() or 1), 1),
            log=_logs(os.environ.get("SYNAPSE_LOG") or ""),
        )


def _remote(where: str) -> str | None:
    if "://" not in where:
        return None
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/]+)*/?", where):
        raise SynapseError(
            f"The lake {where} is neither a folder nor an s3://bucket/prefix; set --lake (or "
            "SYNAPSE_LAKE) to one of them."
        )
    return where.rstrip("/")


def _home(remote: str) -> Path:
    """The folder on this machine for a lake on S3: in SYNAPSE_HOME, else where the system says."""
    home = os.environ.get("SYNAPSE_HOME")
    base = Path(home).expanduser().resolve() if home else user_data_path("synapse")
    return base / remote.removeprefix("s3://")


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SynapseError(
            f"SYNAPSE_BUSINESS_TIMEZONE is {name!r}, which is no IANA time zone. "
            f"Use a name such as {DEFAULT_TIMEZONE} or UTC."
        ) from error
    return name


def _target(name: str) -> str:
    if name not in TARGETS:
        raise UsageError(f"Unknown target {name!r}; the targets are {', '.join(TARGETS)}.")
    return name


def _logs(text: str) -> frozenset[str]:
    names = frozenset(text.replace(" ", "").split(",")) - {""}
    if not names.issubset(LOGS):
        raise SynapseError(
            f"SYNAPSE_LOG (or --log-format) is {text!r}; give json (to standard error), file (into "
            "the lake's logs/) or json,file"
        )
    return names


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit():
        raise SynapseError(f"{name} is {text!r}; give a whole number, for example {default}.")
    return int(text)

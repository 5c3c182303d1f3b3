"""The schedules for machines that have cron or systemd: lines and units, ready to install."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from synapse.schedules.model import Schedules
from synapse.settings import Settings


def options(settings: Settings, project_dir: Path) -> tuple[str, ...]:
    """The options by which another process works on the same lake, target and project."""
    return (
        "--lake", settings.location,
        "--target", settings.target,
        "--project-dir", str(project_dir),
    )  # fmt: skip


def cron_lines(
    schedules: Schedules, settings: Settings, program: Sequence[str], project_dir: Path
) -> Iterator[str]:
    """Lines of a crontab; program: how `synapse` is started.

    Each runs the latest time of its schedule, once, whoever else tries; where its tables are being
    written it waits as long as its own time-out.
    """
    yield "# From schedules.yml by `synapse deploy cron`: change it there and print this again."
    yield "# CRON_TZ is known to cronie and systemd-cron; Debian's cron runs in the system's zone."
    yield f"CRON_TZ={settings.business_timezone}"
    yield f"SYNAPSE_BUSINESS_TIMEZONE={settings.business_timezone}"
    for name, schedule in schedules.by_name.items():
        wait = int(schedule.timeout.total_seconds())
        command = shlex.join(
            [
                *program, "run", name, "--occurrence", "latest", "--wait", str(wait),
                *options(settings, project_dir),
            ]
        )  # fmt: skip
        # In a crontab an unquoted % ends the command.
        yield f"{schedule.cron} {command.replace('%', chr(92) + '%')}"


def systemd_unit(settings: Settings, program: Sequence[str], project_dir: Path) -> Iterator[str]:
    """A unit that keeps the embedded scheduler running, instead of the crontab."""
    yield "[Unit]"
    yield "Description=Synapse: runs what schedules.yml declares"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    yield ""
    yield "[Service]"
    yield f"Environment=SYNAPSE_BUSINESS_TIMEZONE={settings.business_timezone}"
    yield "# SYNAPSE_STATE, SYNAPSE_PSEUDONYM_KEY and other secrets: readable by root only."
    yield "EnvironmentFile=-/etc/synapse/environment"
    yield f"ExecStart={shlex.join([*program, 'schedule', *options(settings, project_dir)])}"
    yield "# It tells its runs to stop and waits for them."
    yield "KillMode=mixed"
    yield "TimeoutStopSec=90"
    yield "Restart=always"
    yield "RestartSec=5"
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"

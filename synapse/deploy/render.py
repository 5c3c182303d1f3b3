"""Rendering what is deployed to AWS into a folder. Nothing here calls AWS."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from synapse.deploy.cron_expression import skipped_times
from synapse.deploy.schedules_template import schedules_template
from synapse.errors import SynapseError
from synapse.schedules.model import Schedules

TEMPLATES = ("storage.yml", "runtime.yml")
"""Written by hand, in infra/ of the project; they are deployed in this order."""
RENDERED = "schedules.yml"
# CloudFormation's limit for a template that lies in S3, where `deploy --s3-bucket` puts it.
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Rendered:
    """The files written, in the order to deploy them; notices are sentences for a person."""

    files: tuple[Path, ...]
    notices: tuple[str, ...]


def render(project_dir: Path, schedules: Schedules, timezone: str, folder: Path) -> Rendered:
    """Write the templates of an environment into a folder.

    Raises SynapseError where the project has no infra/, or a schedule cannot be said to AWS.
    """
    sources = [project_dir / "infra" / name for name in TEMPLATES]
    for source in sources:
        if not source.is_file():
            raise SynapseError(
                f"{source} is missing: take infra/ from the Synapse that you installed, beside "
                "dbt_project.yml"
            )
    template = schedules_template(schedules, timezone)
    text = (
        "# Rendered from schedules.yml by `synapse deploy aws`: change it there, render again.\n"
        + yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    )
    if len(text.encode()) > _MOST_BYTES:
        raise SynapseError(
            f"{len(schedules.by_name)} schedules make a template of {len(text.encode()):,} bytes "
            f"and CloudFormation takes {_MOST_BYTES:,}: declare fewer"
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [Path(shutil.copyfile(source, folder / source.name)) for source in sources]
    (folder / RENDERED).write_text(text, encoding="utf-8")
    return Rendered((*files, folder / RENDERED), tuple(_notices(schedules, timezone)))


def _notices(schedules: Schedules, timezone: str) -> list[str]:
    zone, now = ZoneInfo(timezone), datetime.now(UTC)
    found = []
    for name, schedule in schedules.by_name.items():
        skipped = skipped_times(schedule.cron, timezone, now)
        if skipped:
            found.append(
                f"{name}: in {timezone} the clocks skip its time on "
                f"{skipped[0].astimezone(zone):%Y-%m-%d}, where EventBridge starts nothing; its "
                "alarm will say so. Choose an hour that every day has"
            )
    return found


class _Dumper(yaml.SafeDumper):
    """YAML that a person can read: definitions as blocks, and no anchors, which AWS refuses."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)

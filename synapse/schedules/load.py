"""Reading schedules.yml; whatever cannot work is told with file, line and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from synapse.errors import SynapseError
from synapse.schedules.model import Schedule, ScheduleFile, Schedules
from synapse.schedules.refusal import nearest, refusal
from synapse.schedules.yaml_lines import LinedYaml, Location, read_yaml

FILE = "schedules.yml"
# Leases of these names are taken by ingest and feedback for themselves.
_TAKEN_GROUPS = ("ingest", "feedback")


def load_schedules(project_dir: Path) -> Schedules:
    """Read and check schedules.yml of a project.

    Raises SynapseError that names file and line for anything that cannot work: a selector that
    selectors.yml does not have, a need that nobody meets or that waits for itself, a thing that is
    scheduled twice.
    """
    path = project_dir / FILE
    if not path.is_file():
        raise SynapseError(
            f"{path} is missing: it says what runs when. Copy the one that Synapse brings "
            "(or its part of it) beside dbt_project.yml"
        )
    document = read_yaml(path)
    try:
        declared = ScheduleFile.model_validate(document.value)
    except ValidationError as error:
        raise SynapseError(refusal(document, error, _fields_at, _hint)) from error
    schedules = Schedules(dict(declared.schedules), dict(declared.table_groups))
    selectors = selector_names(project_dir)
    _refuse_twins(document, schedules)
    for name, schedule in schedules.by_name.items():
        _check_references(document, schedules, name, schedule, selectors)
    _refuse_cycles(document, schedules)
    return schedules


def selector_names(project_dir: Path) -> tuple[str, ...]:
    """The names of selectors.yml. Raises SynapseError where it is missing or malformed."""
    document = read_yaml(project_dir / "selectors.yml")
    entries = document.value.get("selectors") if isinstance(document.value, dict) else None
    if not isinstance(entries, list):
        raise SynapseError(f"{document.path} has no list `selectors`")
    return tuple(str(entry.get("name")) for entry in entries if isinstance(entry, dict))


def _fields_at(location: Location) -> Iterable[str]:
    if len(location) == 3 and location[0] == "schedules":
        return Schedule.model_fields
    return ScheduleFile.model_fields if len(location) == 1 else ("cents", "scanned_megabytes")


def _hint(kind: str, location: Location) -> str:
    if kind == "enum" and "retries" in location:
        return "; errors of other kinds come again however often one tries"
    return ""


def _refuse_twins(document: LinedYaml, schedules: Schedules) -> None:
    names: dict[str, str] = {name: name for name in schedules.by_name}
    owners: dict[str, str] = {}
    for name, schedule in schedules.by_name.items():
        for number, alias in enumerate(schedule.aliases):
            where = document.at("schedules", name, "aliases", number)
            if alias in names:
                raise SynapseError(
                    f"{where}: alias `{alias}` is also a name of schedule `{names[alias]}`: "
                    "give each name to one schedule"
                )
            names[alias] = name
        for number, selector in enumerate(schedule.selectors):
            if selector in owners:
                where = document.at("schedules", name, "selectors", number)
                raise SynapseError(
                    f"{where}: selector `{selector}` is scheduled twice, by `{owners[selector]}` "
                    f"and by `{name}`: leave it to one and let the other need it"
                )
            owners[selector] = name


def _check_references(
    document: LinedYaml,
    schedules: Schedules,
    name: str,
    schedule: Schedule,
    selectors: tuple[str, ...],
) -> None:
    def refuse(field: str, number: int, sentence: str) -> SynapseError:
        return SynapseError(f"{document.at('schedules', name, field, number)}: {sentence}")

    for number, selector in enumerate(schedule.selectors):
        if selector not in selectors:
            raise refuse(
                "selectors",
                number,
                f"schedule `{name}` selects `{selector}`, which selectors.yml does not "
                f"have{nearest(selector, selectors)}",
            )
    known = [*schedules.by_name, *selectors]
    for number, need in enumerate(schedule.needs):
        if not schedules.is_schedule(need) and need not in selectors:
            raise refuse(
                "needs",
                number,
                f"schedule `{name}` needs `{need}`, which is neither a schedule nor a selector of "
                f"selectors.yml{nearest(need, known)}",
            )
    since = schedule.judges_since
    if since is not None and since not in schedules.by_name:
        raise SynapseError(
            f"{document.at('schedules', name, 'judges_since')}: schedule `{name}` judges since "
            f"`{since}`, which is no schedule{nearest(since, schedules.by_name)}"
        )
    for number, group in enumerate(schedule.table_groups):
        if group not in schedules.table_groups or group in _TAKEN_GROUPS:
            raise refuse(
                "table_groups",
                number,
                f"schedule `{name}` writes table group `{group}`, which is not declared"
                f"{nearest(group, schedules.table_groups)}",
            )


def _refuse_cycles(document: LinedYaml, schedules: Schedules) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise SynapseError(
                f"{document.at('schedules', name, 'needs')}: schedule `{name}` waits for itself "
                f"({circle}): take one of these needs out"
            )
        if name in done:
            return
        for need in schedules.by_name[name].needs:
            if schedules.is_schedule(need):
                visit(schedules.name_of(need), (*path, name))
        done.add(name)

    for name in schedules.by_name:
        visit(name, ())

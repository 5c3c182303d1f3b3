"""Reading schedules.yml; whatever cannot work is told with file, line and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from synapse.errors import SynapseError
from synapse.schedules.model import Schedule, ScheduleFile, Schedules
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
        raise SynapseError(_first_sentence(document, error)) from error
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


def _first_sentence(document: LinedYaml, error: ValidationError) -> str:
    # A setting misspelt is also one that is missing: the first says more.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    location: Location = tuple(part for part in first["loc"] if part != "[key]")
    where = ".".join(str(part) for part in location) or "the file"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _fields_at(location)
        message = f"is no setting here{_nearest(str(location[-1]), known)}"
    elif first["type"] == "missing":
        message = "is missing: add it"
    elif first["type"] == "enum" and "retries" in location:
        message = f"{message}; errors of other kinds come again however often one tries"
    return f"{document.at(*location)}: `{where}` {message}"


def _fields_at(location: Location) -> Iterable[str]:
    if len(location) == 3 and location[0] == "schedules":
        return Schedule.model_fields
    return ScheduleFile.model_fields if len(location) == 1 else ("cents", "scanned_megabytes")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f": did you mean `{close[0]}`?" if close else f"; there are {', '.join(known)}"


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
                f"have{_nearest(selector, selectors)}",
            )
    known = [*schedules.by_name, *selectors]
    for number, need in enumerate(schedule.needs):
        if not schedules.is_schedule(need) and need not in selectors:
            raise refuse(
                "needs",
                number,
                f"schedule `{name}` needs `{need}`, which is neither a schedule nor a selector of "
                f"selectors.yml{_nearest(need, known)}",
            )
    for number, group in enumerate(schedule.table_groups):
        if group not in schedules.table_groups or group in _TAKEN_GROUPS:
            raise refuse(
                "table_groups",
                number,
                f"schedule `{name}` writes table group `{group}`, which is not declared"
                f"{_nearest(group, schedules.table_groups)}",
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

"""Which dbt project a command works on."""

from __future__ import annotations

from pathlib import Path

from synapse.errors import UsageError

PROJECT_FILE = "dbt_project.yml"
PROFILES_DIR = Path(__file__).parent / "profiles"
_INSTALLED = Path(__file__).parent / "_project"
_CHECKOUT = Path(__file__).parent.parent


def find_project(explicit: Path | None = None, start: Path | None = None) -> Path:
    """Return the project folder: the given one, else the nearest above, else the installed one.

    Raises UsageError when an explicit folder holds no dbt_project.yml.
    """
    if explicit is not None:
        if not (explicit / PROJECT_FILE).is_file():
            raise UsageError(
                f"{explicit} holds no {PROJECT_FILE}: point --project-dir at the folder that does"
            )
        return explicit.resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    # A wheel carries the project inside the package; an editable checkout has it beside it.
    return _INSTALLED if (_INSTALLED / PROJECT_FILE).is_file() else _CHECKOUT

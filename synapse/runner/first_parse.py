"""`python -m synapse.runner.first_parse`: the last step of an installation.

A cold parse takes dbt ten seconds; done here, the first command on a lake need not wait.
"""

from __future__ import annotations

import os

from synapse.deps import ensure_packages
from synapse.project import find_project
from synapse.runner.dbt import DbtProject, dbt_environment
from synapse.runner.known_parse import installed_target, note_installed
from synapse.settings import Settings


def main() -> None:
    """Parse the project for no lake in particular, and leave nothing in the default one."""
    project = find_project()
    ensure_packages(project)
    # Parsing hashes nothing with the key; without one the lake would be made, to keep a new key in.
    os.environ.setdefault("SYNAPSE_PSEUDONYM_KEY", "0" * 16)
    settings = Settings.load()
    dbt = DbtProject(settings, project, installed_target(project))
    dbt.parse()
    with dbt_environment(settings, None):
        note_installed(project, dbt.profiles_dir, settings.target)


if __name__ == "__main__":
    main()

"""`python -m synapse.runner.first_parse`: the last step of an installation.

A cold parse takes dbt ten seconds; done here, the first command on the default lake need not wait.
"""

from __future__ import annotations

import os

from synapse.deps import ensure_packages
from synapse.project import find_project
from synapse.runner.dbt import DbtProject, installed_target
from synapse.settings import Settings


def main() -> None:
    """Parse the project for the default lake, and leave nothing in that lake."""
    project = find_project()
    ensure_packages(project)
    # Parsing hashes nothing with the key; without one the lake would be made, to keep a new key in.
    os.environ.setdefault("SYNAPSE_PSEUDONYM_KEY", "0" * 16)
    DbtProject(Settings.load(), project, installed_target(project)).parse()


if __name__ == "__main__":
    main()

"""The commit under test: what is drawn anew for each commit is drawn from its hash."""

from __future__ import annotations

import subprocess

from synapse_tests.lakes import PROJECT_DIR

FIXED = "without git the draws are always the same"


def commit() -> str:
    """Return the hash of the commit that is checked out, a fixed text where there is no git."""
    found = subprocess.run(
        ["git", "-C", str(PROJECT_DIR), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or FIXED

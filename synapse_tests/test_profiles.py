"""The profile that people copy is the one that `synapse` uses, as far as both have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parent.parent


def targets(path: str) -> dict[str, Any]:
    """The outputs of the only profile of a file."""
    profiles = yaml.safe_load((PROJECT / path).read_text("utf-8"))
    (profile,) = profiles.values()
    outputs: dict[str, Any] = profile["outputs"]
    return outputs


@pytest.mark.parametrize("target", ["athena", "redshift"])
def test_both_profiles_say_the_same_of_a_warehouse_in_the_cloud(target: str) -> None:
    assert (
        targets("profiles.yml.example")[target] == targets("synapse/profiles/profiles.yml")[target]
    )


def test_both_profiles_have_the_same_targets() -> None:
    assert targets("profiles.yml.example").keys() == targets("synapse/profiles/profiles.yml").keys()

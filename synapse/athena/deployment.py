"""Names of what one deployment has in an account: its Glue databases begin with a prefix."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from synapse.runner.dbt import DbtProject

# Tables of dbt-athena that live for a part of a run only.
_TEMPORARY = re.compile(r".*(__dbt_tmp.*|__ha|__bkp|__tmp_not_partitioned)")
_SCHEMAS = ("silver", "gold", "ops", "snapshots")


def prefix() -> str:
    """What the names of the databases begin with (SYNAPSE_SCHEMA_PREFIX)."""
    return os.environ.get("SYNAPSE_SCHEMA_PREFIX", "synapse_")


def target_schema() -> str:
    """The database that dbt's queries are sent in (profiles.yml)."""
    return f"{prefix()}gold"


def databases(dbt: DbtProject) -> list[str]:
    """The databases that a run writes: those that the project's nodes name, and ops."""
    nodes = dbt.manifest()["nodes"].values()
    return with_standard_ones(
        node["schema"].lower()
        for node in nodes
        if node["resource_type"] in ("model", "snapshot", "seed")
    )


def with_standard_ones(named: Iterable[str]) -> list[str]:
    """These databases and those that every deployment has."""
    return sorted({*named, *(f"{prefix()}{word}" for word in _SCHEMAS)})


def is_temporary(table: str) -> bool:
    """Whether a table is one that a run makes for itself."""
    return _TEMPORARY.fullmatch(table) is not None

"""Who reads the published set: the exposures of the project, each of which moves as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from synapse.errors import SynapseError

_TABLES = ("model", "seed", "snapshot")
_LEVELS = ("public", "internal", "confidential")


def exposed_nodes(manifest: Mapping[str, Any]) -> list[frozenset[str]]:
    """The tables of each exposure, as ids of dbt's manifest.

    An exposure that reads no rows says so: config: {meta: {published: false}}.
    """
    found = []
    for exposure in manifest["exposures"].values():
        meta = exposure.get("config", {}).get("meta") or exposure.get("meta") or {}
        reads = {
            node for node in exposure["depends_on"]["nodes"] if node.split(".", 1)[0] in _TABLES
        }
        if meta.get("published", True) and reads:
            found.append(frozenset(reads))
    return found


def movable(
    exposures: Iterable[frozenset[str]], built: Collection[str], left_out: Collection[str] = ()
) -> frozenset[str]:
    """The tables that a run moves: those it built, of exposures that it built the whole of.

    Who reads an exposure never sees tables of two runs then: one that the run did not build holds
    back the others, and what they share with further exposures. left_out: nodes that a gate kept
    back; nobody waits for those.
    """
    moving = frozenset(built)
    groups = [group - frozenset(left_out) for group in exposures]
    while True:
        held = {node for group in groups if not group <= moving for node in group & moving}
        if not held:
            return moving & frozenset(node for group in groups for node in group)
        moving -= held


def classification(node: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The highest classification of a node's columns, and what kinds of pii they hold.

    Raises SynapseError for a column without one: nobody could say who may read the copy.
    """
    level, kinds = 0, set()
    for column in node["columns"].values():
        meta = column.get("config", {}).get("meta") or column.get("meta") or {}
        if meta.get("classification") not in _LEVELS:
            raise SynapseError(
                f"{node['original_file_path']}, column {column['name']}: to be published it needs "
                f"config.meta.classification, one of {', '.join(_LEVELS)}"
            )
        level = max(level, _LEVELS.index(meta["classification"]))
        kinds |= {meta["pii"]} if meta.get("pii") else set()
    return _LEVELS[level], tuple(sorted(kinds))

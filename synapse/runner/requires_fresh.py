"""Which models a stale source holds back: `requires_fresh`, as the models declare it.

config: {meta: {requires_fresh: [kconnect.app-events]}}, with names as `synapse ingest` counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synapse.errors import SynapseError
from synapse.runner.source_freshness import Limit, declared_limits


def required_sources(manifest: Mapping[str, Any]) -> dict[str, tuple[Limit, ...]]:
    """The limits of the sources that each model requires, by the node's id, of dbt's manifest.

    Raises SynapseError, with file and model, for a requires_fresh that can hold nothing back.
    """
    limits = declared_limits(manifest["sources"].values())
    required = {}
    for node_id, node in manifest["nodes"].items():
        declared = (node["config"].get("meta") or {}).get("requires_fresh")
        if declared is None:
            continue
        # Where the YAML beside a model declares it, that is the file to mend.
        file = (node.get("patch_path") or node["original_file_path"]).rpartition("://")[2]
        where = f"{file}, {node['resource_type']} {node['name']}"
        if not isinstance(declared, list) or not declared:
            raise SynapseError(f"{where}: requires_fresh is a list of sources: fill it, or drop it")
        required[node_id] = tuple(_limit(where, name, limits) for name in declared)
    return required


def _limit(where: str, name: object, limits: Mapping[str, Limit | None]) -> Limit:
    if not isinstance(name, str) or name not in limits:
        raise SynapseError(
            f"{where}: requires_fresh names {name!r}, which is no source that declares freshness; "
            f"those are {', '.join(sorted(limits))}"
        )
    limit = limits[name]
    if limit is None:
        raise SynapseError(
            f"{where}: requires_fresh names {name}, which declares no freshness.error_after and so "
            "is never stale: declare one in models/bronze, or take the name out"
        )
    return limit

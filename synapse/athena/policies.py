"""How each Iceberg table is kept, as its dbt model declares it.

config: {meta: {maintain: {compact: false, snapshot_days: 2}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synapse.errors import SynapseError


class Policy(BaseModel):
    """Upkeep of one table. What a model does not say is as here, which is Athena's own default.

    compact: small files are made into large ones; a model that is built whole (materialized:
    table) says no unless it says yes. snapshot_days: older snapshots go, and with them
    what only they need; a run older than that cannot be rolled back. min_snapshots: so many stay,
    however old.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    compact: bool = True
    snapshot_days: float = Field(default=5.0, ge=0)
    min_snapshots: int = Field(default=1, ge=1)

    @property
    def properties(self) -> dict[str, str]:
        """Table properties that VACUUM goes by."""
        return {
            "vacuum_max_snapshot_age_seconds": str(int(self.snapshot_days * 86_400)),
            "vacuum_min_snapshots_to_keep": str(self.min_snapshots),
        }


def read_policies(manifest: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, Policy]]:
    """(dbt's node id, policy) by (database, table), for all that dbt's manifest builds.

    Raises SynapseError for a declaration that is none.
    """
    found = {}
    for node_id, node in manifest["nodes"].items():
        if node["resource_type"] in ("model", "snapshot", "seed"):
            key = (node["schema"].lower(), (node.get("alias") or node["name"]).lower())
            found[key] = (node_id, _policy(node_id, node["config"]))
    return found


def _policy(node_id: str, config: dict[str, Any]) -> Policy:
    # What every run builds anew is not worth compacting.
    usual = {"compact": config.get("materialized") != "table"}
    declared = (config.get("meta") or {}).get("maintain", {})
    try:
        if not isinstance(declared, dict):
            return Policy.model_validate(declared)  # refused, with pydantic's reason
        return Policy.model_validate({**usual, **declared})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "maintain"
        raise SynapseError(
            f"{node_id}: meta.maintain.{where}: {first['msg']}; known are "
            f"{', '.join(Policy.model_fields)}"
        ) from error

"""Workgroups: where results go, what a query may read, and which settings a client may change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from athena_local.bridge.errors import ApiError
from athena_local.bridge.store import Document, Store

PRIMARY = "primary"
_KIND = "workgroup"
_LEAST_CUTOFF = 10_000_000
ENGINE_VERSION = {
    "SelectedEngineVersion": "AUTO",
    "EffectiveEngineVersion": "Athena engine version 3",
}


@dataclass(frozen=True)
class Settings:
    """What holds for one query of a workgroup."""

    workgroup: str
    output_location: str
    bytes_cutoff: int | None


class Workgroups:
    """The workgroups of this Athena; `primary` is always there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        if store.get(_KIND, PRIMARY) is None:
            store.put(_KIND, PRIMARY, _new(PRIMARY, "", {}))

    def get(self, name: str) -> Document:
        """One workgroup, in the API's shape.

        Raises:
            ApiError: there is none of that name.
        """
        found = self._store.get(_KIND, name)
        if found is None:
            raise ApiError(f"WorkGroup {name} is not found.", athena_code="WORKGROUP_NOT_FOUND")
        return found

    def all(self) -> list[Document]:
        """All workgroups."""
        return self._store.all(_KIND)

    def create(self, name: str, description: str, configuration: dict[str, Any]) -> None:
        """Make a workgroup."""
        if self._store.get(_KIND, name) is not None:
            raise ApiError("WorkGroup is already created")
        self._store.put(_KIND, name, _new(name, description, _checked(configuration)))

    def update(
        self, name: str, description: str | None, state: str | None, changes: dict[str, Any]
    ) -> None:
        """Change a workgroup; `changes` is the API's `ConfigurationUpdates`."""
        group = self.get(name)
        configuration = group["Configuration"]
        for key, value in changes.items():
            if key == "ResultConfigurationUpdates":
                _update_results(configuration, value)
            elif key == "RemoveBytesScannedCutoffPerQuery":
                if value:
                    configuration.pop("BytesScannedCutoffPerQuery", None)
            else:
                configuration[key] = value
        group["Configuration"] = _checked(configuration)
        if description is not None:
            group["Description"] = description
        if state is not None:
            group["State"] = state
        self._store.put(_KIND, name, group)

    def delete(self, name: str) -> None:
        """Forget a workgroup."""
        if name == PRIMARY:
            raise ApiError("The primary workgroup cannot be deleted.")
        self.get(name)
        self._store.delete(_KIND, name)

    def settings(self, name: str, requested_location: str | None) -> Settings:
        """What holds for a query, the workgroup's enforcement considered.

        Raises:
            ApiError: the workgroup is disabled or unknown, or nobody names an output location.
        """
        group = self.get(name)
        if group["State"] != "ENABLED":
            raise ApiError(f"WorkGroup {name} is disabled.")
        configuration = group["Configuration"]
        own = configuration.get("ResultConfiguration", {}).get("OutputLocation")
        enforced = configuration["EnforceWorkGroupConfiguration"]
        location = own if enforced and own else requested_location or own
        if not location:
            raise ApiError(
                "No output location provided. An output location is required either through the "
                "Workgroup result configuration setting or as an API input.",
                athena_code="INVALID_INPUT",
            )
        if not location.startswith("s3://"):
            raise ApiError(f"outputLocation is not a valid S3 path: {location}")
        return Settings(
            name, location.rstrip("/") + "/", configuration.get("BytesScannedCutoffPerQuery")
        )


def _new(name: str, description: str, configuration: dict[str, Any]) -> Document:
    return {
        "Name": name,
        "State": "ENABLED",
        "Description": description,
        "Configuration": {
            "ResultConfiguration": {},
            # As the API's own default has it, `primary` included.
            "EnforceWorkGroupConfiguration": name != PRIMARY,
            "PublishCloudWatchMetricsEnabled": False,
            "RequesterPaysEnabled": False,
            **configuration,
            "EngineVersion": ENGINE_VERSION,
        },
        "CreationTime": time.time(),
    }


def _checked(configuration: dict[str, Any]) -> dict[str, Any]:
    cutoff = configuration.get("BytesScannedCutoffPerQuery")
    if cutoff is not None and int(cutoff) < _LEAST_CUTOFF:
        raise ApiError(
            "1 validation error detected: Value at 'bytesScannedCutoffPerQuery' failed to satisfy "
            f"constraint: Member must have value greater than or equal to {_LEAST_CUTOFF}"
        )
    return configuration


def _update_results(configuration: dict[str, Any], updates: dict[str, Any]) -> None:
    results = configuration.setdefault("ResultConfiguration", {})
    for key, value in updates.items():
        if key.startswith("Remove"):
            if value:
                results.pop(key.removeprefix("Remove"), None)
        else:
            results[key] = value

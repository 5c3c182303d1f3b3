"""Published commits of Iceberg tables: each has an entry of its own in Glue, which never changes.

The table that runs write cannot be read at an earlier commit for sure: a model that is built whole
becomes another Iceberg table under the same name, which knows nothing of the snapshots of before.
An entry costs no copy: it names the same metadata file. It is made and removed in Glue alone, never
by SQL: Athena's DROP TABLE deletes an Iceberg table's files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3

from synapse.athena.deployment import prefix
from synapse.athena.iceberg_tables import Files, GlueIceberg, glue_tables, iceberg_tables
from synapse.athena.policies import Policy
from synapse.errors import SynapseError
from synapse.publish.model import Pin
from synapse.publish.sets import PublishedSets
from synapse.settings import Settings
from synapse.state_store import open_store

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import TableInputTypeDef

_NUMBER = re.compile(r"/([0-9]{5,})-[^/]*[.]metadata[.]json")
# VACUUM keeps the newest 100 metadata files of a table, whatever their age.
_METADATA_FILES = 90


def published_database() -> str:
    """The Glue database of the entries."""
    return f"{prefix()}published"


def pin_tables(set_id: str, relations: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Make an entry for the commit that each table stands at, by name; relations: database, table.

    Returns columns, pin, bytes and rows of each. Raises SynapseError for what is no Iceberg table.
    """
    glue, files = boto3.client("glue"), Files()
    _make_database(glue)
    databases = sorted({database.lower() for database, _ in relations.values()})
    found = {table.full_name: table for table in iceberg_tables(glue, databases)}
    pinned = {}
    for name, (database, table) in relations.items():
        there = found.get(f"{database}.{table}".lower())
        metadata = files.metadata(there.metadata_location) if there else None
        if there is None or metadata is None:
            raise SynapseError(
                f"{database}.{table} is no Iceberg table that can be read, and only those can be "
                "published: build the model as a table, or take it out of models/exposures.yml"
            )
        pin = Pin(
            database=published_database(),
            table=f"{there.name}__{set_id}".lower().replace("-", "_"),
            of=there.full_name,
            metadata_location=there.metadata_location,
            snapshot_id=metadata.snapshot_id,
            snapshot_at=metadata.snapshot_at,
        )
        entry = {**there.input, "Name": pin.table}
        glue.create_table(DatabaseName=pin.database, TableInput=cast("TableInputTypeDef", entry))
        pinned[name] = {
            "columns": _columns(there),
            "pin": pin,
            "bytes": metadata.live_bytes,
            "rows": metadata.rows,
        }
    return pinned


def _columns(table: GlueIceberg) -> dict[str, str]:
    return {
        column["Name"]: column["Type"] for column in table.input["StorageDescriptor"]["Columns"]
    }


def _make_database(glue: GlueClient) -> None:
    try:
        glue.get_database(Name=published_database())
    except glue.exceptions.EntityNotFoundException:
        glue.create_database(DatabaseInput={"Name": published_database()})


def remove_pins(kept: Callable[[], Iterable[Pin]]) -> None:
    """Remove the entries that no set names; their files stay, for `synapse maintain`.

    kept: asked after the entries have been listed.
    """
    glue = boto3.client("glue")
    there = [table["Name"] for _, table in glue_tables(glue, [published_database()])]
    named = {pin.table for pin in kept()}
    for table in there:
        if table not in named:
            glue.delete_table(DatabaseName=published_database(), Name=table)


def pins_in_use(settings: Settings) -> list[Pin]:
    """The commits that readers may be reading."""
    engine = open_store(settings.state)
    try:
        return [pin for each in PublishedSets(engine).kept() for pin in each.pins]
    finally:
        engine.dispose()


def vacuum_would_break(
    table: GlueIceberg, policy: Policy, pins: Iterable[Pin], now: datetime
) -> bool:
    """Whether VACUUM could expire a snapshot, or remove a metadata file, that a set names.

    It comes to that where publishing has stood still while runs went on to write.
    """
    oldest = now - timedelta(days=policy.snapshot_days)
    return any(
        pin.of == table.full_name
        and pin.metadata_location != table.metadata_location
        and _is_same_table(pin.metadata_location, table)
        and (
            (pin.snapshot_at is not None and pin.snapshot_at <= oldest)
            or _number(table.metadata_location) - _number(pin.metadata_location) >= _METADATA_FILES
        )
        for pin in pins
    )


def _is_same_table(metadata_location: str, table: GlueIceberg) -> bool:
    """Whether VACUUM of the table reaches that commit: one of an earlier build is out of reach."""
    return metadata_location.startswith(table.location)


def _number(metadata_location: str) -> int:
    found = _NUMBER.search(metadata_location)
    return int(found[1]) if found else 0

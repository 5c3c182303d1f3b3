"""Whether two warehouses hold the same: tables on Athena, read by pyiceberg, against DuckDB's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.glue import GlueCatalog

# What a run writes of itself differs between two runs (CONTRACT 6).
_OF_THE_RUN = {"_ingested_at", "_source_file"}


@dataclass(frozen=True)
class Model:
    """A built table of silver or gold."""

    schema: str
    name: str


def built_tables(manifest: Path) -> Iterator[Model]:
    """Every table of silver and gold that dbt builds; views have no rows of their own."""
    for node in json.loads(manifest.read_bytes())["nodes"].values():
        is_built = node["resource_type"] == "model" and node["fqn"][1] in ("silver", "gold")
        if is_built and node["config"]["materialized"] in ("table", "incremental"):
            yield Model(node["schema"].removeprefix("synapse_"), node["name"])


def glue_catalog() -> GlueCatalog:
    """The catalogue that the environment's endpoints lead to, as an independent reader sees it."""
    catalog = load_catalog(
        "glue",
        **{
            "type": "glue",
            "glue.endpoint": os.environ["AWS_ENDPOINT_URL_GLUE"],
            "glue.region": os.environ["AWS_REGION"],
            "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
            "s3.region": os.environ["AWS_REGION"],
            "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
            "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        },
    )
    assert isinstance(catalog, GlueCatalog)
    return catalog


def differences(
    model: Model,
    catalog: GlueCatalog,
    embedded: duckdb.DuckDBPyConnection,
    prefix: str = "synapse_",
) -> list[str]:
    """What is not the same: columns, or rows that one of the two has more often than the other."""
    there = catalog.load_table((f"{prefix}{model.schema}", model.name)).scan().to_arrow()
    here = f'"{model.schema}"."{model.name}"'
    columns = [row[0] for row in embedded.execute(f"describe {here}").fetchall()]
    if sorted(columns) != sorted(there.column_names):
        return [f"{model.name}: columns {sorted(columns)} and {sorted(there.column_names)}"]
    names = ", ".join(f'"{name}"' for name in columns if name not in _OF_THE_RUN)
    embedded.register("there", there)
    found = []
    for sign, first, second in (("-", here, "there"), ("+", "there", here)):
        rows = embedded.execute(
            f"select {names} from {first} except all select {names} from {second}"
        ).fetchall()
        if rows:
            found.append(f"{model.name}: {sign}{len(rows)} rows, such as {rows[0]}")
    embedded.unregister("there")
    return found

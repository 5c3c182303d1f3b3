"""Options that several commands share: one name, one text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LakeOption = Annotated[
    str | None,
    typer.Option("--lake", help="Folder or s3://bucket/prefix (default: SYNAPSE_LAKE, ./lake)."),
]
ProjectOption = Annotated[
    Path | None,
    typer.Option("--project-dir", help="The dbt project (default: the nearest above)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="The instant to call now (ISO 8601; default: now)."),
]


class Target(StrEnum):
    """Engines that a command can work on."""

    duckdb = "duckdb"
    athena = "athena"
    redshift = "redshift"


TargetOption = Annotated[Target, typer.Option("--target", help="Engine to build on.")]
DateOption = Annotated[
    str | None,
    typer.Option("--date", help="As-of the end of this business date (YYYY-MM-DD)."),
]

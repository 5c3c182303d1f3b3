"""Checks of a set-up, each with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synapse.declarations import load_declarations
from synapse.errors import SynapseError
from synapse.runner.configuration import check_configuration
from synapse.runner.context import connect_warehouse
from synapse.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is well, and a sentence."""

    subject: str
    is_ok: bool
    sentence: str


def _attempt(subject: str, good: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except SynapseError as error:
        return Finding(subject, False, str(error))
    return Finding(subject, True, good)


def examine(settings: Settings, project_dir: Path) -> list[Finding]:
    """Check lake, warehouse, declarations and configuration seeds; reads only."""
    bronze = settings.lake / "bronze"
    has_bronze = bronze.is_dir() and any(bronze.iterdir())
    parts = list((settings.lake / "manifest").glob("*.parquet"))
    findings = [
        Finding("lake", has_bronze, f"{bronze} has data" if has_bronze else
                f"{bronze} is empty: run `synapse generate`, or point --lake at your lake"),
        Finding("manifest", bool(parts), f"{len(parts)} ingest run(s) accepted files" if parts else
                "nothing was ingested yet: run `synapse ingest`"),
        _attempt("declarations", "every source is declared well",
                 lambda: load_declarations(project_dir)),
        _attempt("configuration", "tracking plan, funnels and prices are in order",
                 lambda: check_configuration(project_dir)),
    ]  # fmt: skip
    if settings.warehouse.exists():
        findings.append(_attempt("warehouse", f"{settings.warehouse} opens",
                                 connect_warehouse(settings.warehouse).close))  # fmt: skip
    return findings

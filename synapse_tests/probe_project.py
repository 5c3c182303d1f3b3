"""The real project with four models in place of its own, so that a run takes seconds.

`behind` requires a fresh source, `below` reads it, `apart` does not.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from synapse_tests.ingest_lake import EVENTS, event, lines
from synapse_tests.lakes import copy_project

MODELS = {
    "base": "select 1 as id, {{ as_of() }} as built_at",
    "apart": "select id, built_at from {{ ref('base') }}",
    "behind": "select id, built_at from {{ ref('base') }}",
    "below": "select id, built_at from {{ ref('behind') }}",
}
PROPERTIES = """
version: 2
models:
  - name: base
    columns: &columns
      - {name: id, description: A., data_type: integer, config: {meta: {classification: public}}}
      - name: built_at
        description: As-of of the run that built it.
        data_type: timestamp
        config: {meta: {classification: internal}}
  - {name: apart, columns: *columns}
  - name: behind
    config: {meta: {requires_fresh: [REQUIRED]}}
    columns: *columns
  - {name: below, columns: *columns}
exposures:
  - name: probe_dashboard
    type: dashboard
    owner: {name: Tests, email: tests@synapse.example}
    depends_on: [ref('apart'), ref('behind'), ref('below')]
"""
SCHEDULES = """
version: 1
table_groups: {lake: All.}
schedules:
  probe:
    description: The probe.
    owner: tests
    cron: "0 1 * * *"
    ingest: sweep
    selectors: [probe]
    table_groups: [lake]
    timeout: 10m
    budget: {cents: 1}
    sla: 1h
    catch_up: none
"""
SELECTORS = """
selectors:
  - {name: probe, description: All., definition: {method: path, value: models/gold/probe}}
"""


def probe_project(folder: Path, requires: str = "kconnect.app-events") -> Path:
    """Write the project."""
    project = copy_project(folder)
    models = project / "models"
    for path in models.iterdir():
        if path.is_dir() and path.name != "bronze":
            shutil.rmtree(path)
    (models / "exposures.yml").unlink()
    for name in ("tests", "snapshots", "analyses", "docs"):
        shutil.rmtree(project / name, ignore_errors=True)
    probe = models / "gold" / "probe"
    probe.mkdir(parents=True)
    for name, sql in MODELS.items():
        (probe / f"{name}.sql").write_text(
            "{{ config(contract={'enforced': true}) }}\n" + sql + "\n"
        )
    (probe / "probe.yml").write_text(PROPERTIES.replace("REQUIRED", requires))
    (project / "schedules.yml").write_text(SCHEDULES)
    (project / "selectors.yml").write_text(SELECTORS)
    return project


def land_events(lake: Path, number: int) -> None:
    """One more event lands."""
    path = lake / f"{EVENTS}/app-events+0+{number:010d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines([event(number)]))

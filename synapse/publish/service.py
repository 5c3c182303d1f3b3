"""Publish after audit: a run whose tests have all passed moves what readers see, in one step."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Engine

from synapse.lake import Lake
from synapse.publish.copies import copy_tables, stored_copies
from synapse.publish.model import PublishedSet, PublishedTable
from synapse.publish.pointer import move_pointer, read_pointer
from synapse.publish.readers import classification, exposed_nodes, movable
from synapse.publish.sets import PublishedSets
from synapse.runner.clock import last_complete_date
from synapse.runner.dbt import DbtProject
from synapse.runner.history import Run
from synapse.runner.lease import Lease
from synapse.runner.run_ledger import RunLedger
from synapse.settings import Settings

KEPT_SETS = 3
"""So many sets stay, the newest included, for those who are in the midst of reading one."""


def publish(
    settings: Settings,
    dbt: DbtProject,
    engine: Engine,
    lease: Lease,
    *,
    run_id: str,
    as_of: datetime,
    left_out: Collection[str] = (),
) -> PublishedSet | None:
    """Publish what a run has built and tested; returns the set that readers see after.

    left_out: nodes that a gate kept back. Raises LeaseLostError, with all as it was, for a run that
    was overtaken.
    """
    if settings.target not in ("duckdb", "athena"):
        return None  # redshift is served from what these two publish
    manifest = dbt.manifest()
    built = RunLedger(engine).built_by(run_id)
    exposures = exposed_nodes(manifest)
    moving = movable(exposures, built, left_out)
    if not moving:
        return current_set(settings, engine)
    nodes = {node: manifest["nodes"][node] for group in exposures for node in group}
    publication = Publication(settings, lease, run_id, as_of)
    return publication.make(
        engine,
        moving={nodes[node]["name"]: nodes[node] for node in sorted(moving)},
        exposed={node["name"] for node in nodes.values()},
    )


def publish_if_missing(
    settings: Settings, dbt: DbtProject, engine: Engine, lease: Lease, built: Run
) -> None:
    """See that there is something to read where nothing had to be built; built: by which run."""
    if current_set(settings, engine) is None:
        as_of = built.as_of.replace(tzinfo=UTC)
        publish(settings, dbt, engine, lease, run_id=built.run_id, as_of=as_of)


def current_set(settings: Settings, engine: Engine) -> PublishedSet | None:
    """The set that readers see; a pointer that a crash left behind its row is moved first."""
    return _level(settings.open_lake(), PublishedSets(engine))


def _level(lake: Lake, sets: PublishedSets) -> PublishedSet | None:
    newest, there = sets.newest(), read_pointer(lake)
    if newest is None or (there is not None and there.number >= newest.number):
        return there  # a store that was lost knows of nothing, or of less
    if not newest.files <= stored_copies(lake):
        return there  # somebody has deleted it: a pointer to nothing would be worse than none
    move_pointer(lake, newest)
    return newest


@dataclass(frozen=True)
class Publication:
    """One run's set on its way to the readers."""

    settings: Settings
    lease: Lease
    run_id: str
    as_of: datetime

    def make(
        self, engine: Engine, moving: dict[str, dict[str, Any]], exposed: Collection[str]
    ) -> PublishedSet:
        """Copy, record under the fence, move the pointer, let go of old sets.

        moving: dbt's nodes by the table's name; exposed: names of all that exposures read.
        """
        lake, sets = self.settings.open_lake(), PublishedSets(engine)
        base = _level(lake, sets)
        self._tidy(lake, sets)
        set_id = f"{self.as_of.astimezone(UTC):%Y%m%dT%H%M}-{uuid.uuid4().hex[:12]}"
        tables = self._tables(lake, set_id, moving)
        while True:
            new = self._set(lake, set_id, base, tables, exposed, sets.highest())
            if sets.add(new, self.lease):
                break
            base = _level(lake, sets)
        move_pointer(lake, new)
        sets.give_up_old(KEPT_SETS, self.lease)
        self._tidy(lake, sets)
        return new

    def _tables(
        self, lake: Lake, set_id: str, moving: dict[str, dict[str, Any]]
    ) -> dict[str, PublishedTable]:
        relations = {
            name: (node["schema"], node.get("alias") or node["name"])
            for name, node in moving.items()
        }
        known = {name: classification(node) for name, node in moving.items()}
        stored: dict[str, dict[str, Any]]
        if self.settings.target == "athena":
            from synapse.athena.pins import pin_tables

            stored = pin_tables(set_id, relations)
        else:
            stored = copy_tables(self.settings, lake, set_id, relations)
        return {
            name: PublishedTable(
                relation=".".join(relations[name]),
                run_id=self.run_id,
                as_of=self.as_of,
                classification=level,
                pii=pii,
                **stored[name],
            )
            for name, (level, pii) in known.items()
        }

    def _set(
        self,
        lake: Lake,
        set_id: str,
        base: PublishedSet | None,
        tables: dict[str, PublishedTable],
        exposed: Collection[str],
        highest: int,
    ) -> PublishedSet:
        kept: dict[str, PublishedTable] = {}
        if base is not None and base.target == self.settings.target:
            there = stored_copies(lake)
            kept = {
                name: table
                for name, table in base.tables.items()
                if name in exposed and there.issuperset(table.files)
            }
        return PublishedSet(
            number=max(highest, base.number if base else 0) + 1,
            set_id=set_id,
            run_id=self.run_id,
            as_of=self.as_of,
            complete_date=last_complete_date(self.as_of, self.settings.business_timezone),
            fencing_tokens=dict(self.lease.tokens),
            published_at=datetime.now(UTC),
            target=self.settings.target,
            tables=dict(sorted({**kept, **tables}.items())),
        )

    def _tidy(self, lake: Lake, sets: PublishedSets) -> None:
        """Remove what no set that is kept, nor the pointer, names.

        In this order: what lies there while the lease is held is no successor's, and a holder that
        sleeps before it removes, and was overtaken, removes nothing else.
        """
        if self.settings.target == "athena":
            from synapse.athena.pins import remove_pins

            remove_pins(lambda: [pin for each in self._kept(lake, sets) for pin in each.pins])
            return
        there = stored_copies(lake)
        named = {path for each in self._kept(lake, sets) for path in each.files}
        lake.remove(sorted(there - named))

    def _kept(self, lake: Lake, sets: PublishedSets) -> list[PublishedSet]:
        pointed = read_pointer(lake)
        return [*sets.kept(self.lease), *([pointed] if pointed else [])]

"""Gates: a model that requires a fresh source is not built while that source is stale.

It keeps its last content, and so does not hold up what is built from it; where it was never built
it has none, and what reads it is left out too. A source that never landed gates nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from synapse.runner.dbt import DbtProject
from synapse.runner.relations import existing_relations
from synapse.runner.requires_fresh import required_sources
from synapse.runner.source_freshness import Age, stale_sources
from synapse.settings import Settings

_BUILT = ("model", "seed", "snapshot")
Nodes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ClosedGate:
    """A model that a run leaves out, and the stale source for which it does.

    needs: the model without content that it reads, where it does not require the source itself.
    """

    model: str
    source: str
    age_seconds: float
    limit_seconds: float
    needs: str | None = None

    @property
    def reason(self) -> str:
        """The reason, as a sentence."""
        age, limit = (timedelta(seconds=each) for each in (self.age_seconds, self.limit_seconds))
        why = f"{self.source} last landed {age} before as-of, and its limit is {limit}"
        if self.needs is None:
            return f"keeps its last content: {why}"
        return f"reads {self.needs}, which was never built: {why}"


@dataclass(frozen=True)
class Gates:
    """What a run leaves out. left_out: ids of nodes; nodes: those of the project, by id."""

    closed: tuple[ClosedGate, ...] = ()
    left_out: frozenset[str] = frozenset()
    nodes: Nodes = field(default_factory=dict, repr=False)

    def selection(self, dbt: DbtProject, selector: str) -> list[str]:
        """Arguments of dbt for a step: all that the selector selects but for what is left out.

        A test that reads a model which is left out is left out with it.
        """
        if not self.left_out:
            return ["--selector", selector]
        # dbt ignores --exclude beside --selector, so that every node has to be named.
        kept = [
            f"fqn:{'.'.join(self.nodes[node]['fqn'])}"
            for node, reads in sorted(dbt.nodes(selector).items())
            if node in self.nodes  # an exposure has nothing to build
            and node not in self.left_out
            and not (self.nodes[node]["resource_type"] == "test" and reads & self.left_out)
        ]
        return ["--indirect-selection", "empty", "--select", *kept]


def find_gates(
    settings: Settings, dbt: DbtProject, selectors: Collection[str], as_of: datetime
) -> Gates:
    """What a run of these selectors at as-of leaves out.

    Raises SynapseError, with file and model, for a requires_fresh that can hold nothing back.
    """
    manifest = dbt.manifest()
    required = required_sources(manifest)
    limits = {limit for each in required.values() for limit in each}
    stale = stale_sources(settings.open_lake(), limits, as_of)
    if not stale:
        return Gates()
    nodes = manifest["nodes"]
    selected = {node for selector in selectors for node in dbt.nodes(selector)}
    held = {
        node: [stale[limit.source] for limit in each if limit.source in stale]
        for node, each in required.items()
        if node in selected
    }
    held = {node: ages for node, ages in held.items() if ages}
    closed = [_closed(nodes, node, age) for node, ages in sorted(held.items()) for age in ages]
    left_out = set(held)
    schemas = {nodes[node]["schema"].lower() for node in held}
    there = existing_relations(settings, schemas) if held else set()
    for node, ages in sorted(held.items()):
        if _relation(nodes[node]) in there:
            continue
        for reader in sorted(_readers(manifest, node) & selected - left_out):
            closed.append(_closed(nodes, reader, ages[0], needs=nodes[node]["name"]))
            left_out.add(reader)
    return Gates(tuple(closed), frozenset(left_out), nodes)


def _closed(nodes: Nodes, node: str, age: Age, needs: str | None = None) -> ClosedGate:
    return ClosedGate(nodes[node]["name"], age.source, age.seconds, age.limit_seconds, needs)


def _relation(node: Mapping[str, Any]) -> tuple[str, str]:
    return node["schema"].lower(), (node.get("alias") or node["name"]).lower()


def _readers(manifest: Mapping[str, Any], node: str) -> set[str]:
    """The models, seeds and snapshots that are built from a node, directly or not."""
    found: set[str] = set()
    open_ = [node]
    while open_:
        for reader in manifest["child_map"].get(open_.pop(), ()):
            if reader not in found and reader.split(".", 1)[0] in _BUILT:
                found.add(reader)
                open_.append(reader)
    return found

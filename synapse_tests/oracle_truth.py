"""What the oracle starts from: the generator's truth and the seeds, as plain Python."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from synapse_tests.oracle import MESSAGE_SENT, FunnelDefinition, Person, Product, Sighting

FACTS = frozenset(
    {MESSAGE_SENT, "conversation_started", "trial_started", "payment_paid", "subscription_canceled"}
)
TABLES = ("users", "plans", "subscriptions", "payments", "conversations", "messages")


def read_truth(lake: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of one truth file."""
    rows: list[dict[str, Any]] = pq.read_table(lake / "truth" / f"{name}.parquet").to_pylist()
    return rows


def generated_until(lake: Path) -> date:
    """Return the last business date that the generator simulated."""
    about = json.loads((lake / "truth" / "generator.json").read_text())
    return date.fromisoformat(about["end_date"])


def read_seeds(seeds: Path) -> tuple[frozenset[str], list[FunnelDefinition]]:
    """Return the names of the active signals, and the funnels."""
    with (seeds / "tracking_plan.csv").open(encoding="utf-8") as stream:
        signals = frozenset(
            row["event_name"]
            for row in csv.DictReader(stream)
            if row["is_active_signal"].lower() == "true"
        )
    steps: dict[str, list[tuple[int, str]]] = defaultdict(list)
    windows: dict[str, timedelta] = {}
    with (seeds / "funnels.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            steps[row["funnel_name"]].append((int(row["step_number"]), row["event_name"]))
            windows[row["funnel_name"]] = timedelta(hours=int(row["window_hours"]))
    return signals, [
        FunnelDefinition(name, tuple(event for _, event in sorted(found)), windows[name])
        for name, found in steps.items()
    ]


def _people(lake: Path) -> dict[int, Person]:
    people: dict[int, Person] = {}
    for row in read_truth(lake, "history_users"):
        # A delete may carry nothing but the key, and an old key ends without a row of its own.
        if row["op"] in ("D", "A"):
            continue
        key = row["user_id"]
        known = people.get(key)
        internal = bool(row["is_internal"]) or (known is not None and known.is_internal)
        people[key] = Person(key, row["created_at"], internal)
    return people


def _facts(lake: Path) -> list[Sighting]:
    facts: list[Sighting] = []

    def add(name: str, source_id: object, at: datetime | None, user_id: int | None) -> None:
        if at is not None:
            owner = None if user_id is not None else f"{name}:{source_id}"
            facts.append(Sighting(f"{name}:{source_id}", name, at, user_id, owner, False))

    for row in read_truth(lake, "messages"):
        if row["role"] == "user":
            add(MESSAGE_SENT, f"dms:{row['message_id']}", row["sent_at"], row["user_id"])
    documents = set()
    for row in read_truth(lake, "document_messages"):
        document = (row["conversation_id"], row["created_at"], row["user_id"])
        documents.add(document)
        if row["role"] == "user":
            place = f"documents:{row['conversation_id']}:{row['position']}"
            add(MESSAGE_SENT, place, row["sent_at"], row["user_id"])
    for identity, created_at, user_id in documents:
        add("conversation_started", f"documents:{identity}", created_at, user_id)
    for row in read_truth(lake, "conversations"):
        source_id = f"dms:{row['conversation_id']}"
        add("conversation_started", source_id, row["started_at"], row["user_id"])
    tried = {
        row["subscription_id"]
        for row in read_truth(lake, "history_subscriptions")
        if row["status"] == "trialing"
    }
    for row in read_truth(lake, "subscriptions"):
        key = row["subscription_id"]
        if key in tried or row["trial_ends_at"] is not None:
            add("trial_started", key, row["started_at"], row["user_id"])
        add("subscription_canceled", key, row["canceled_at"], row["user_id"])
    for row in read_truth(lake, "payments"):
        if row["status"] in ("paid", "refunded"):
            add("payment_paid", row["payment_id"], row["paid_at"], row["user_id"])
    return facts


def load_product(lake: Path, seeds: Path, timezone: str, last_complete: date) -> Product:
    """Read the truth below a generated lake, and the seeds that say what counts.

    Every source of a fact lands in a generated lake, so an app event of a fact's name never counts.
    """
    events = [
        Sighting(
            row["event_id"],
            row["event_name"],
            row["occurred_at"],
            row["user_id"],
            row["anonymous_id"],
        )
        for row in read_truth(lake, "events")
        if row["event_name"] not in FACTS
    ]
    signals, funnels = read_seeds(seeds)
    return Product(
        people=_people(lake),
        sightings=events + _facts(lake),
        active_signals=signals,
        funnels=funnels,
        timezone=ZoneInfo(timezone),
        last_complete=last_complete,
    )

"""The generator's truth can be found in its bronze: by another reader, under all hazards."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from synapse.generate.events import ACTIVE_SIGNALS
from synapse.generate.hazards import Level
from synapse.generate.service import generate
from synapse.generate.tables import key_of
from synapse_tests.bronze_reader import (
    dms_changes,
    recover,
    recover_documents,
    recover_events,
    recover_payments,
    rows_of,
    when,
)

DMS_TABLES = ("users", "plans", "subscriptions", "conversations", "messages")
LEVELS: tuple[Level, ...] = ("none", "normal", "hostile")


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[Level, Path]:
    root = tmp_path_factory.mktemp("truths")
    for level in LEVELS:
        generate(root / level, users=240, days=16, seed=11, append=False, hazards=level)
    return {level: root / level for level in LEVELS}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("table", DMS_TABLES)
def test_tables_recovered_from_bronze_equal_the_truth(
    lakes: dict[Level, Path], level: Level, table: str
) -> None:
    truth = {row[key_of(table)]: row for row in rows_of(lakes[level] / f"truth/{table}.parquet")}
    assert truth
    assert recover(lakes[level], table) == truth


@pytest.mark.parametrize("level", LEVELS)
def test_payments_recovered_from_bronze_equal_the_truth(
    lakes: dict[Level, Path], level: Level
) -> None:
    truth = {row["payment_id"]: row for row in rows_of(lakes[level] / "truth/payments.parquet")}
    assert truth
    assert recover_payments(lakes[level]) == truth


@pytest.mark.parametrize("level", LEVELS)
def test_events_recovered_from_bronze_equal_the_truth(
    lakes: dict[Level, Path], level: Level
) -> None:
    truth = {row["event_id"]: row for row in rows_of(lakes[level] / "truth/events.parquet")}
    found = recover_events(lakes[level])
    for event in found.values():
        event["properties"] = json.dumps(event.get("properties", {}), separators=(",", ":"))
    assert found == truth


@pytest.mark.parametrize("level", LEVELS)
def test_documents_recovered_from_bronze_equal_the_truth(
    lakes: dict[Level, Path], level: Level
) -> None:
    truth = {
        (row["conversation_id"], row["position"]): (row["role"], row["content"], row["sent_at"])
        for row in rows_of(lakes[level] / "truth/document_messages.parquet")
    }
    found = {
        (one, place): (message["role"], message["content"], when(message["timestamp"]))
        for one, document in recover_documents(lakes[level]).items()
        for place, message in enumerate(document["messages"])
    }
    assert found == truth


@pytest.mark.parametrize("level", LEVELS)
def test_daily_actives_by_r2_in_plain_python(lakes: dict[Level, Path], level: Level) -> None:
    lake = lakes[level]
    seen: set[tuple[date, int]] = set()

    def active(moment: datetime, user_id: int) -> None:
        seen.add(((moment - timedelta(hours=3)).date(), user_id))

    for row in recover(lake, "messages").values():
        if row["role"] == "user":
            active(row["sent_at"], row["user_id"])
    for document in recover_documents(lake).values():
        for message in document["messages"]:
            if message["role"] == "user":
                active(when(message["timestamp"]), int(document["userId"]))
    owner: dict[str, int] = {}
    events = sorted(
        recover_events(lake).values(), key=lambda event: (event["occurred_at"], event["event_id"])
    )
    for event in events:
        if event["anonymous_id"] and event["user_id"] is not None:
            owner.setdefault(event["anonymous_id"], event["user_id"])
    for event in events:
        user_id = event["user_id"] or owner.get(event["anonymous_id"])
        if user_id is not None and event["event_name"] in ACTIVE_SIGNALS:
            active(event["occurred_at"], user_id)
    changes, loads = dms_changes(lake, "users")
    users = changes + [row for _, rows in loads for row in rows]
    internal = {row["user_id"] for row in users if row["is_internal"]}
    truth = {
        (row["activity_date"], row["user_id"])
        for row in rows_of(lake / "truth/daily_actives.parquet")
    }
    assert {pair for pair in seen if pair[1] not in internal} == truth
    assert len(truth) > 300

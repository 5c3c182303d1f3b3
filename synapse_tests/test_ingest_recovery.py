"""Repeated, killed or robbed of its ledger: ingest ends in the same state, nothing twice."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from synapse.errors import LeaseHeldError, SynapseError
from synapse.ingest import service
from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Counts
from synapse.ingest.quarantine import discard, entries
from synapse.ingest.replay import replay
from synapse.ingest.store import RefusalWriter
from synapse.runner.lease import lease
from synapse_tests.ingest_lake import (
    AS_OF,
    DOCUMENTS,
    EVENTS,
    ORDERS,
    REFUNDS,
    REFUNDS_SOURCE,
    SOURCE,
    Lake,
    change,
    event,
    lines,
    new_lake,
)

EVENT_SOURCE = "kconnect.app-events"
READS = {
    SOURCE: '"Op", dms_committed_at, dms_change_seq, order_id, label',
    REFUNDS_SOURCE: '"Op", dms_committed_at, dms_change_seq, order_id, label',
    EVENT_SOURCE: "event_id, _kafka_offset, _source_file, _source_line, _payload_hash",
    "kconnect.conversations": "conversation_id, position, _source_file",
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def land_some_of_everything(lake: Lake) -> None:
    """Clean, partly bad, wholly bad and repeated files of every source."""
    moment = {"dms_committed_at": "2026-03-01 00:00:00.000000"}
    lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [{**moment, "order_id": 1, "label": "x"}])
    lake.land_rows(
        f"{ORDERS}/LOAD00000002.parquet",
        [{**moment, "order_id": 2, "label": "y"}, {**moment, "order_id": None, "label": "z"}],
        {"order_id": pa.int64()},
    )
    lake.land_rows(f"{ORDERS}/2026/03/01/20260301-000000001.parquet", [change(1), change(2)])
    lake.land_rows(f"{ORDERS}/2026/03/01/20260301-000000002.parquet", [change(1), change(2)])
    lake.land_rows(
        f"{ORDERS}/2026/03/01/20260301-000000003.parquet", [change(3), change(4, op="X")]
    )
    lake.land(f"{ORDERS}/2026/03/01/20260301-000000004.parquet", b"no parquet")
    envelope = {
        "op": "c",
        "after": {"order_id": 9, "label": "cdc"},
        "source": {"ts_ms": 1772323200000, "lsn": 5},
    }
    lake.land(f"{REFUNDS}/cdc.shop.refunds+0+0000000000.json", lines([envelope, None, {"op": "?"}]))
    data = lines([event(1), b"{", event(2), None, event(3, user_id="x")])
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", data)
    lake.land(f"{EVENTS.replace('day=01', 'day=02')}/app-events+0+0000000000.json", data)
    lake.land(f"{EVENTS}/app-events+0+0000000005.json.gz", lines([event(4)]))
    document = {"_id": "c1", "createdAt": "2026-03-01T00:00:00Z"}
    lake.land(f"{DOCUMENTS}/conversations+0+0000000000.json", lines([document, {"_id": "c2"}]))


def state(lake: Lake) -> tuple[Any, ...]:
    """All that must not depend on how often or how brokenly ingest ran."""
    with Ledger(lake.settings.state) as ledger:
        totals = ledger.totals()
    open_entries = [
        (entry.id, entry.rule, entry.sentence, entry.state, entry.attempts, entry.reason)
        for entry in entries(lake.settings, state=None)
        if entry.state != "replayed"
    ]
    manifest = Counter((row["source"], row["kind"], row["epoch"]) for row in lake.manifest())
    return (
        {source: vars(count) for source, count in totals.items()},
        open_entries,
        manifest,
        {source: lake.rows(source, columns) for source, columns in READS.items()},
    )


def test_a_second_ingest_changes_nothing(lake: Lake) -> None:
    land_some_of_everything(lake)
    first = lake.ingest()
    assert (first.landed, first.accepted, first.duplicate, first.quarantined) == (26, 12, 7, 7)
    before = state(lake)
    assert lake.ingest().files == 0
    assert state(lake) == before


def test_touched_files_are_known_by_their_bytes(lake: Lake) -> None:
    land_some_of_everything(lake)
    lake.ingest()
    before = state(lake)
    for file in (lake.root / "bronze").rglob("*.*"):
        file.touch()
    assert lake.ingest().files == 0
    assert lake.ingest().files == 0
    assert state(lake) == before


def test_a_lost_ledger_is_rebuilt_from_manifest_and_bronze(lake: Lake) -> None:
    land_some_of_everything(lake)
    lake.ingest()
    lake.land(f"{EVENTS}/app-events+0+0000000006.json", lines([event(6), b"}"]))
    lake.ingest()
    first, *_ = entries(lake.settings, source=EVENT_SOURCE)
    discard(lake.settings, [first.id], "not wanted")
    replay(lake.settings, lake.project, as_of=AS_OF)
    before = state(lake)
    (lake.root / "state.db").unlink()
    lake.ingest()
    assert state(lake) == before
    assert lake.ingest().files == 0


def test_a_lost_ledger_knows_what_was_replayed(lake: Lake) -> None:
    land_some_of_everything(lake)
    lake.ingest()
    declared = lake.project / "models" / "bronze" / "_sources.yml"
    lake.land(f"{EVENTS}/app-events+0+0000000007.json", lines([event(7, user_id=str(2**63))]))
    lake.ingest()
    text = declared.read_text()
    declared.write_text(
        text.replace("user_id, data_type: bigint", "user_id, data_type: varchar", 1)
    )
    assert len(replay(lake.settings, lake.project, as_of=AS_OF).accepted) == 1
    before = state(lake)
    (lake.root / "state.db").unlink()
    lake.ingest()
    assert state(lake) == before


@pytest.mark.parametrize(
    "step", ["RefusalWriter.finish", "Ledger.commit", "before write_part", "after write_part"]
)
def test_a_killed_run_repeated_is_an_undisturbed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    whole = new_lake(tmp_path / "whole")
    land_some_of_everything(whole)
    whole.ingest()
    lake = new_lake(tmp_path / "killed")
    land_some_of_everything(lake)

    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    owner, name = {
        "RefusalWriter.finish": (RefusalWriter, "finish"),
        "Ledger.commit": (Ledger, "commit"),
    }.get(step, (service, "write_part"))
    does = getattr(owner, name)

    def die(*arguments: object, **named: object) -> None:
        if step.startswith("after"):
            does(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        # Dead processes write no last words either.
        patch.setattr(Ledger, "fail", lambda *_: None)
        with pytest.raises(Killed):
            lake.ingest()
    lake.ingest()
    assert state(lake) == state(whole)
    assert lake.ingest().files == 0


def test_a_run_id_that_was_used_overwrites_nothing(lake: Lake) -> None:
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1)]))
    lake.ingest(run_id="same")
    lake.land(f"{EVENTS}/app-events+0+0000000001.json", lines([event(2)]))
    lake.ingest(run_id="same")
    assert [row[0] for row in lake.rows(EVENT_SOURCE, "event_id")] == ["e1", "e2"]
    assert len({row["path"] for row in lake.manifest()}) == 2


def test_two_ingests_at_once_are_refused(lake: Lake) -> None:
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1)]))
    with lease(lake.settings.state, "other", name="ingest"), pytest.raises(LeaseHeldError):
        lake.ingest()
    assert lake.ingest().accepted == 1


@pytest.mark.parametrize("folder", [None, "bronze", "bronze/dms", "bronze/kconnect/topics/x"])
def test_an_empty_lake_is_an_error_that_says_what_to_do(lake: Lake, folder: str | None) -> None:
    if folder:
        (lake.root / folder).mkdir(parents=True)
    with pytest.raises(SynapseError, match="synapse generate --lake") as error:
        lake.ingest()
    assert str(lake.root) in error.value.message
    assert not (lake.root / "state.db").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("key: [order_id], ", "", "declares no key"),
        ("key: [order_id]", "key: [nothing]", "'nothing' is not among"),
        ("data_type: bigint}", "data_type: bigserial}", "bigserial"),
        ("topic: app-events", "topic: unheard-of", "synapse/schemas/unheard-of.json"),
        ("sources:", "sources: 7", "must be a list"),
    ],
)
def test_a_broken_declaration_is_one_clear_error(lake: Lake, old: str, new: str, says: str) -> None:
    lake.land("bronze/kconnect/topics/unheard-of/a.json", lines([event(1)]))
    file = lake.project / "models" / "bronze" / "_sources.yml"
    text = file.read_text()
    cut = text.split("sources:")[0] + new if old == "sources:" else text.replace(old, new, 1)
    file.write_text(cut)
    with pytest.raises(SynapseError, match=says):
        lake.ingest()
    assert not (lake.root / "manifest").exists()


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 4))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_order_and_the_splitting_of_arrival_change_nothing(
    tmp_path: Path, seed: int, steps: int
) -> None:
    """What is accepted in several ingests of shuffled files equals what one ingest accepts."""
    shutil.rmtree(tmp_path)
    whole = new_lake(tmp_path / "whole")
    land_some_of_everything(whole)
    whole.ingest()
    lake = new_lake(tmp_path / "split")
    files = sorted(file for file in (whole.root / "bronze").rglob("*.*") if file.is_file())
    random.Random(seed).shuffle(files)
    for step in range(steps):
        for file in files[step::steps]:
            lake.land_copy(file, file.relative_to(whole.root))
        lake.ingest(AS_OF + timedelta(minutes=step))
    with Ledger(lake.settings.state) as split, Ledger(whole.settings.state) as once:
        assert split.totals() == once.totals()
    for source, columns in READS.items():
        without_place = columns.replace(", _source_file", "")
        assert lake.rows(source, without_place) == whole.rows(source, without_place)
    assert {entry.sentence for entry in entries(lake.settings)} == {
        entry.sentence for entry in entries(whole.settings)
    }


@given(
    st.lists(
        st.sampled_from(["good", "bad json", "bad schema", "null", "redelivered"]), max_size=30
    )
)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_accounting_identity_holds_for_any_mixture(tmp_path: Path, kinds: list[str]) -> None:
    shutil.rmtree(tmp_path)
    lake = new_lake(tmp_path)
    records: list[Any] = [event(0)]
    for number, kind in enumerate(kinds, start=1):
        made = {
            "good": event(number),
            "bad json": b'{"event_id":',
            "bad schema": {"event_id": number},
            "null": None,
            "redelivered": event(0),
        }
        records.append(made[kind])
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines(records))
    report = lake.ingest()
    bad = sum(kind.startswith("bad") for kind in kinds)
    assert report.sources[EVENT_SOURCE] == Counts(len(records), len(records) - bad, 0, bad, files=1)
    rows = len(records) - bad - kinds.count("null")
    assert len(lake.rows(EVENT_SOURCE, "event_id")) == rows

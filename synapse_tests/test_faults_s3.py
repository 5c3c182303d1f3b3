"""S3 on a bad day: what passes is waited for, what stays is one clear error, nothing half taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from synapse.errors import SynapseError
from synapse.ingest.ledger import Ledger
from synapse.ingest.quarantine import entries
from synapse.ingest.service import IngestReport, ingest
from synapse.settings import Settings
from synapse_tests.faulty_s3 import FAULTS, Faults, FaultyS3
from synapse_tests.ingest_lake import (
    AS_OF,
    EVENTS,
    ORDERS,
    SOURCE,
    Lake,
    change,
    event,
    lines,
    new_lake,
)
from synapse_tests.lakes import is_full_proof

BUCKET = "lake-of-faults"
SEEDS = range(20) if is_full_proof() else range(1)
# What is promised: five tries, within four times the time-out (a second here).
PASSING = 2
WAY_OUT = "Check the bucket, AWS_REGION, the credentials and AWS_ENDPOINT_URL"
READS = {
    SOURCE: '"Op", dms_change_seq, order_id, label',
    "kconnect.app-events": "event_id, _kafka_offset, _source_file, _source_line, _payload_hash",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[FaultyS3]:
    with FaultyS3().running() as servers:
        client(servers).create_bucket(Bucket=BUCKET)
        yield servers


@pytest.fixture(autouse=True)
def environment(s3: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.faults = Faults()
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("SYNAPSE_S3_TIMEOUT_SECONDS", "1")


def client(s3: FaultyS3) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.direct,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # pragma: allowlist secret
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same bronze in a folder, ingested undisturbed: what every lake on S3 must come to."""
    lake = new_lake(tmp_path_factory.mktemp("local"))
    moment = {"dms_committed_at": "2026-03-01 00:00:00.000000"}
    lake.land_rows(f"{ORDERS}/LOAD00000001.parquet", [{**moment, "order_id": 1, "label": "x"}])
    for number in range(1, 4):
        rows = [change(number * 10 + each, each, label="x" * 300) for each in range(5)]
        rows.append(change(number * 10 + 9, op="X"))
        lake.land_rows(f"{ORDERS}/2026/03/01/20260301-00000000{number}.parquet", rows)
    for number in range(10):
        records = [event(number * 10 + each) for each in range(5)] + ([b"{"] if number % 5 else [])
        hour = f"{number % 3:02d}"
        path = EVENTS.replace("hour=00", f"hour={hour}")
        lake.land(f"{path}/app-events+0+{number * 10:010d}.json", lines(records))
    many = [event(1_000 + each, properties={"text": "y" * 2_000}) for each in range(5_000)]
    lake.land(f"{EVENTS}/app-events+1+0000000000.json", lines(many))  # read in pieces
    lake.ingest()
    return lake


@pytest.fixture
def remote(s3: FaultyS3, local: Lake, tmp_path: Path) -> Settings:
    """The same bronze on S3, under a prefix of its own."""
    prefix = re.sub("[^a-z0-9-]", "-", tmp_path.name.lower())
    for file in sorted((local.root / "bronze").rglob("*.*")):
        if file.is_file():
            key = f"{prefix}/{file.relative_to(local.root).as_posix()}"
            client(s3).upload_file(str(file), BUCKET, key)
    root = tmp_path / "home"
    return Settings(
        lake=root,
        remote=f"s3://{BUCKET}/{prefix}",
        warehouse=root / "warehouse.duckdb",
        state=f"sqlite:///{root / 'state.db'}",
    )


def take(local: Lake, remote: Settings) -> IngestReport:
    remote.lake.mkdir(exist_ok=True)
    return ingest(remote, local.project, as_of=AS_OF)


def accepted(s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path) -> list[Any]:
    """Totals, what was refused, and every row that silver would read, downloaded directly."""
    prefix = str(remote.remote).removeprefix(f"s3://{BUCKET}/")
    copy = replace(local, root=tmp_path / "downloaded")
    pages = client(s3).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix + "/")
    for page in pages:
        for found in page.get("Contents", ()):
            target = copy.root / found["Key"].removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            client(s3).download_file(BUCKET, found["Key"], str(target))
    return state(copy, remote)


def state(lake: Lake, settings: Settings) -> list[Any]:
    with Ledger(settings.state) as ledger:
        totals = {source: vars(counts) for source, counts in ledger.totals().items()}
    refused = [(entry.id, entry.rule, entry.byte_start) for entry in entries(settings)]
    return [totals, refused, *(lake.rows(source, columns) for source, columns in READS.items())]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FAULTS)
def test_what_passes_is_waited_for(
    s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path, kind: str, seed: int
) -> None:
    s3.faults = Faults((kind,), 0.2, seed=seed, at_most=PASSING)
    report = take(local, remote)
    assert s3.faults.done, "nothing went wrong"
    assert report.landed == report.accepted + report.duplicate + report.quarantined
    s3.faults = Faults()
    assert accepted(s3, local, remote, tmp_path) == state(local, local.settings)
    assert take(local, remote).files == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_at_once_is_waited_for(
    s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path, seed: int
) -> None:
    kinds = ("slow down", "error", "drop", "cut", "short")
    s3.faults = Faults(kinds, 0.3, seed=seed, at_most=PASSING)
    take(local, remote)
    s3.faults = Faults()
    assert accepted(s3, local, remote, tmp_path) == state(local, local.settings)


STAYING = [(operation, kind) for operation in ("LIST", "GET", "PUT") for kind in FAULTS]
STAYING_IN_CI = [
    ("LIST", "cut"),
    ("LIST", "slow down"),
    ("GET", "short"),
    ("GET", "stall"),
    ("PUT", "drop"),
]


@pytest.mark.parametrize(("operation", "kind"), STAYING if is_full_proof() else STAYING_IN_CI)
def test_what_stays_is_one_clear_error(
    s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path, kind: str, operation: str
) -> None:
    s3.faults = Faults((kind,), 1.0, frozenset({operation}))
    with pytest.raises(SynapseError) as failure:
        take(local, remote)
    message = failure.value.message
    assert str(remote.remote) in message
    assert WAY_OUT in message
    assert "\n" not in message
    assert not entries(remote)
    with Ledger(remote.state) as ledger:
        assert not ledger.totals(), "something was accepted half-way"
    s3.faults = Faults()
    take(local, remote)
    assert accepted(s3, local, remote, tmp_path) == state(local, local.settings)
    assert take(local, remote).files == 0


PLACES = ("manifest/part-", "consolidated/", "quarantine/", "retained/")


@pytest.mark.parametrize("kind", ["error", "stored, then drop"])
@pytest.mark.parametrize("place", PLACES if is_full_proof() else PLACES[:2])
def test_a_write_that_fails_at_any_place_leaves_a_lake_that_comes_right(
    s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path, kind: str, place: str
) -> None:
    s3.faults = Faults((kind,), 1.0, frozenset({"PUT"}), only=place)
    with pytest.raises(SynapseError, match=re.escape(place)):
        take(local, remote)
    s3.faults = Faults()
    take(local, remote)
    assert accepted(s3, local, remote, tmp_path) == state(local, local.settings)


def test_what_a_killed_ingest_had_fetched_is_not_taken_for_what_lies_there_now(
    s3: FaultyS3, local: Lake, remote: Settings, tmp_path: Path
) -> None:
    stale = remote.lake / ORDERS / "2026/03/01/20260301-000000001.parquet"
    stale.parent.mkdir(parents=True)
    stale.write_bytes((local.root / ORDERS / "2026/03/01/20260301-000000002.parquet").read_bytes())
    take(local, remote)
    assert accepted(s3, local, remote, tmp_path) == state(local, local.settings)


def test_a_bucket_that_is_not_there_is_one_clear_error(local: Lake, remote: Settings) -> None:
    gone = replace(remote, remote="s3://no-such-bucket/lake")
    with pytest.raises(SynapseError, match="s3://no-such-bucket/lake") as failure:
        take(local, gone)
    assert WAY_OUT in failure.value.message

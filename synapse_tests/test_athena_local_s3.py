"""S3's fast reads say what moto says: the same server answers both ways."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.serving import make_server

from athena_local import aws
from athena_local.moto_server import dispatcher
from athena_local.s3_reads import S3Reads
from synapse_tests.aws_parts import client

NAMES = st.text(alphabet="ab/-= é+&<", min_size=1, max_size=8).filter(
    lambda name: not name.startswith("/") and "//" not in name
)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Any, Any]]:
    """S3's clients of the fast and of the plain way; both see the same buckets."""
    moto = dispatcher()
    servers = [make_server("127.0.0.1", 0, app, threaded=True) for app in (S3Reads(moto), moto)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    fast, plain = (client("s3", f"http://127.0.0.1:{server.server_port}") for server in servers)
    yield fast, plain
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def bucket(both: tuple[Any, Any]) -> str:
    return new_bucket(both[0])


def new_bucket(s3: Any) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.REGION})
    return name


def pages(s3: Any, **asked: Any) -> tuple[list[Any], list[str], int]:
    """All that a listing gives: objects, folders, and in how many pages."""
    found = list(s3.get_paginator("list_objects_v2").paginate(**asked))
    objects = [item for page in found for item in page.get("Contents", [])]
    folders = [item["Prefix"] for page in found for item in page.get("CommonPrefixes", [])]
    return objects, folders, len(found)


@settings(max_examples=25)
@given(
    names=st.lists(NAMES, min_size=1, max_size=12, unique=True),
    prefix=st.sampled_from(["", "a", "a/", "b/a", "é"]),
    delimiter=st.sampled_from(["", "/", "-"]),
    size=st.integers(1, 5),
    start_after=st.sampled_from(["", "a/", "b"]),
)
def test_listings_are_motos(
    both: tuple[Any, Any],
    names: list[str],
    prefix: str,
    delimiter: str,
    size: int,
    start_after: str,
) -> None:
    fast, plain = both
    asked: dict[str, Any] = {"Bucket": new_bucket(fast), "Prefix": prefix}
    for name in names:
        fast.put_object(Bucket=asked["Bucket"], Key=name, Body=name.encode())
    asked |= {"Delimiter": delimiter} if delimiter else {}
    asked |= {"StartAfter": start_after} if start_after else {}
    asked["PaginationConfig"] = {"PageSize": size}
    assert pages(fast, **asked) == pages(plain, **asked)


@pytest.mark.parametrize(
    "wanted", [None, "bytes=0-0", "bytes=10-19", "bytes=90-", "bytes=-7", "bytes=50-500"]
)
def test_reads_are_motos(both: tuple[Any, Any], bucket: str, wanted: str | None) -> None:
    both[0].put_object(
        Bucket=bucket,
        Key="folder/a b+é.parquet",
        Body=bytes(range(100)),
        ContentType="application/x-test",
        Metadata={"made-by": "test"},
    )
    found = []
    for s3 in both:
        extra = {"Range": wanted} if wanted else {}
        answer = s3.get_object(Bucket=bucket, Key="folder/a b+é.parquet", **extra)
        body = answer.pop("Body").read()
        answer.pop("ResponseMetadata")
        found.append((answer, body))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "asked",
    [
        {"Key": "none"},
        {"Key": "k", "Range": "bytes=1000-"},
        {"Key": "k", "IfMatch": '"other"'},
        {"Key": "k", "VersionId": "none"},
    ],
)
def test_refusals_are_motos(both: tuple[Any, Any], bucket: str, asked: dict[str, Any]) -> None:
    both[0].put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    said = []
    for s3 in both:
        with pytest.raises(s3.exceptions.ClientError) as refused:
            s3.get_object(Bucket=bucket, **asked)
        said.append(refused.value.response["Error"])
    assert said[0] == said[1]


def test_ranges_of_what_came_in_parts(both: tuple[Any, Any], bucket: str, tmp_path: Path) -> None:
    """Over moto's limit for memory, so that the object lies in a file of its own."""
    data = bytes(itertools.islice(itertools.cycle(range(251)), 24 * 1024 * 1024))
    path = tmp_path / "large"
    path.write_bytes(data)
    both[0].upload_file(str(path), bucket, "large")
    for first in (0, 8 * 1024 * 1024 - 5, len(data) - 10):
        wanted = f"bytes={first}-{first + 9}"
        answer = both[0].get_object(Bucket=bucket, Key="large", Range=wanted)
        assert answer["Body"].read() == data[first : first + 10]


def test_a_bucket_with_versions_lists_what_is_there(both: tuple[Any, Any], bucket: str) -> None:
    fast, plain = both
    fast.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for name in ("a/1", "a/2", "b/1"):
        fast.put_object(Bucket=bucket, Key=name, Body=b"1")
        fast.put_object(Bucket=bucket, Key=name, Body=b"22")
    fast.delete_object(Bucket=bucket, Key="a/1")
    fast.delete_object(Bucket=bucket, Key="b/1")
    assert [item["Key"] for item in pages(fast, Bucket=bucket)[0]] == ["a/2"]
    assert pages(fast, Bucket=bucket, Delimiter="/")[1] == ["a/"]
    assert pages(plain, Bucket=bucket)[0] == pages(fast, Bucket=bucket)[0]


def test_a_bucket_policy_is_motos_to_judge(both: tuple[Any, Any], bucket: str) -> None:
    both[0].put_object(Bucket=bucket, Key="k", Body=b"1")
    both[0].put_bucket_policy(
        Bucket=bucket,
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
        f'"Action": "s3:GetObject", "Resource": "arn:aws:s3:::{bucket}/*"}}]}}',
    )
    for s3 in both:
        with pytest.raises(s3.exceptions.ClientError, match="403"):
            s3.get_object(Bucket=bucket, Key="k")


def test_listing_while_others_write_misses_nothing_that_was_there(
    both: tuple[Any, Any], bucket: str
) -> None:
    fast = both[0]
    for number in range(60):
        fast.put_object(Bucket=bucket, Key=f"old/{number:03}", Body=b"")

    def write(name: str) -> None:
        for number in range(80):
            fast.put_object(Bucket=bucket, Key=f"{name}/{number:05}", Body=b"")

    threads = [threading.Thread(target=write, args=(name,)) for name in ("new", "o", "p")]
    for thread in threads:
        thread.start()
    asked = {"Bucket": bucket, "PaginationConfig": {"PageSize": 25}}
    while any(thread.is_alive() for thread in threads):
        names = [item["Key"] for item in pages(fast, **asked)[0]]
        assert sum(name.startswith("old/") for name in names) == 60
        assert names == sorted(set(names))
    for thread in threads:
        thread.join()
    assert len(pages(fast, **asked)[0]) == 60 + 3 * 80


def test_the_plain_client_of_boto3_is_served(both: tuple[Any, Any], bucket: str) -> None:
    """Checksums as boto3 asks for them by default are sent along and hold."""
    fast = both[0]
    fast.put_object(Bucket=bucket, Key="k", Body=b"data", ChecksumAlgorithm="SHA256")
    answer = fast.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["Body"].read() == b"data"
    assert answer["ChecksumSHA256"]

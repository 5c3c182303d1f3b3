"""S3 on this machine: moto's server over HTTP, and buckets filled from folders."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
    "AWS_REGION": "us-east-1",
}


@dataclass(frozen=True)
class Bucket:
    """A bucket at an endpoint."""

    endpoint: str
    name: str

    @property
    def client(self) -> object:
        """boto3's client; typed as object, because boto3 ships no types."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=ENVIRONMENT["AWS_REGION"],
            aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        )

    def upload(self, folder: Path, prefix: str) -> None:
        """Put every file below a folder, with its relative path, under a prefix."""
        client = self.client
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                client.put_object(Bucket=self.name, Key=key, Body=path.read_bytes())  # type: ignore[attr-defined]

    def versions(self) -> dict[str, str]:
        """Which version of each object there is, by key."""
        pages = self.client.get_paginator("list_objects_v2")  # type: ignore[attr-defined]
        return {
            found["Key"]: found["ETag"]
            for page in pages.paginate(Bucket=self.name)
            for found in page.get("Contents", [])
        }

    def download(self, prefix: str, folder: Path) -> None:
        """Get every object under a prefix into a folder."""
        client = self.client
        pages = client.get_paginator("list_objects_v2")  # type: ignore[attr-defined]
        for page in pages.paginate(Bucket=self.name, Prefix=f"{prefix}/"):
            for found in page.get("Contents", []):
                path = folder / found["Key"][len(prefix) + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                body = client.get_object(Bucket=self.name, Key=found["Key"])["Body"]  # type: ignore[attr-defined]
                path.write_bytes(body.read())


@contextlib.contextmanager
def s3_bucket(patch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A server with one bucket, which the environment names as every AWS tool expects."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request says nothing
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = Bucket(f"http://{host}:{port}", f"lake-{uuid.uuid4().hex[:8]}")
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": bucket.endpoint}.items():
            patch.setenv(name, value)
        bucket.client.create_bucket(Bucket=bucket.name)  # type: ignore[attr-defined]
        yield bucket
    finally:
        server.stop()

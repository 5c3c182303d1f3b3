"""The Iceberg tables of a deployment: what Glue and their metadata files say of them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import boto3
import orjson
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import TableTypeDef

_POINTER = "metadata_location"
# What Glue takes back of a table that it told.
_INPUT = (
    "Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys",
    "TableType", "Parameters",
)  # fmt: skip


@dataclass(frozen=True)
class GlueIceberg:
    """An Iceberg table as Glue knows it. input: what Glue would take to make it again."""

    database: str
    name: str
    metadata_location: str
    version: str
    input: dict[str, Any]

    @property
    def full_name(self) -> str:
        """Database and table."""
        return f"{self.database}.{self.name}"

    @property
    def location(self) -> str:
        """The folder of its files, with a closing slash."""
        return str(self.input["StorageDescriptor"]["Location"]).rstrip("/") + "/"


@dataclass(frozen=True)
class Metadata:
    """A metadata file. manifest_list, snapshot_at, rows: of the current snapshot, if there is one.

    rows: without those that delete files take away.
    """

    uuid: str
    snapshot_id: int | None
    manifest_list: str | None
    snapshot_ids: frozenset[int]
    properties: dict[str, str]
    data_files: int
    delete_files: int
    live_bytes: int
    snapshot_at: datetime | None
    rows: int


@dataclass(frozen=True)
class Stored:
    """What lies under a folder of S3."""

    files: int
    bytes: int


def iceberg_tables(glue: GlueClient, databases: Iterable[str]) -> Iterator[GlueIceberg]:
    """The Iceberg tables of these databases; a database that is not there has none."""
    for database, table in glue_tables(glue, databases):
        pointer = table.get("Parameters", {}).get(_POINTER)
        if pointer:
            known: dict[str, Any] = dict(table)
            yield GlueIceberg(
                database,
                table["Name"],
                pointer,
                str(table.get("VersionId", "")),
                {key: known[key] for key in _INPUT if key in known},
            )


def glue_tables(glue: GlueClient, databases: Iterable[str]) -> Iterator[tuple[str, TableTypeDef]]:
    """The tables of these databases, of whatever kind, each with its database."""
    for database in databases:
        try:
            pages = list(glue.get_paginator("get_tables").paginate(DatabaseName=database))
        except glue.exceptions.EntityNotFoundException:
            continue
        for page in pages:
            for table in page["TableList"]:
                yield database, table


class Files:
    """Objects of S3, by s3://bucket/key."""

    def __init__(self) -> None:
        self._s3 = boto3.client("s3")

    def metadata(self, place: str) -> Metadata | None:
        """Read a metadata file; None where it is gone."""
        bucket, key = _split(place)
        try:
            body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                return None
            raise
        said = orjson.loads(gzip.decompress(body) if key.endswith(".gz.metadata.json") else body)
        current = said.get("current-snapshot-id")
        snapshot: dict[str, Any] = next(
            (item for item in said.get("snapshots", []) if item["snapshot-id"] == current), {}
        )
        summary = snapshot.get("summary", {})
        return Metadata(
            uuid=said["table-uuid"],
            snapshot_id=snapshot.get("snapshot-id"),
            manifest_list=snapshot.get("manifest-list"),
            snapshot_ids=frozenset(item["snapshot-id"] for item in said.get("snapshots", [])),
            properties=said.get("properties", {}),
            data_files=int(summary.get("total-data-files", 0)),
            delete_files=int(summary.get("total-delete-files", 0)),
            live_bytes=int(summary.get("total-files-size", 0)),
            snapshot_at=datetime.fromtimestamp(snapshot["timestamp-ms"] / 1000, UTC)
            if snapshot
            else None,
            rows=int(summary.get("total-records", 0))
            - int(summary.get("total-position-deletes", 0)),
        )

    def exists(self, place: str) -> bool:
        """Whether there is such an object."""
        bucket, key = _split(place)
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                return False
            raise
        return True

    def stored(self, folder: str) -> Stored:
        """How much lies under a folder."""
        found = list(self.objects(folder))
        return Stored(len(found), sum(item["Size"] for item in found))

    def objects(self, folder: str) -> Iterator[dict[str, Any]]:
        """The objects under a folder: Key, Size, LastModified."""
        bucket, prefix = _split(folder)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            yield from (dict(item) for item in page.get("Contents", []))

    def folders(self, folder: str) -> list[str]:
        """The folders directly below a folder, each with a closing slash."""
        bucket, prefix = _split(folder)
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, Delimiter="/"
        )
        return [
            f"s3://{bucket}/{item['Prefix']}"
            for page in pages
            for item in page.get("CommonPrefixes", [])
        ]

    def remove(self, folder: str) -> None:
        """Delete every object under a folder."""
        bucket, _ = _split(folder)
        keys = [item["Key"] for item in self.objects(folder)]
        for begin in range(0, len(keys), 1000):
            some = [{"Key": key} for key in keys[begin : begin + 1000]]
            answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": some})
            for refused in answer.get("Errors", []):
                raise OSError(f"S3 did not delete {refused.get('Key')}: {refused.get('Message')}")


def _split(place: str) -> tuple[str, str]:
    parsed = urlparse(place)
    return parsed.netloc, parsed.path.lstrip("/")

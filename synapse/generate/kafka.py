"""Lands topics as the Kafka Connect S3 sink does: newline-delimited JSON by wall-clock hour."""

from datetime import UTC, datetime

PREFIX = "bronze/kconnect/topics"


def topic_path(topic: str, flushed_us: int, partition: int, offset: int) -> str:
    """Path of a file whose last record was written just before `flushed_us`."""
    at = datetime.fromtimestamp(flushed_us / 1_000_000 - 1, UTC)
    folder = f"year={at:%Y}/month={at:%m}/day={at:%d}/hour={at:%H}"
    return f"{PREFIX}/{topic}/{folder}/{topic}+{partition}+{offset:010d}.json"

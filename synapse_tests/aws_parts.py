"""Parts of the local Athena that need no Trino: moto and Glue's front, each a real process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from athena_local import aws
from athena_local.parts import start, stop, wait_ready
from athena_local.ports import reserved_ports
from athena_local.stack import glue_part, moto_part

_SECONDS = 120


def client(service: str, url: str) -> Any:
    """boto3's client of a service at a URL; boto3 ships no types."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=aws.REGION,
        aws_access_key_id=aws.ACCESS_KEY,
        aws_secret_access_key=aws.SECRET_KEY,
        config=Config(max_pool_connections=32, retries={"total_max_attempts": 1}),
    )


@contextlib.contextmanager
def moto_and_glue(folder: Path) -> Iterator[tuple[str, str]]:
    """Start both; yields their URLs."""
    with reserved_ports(2, None, folder / "ports") as (moto_port, glue_port):
        moto, glue = f"http://127.0.0.1:{moto_port}", f"http://127.0.0.1:{glue_port}"
        parts = [moto_part(folder, moto_port), glue_part(folder, glue_port, moto_port)]
        running = start(parts, dict(os.environ))
        try:
            wait_ready(running, _SECONDS)
            yield moto, glue
        finally:
            stop(running)

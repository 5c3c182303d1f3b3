"""Starts the bridge: `python -m athena_local.bridge --port P --trino-port T …`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import boto3
import uvicorn
from botocore.config import Config
from starlette.applications import Starlette

from athena_local.bridge.api import application
from athena_local.bridge.executions import Executions
from athena_local.bridge.glue_tables import GlueCatalog
from athena_local.bridge.operations import Operations, Services
from athena_local.bridge.store import Store
from athena_local.bridge.trino_engine import Trino
from athena_local.bridge.workgroups import Workgroups

# As many calls at once as queries may run, and then some for those who poll.
_CONNECTIONS = 60


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="athena_local.bridge", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--trino-host", default="127.0.0.1")
    parser.add_argument("--trino-port", type=int, required=True)
    parser.add_argument("--aws-endpoint", required=True, help="URL of S3")
    parser.add_argument("--glue-endpoint", help="URL of Glue; default: --aws-endpoint")
    parser.add_argument("--state-dir", type=Path, required=True, help="queries and their rows")
    return parser.parse_args(arguments)


def services(options: argparse.Namespace) -> Services:
    """Connect what the operations need."""
    config = Config(
        max_pool_connections=_CONNECTIONS,
        retries={"max_attempts": 3, "mode": "standard"},
        s3={"addressing_style": "path"},
    )
    session = boto3.Session(
        region_name=os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or "us-east-1",
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "testing"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "testing"),
    )
    glue_endpoint = options.glue_endpoint or options.aws_endpoint
    s3 = session.client("s3", endpoint_url=options.aws_endpoint, config=config)
    glue = session.client("glue", endpoint_url=glue_endpoint, config=config)
    store = Store(options.state_dir / "bridge.sqlite")
    return Services(
        store=store,
        executions=Executions(store, options.state_dir / "results", s3),
        workgroups=Workgroups(store),
        trino=Trino(options.trino_host, options.trino_port),
        glue=GlueCatalog(glue),
        s3=s3,
    )


def build(options: argparse.Namespace) -> Starlette:
    """The application over its services."""
    return application(Operations(services(options)))


def main() -> None:
    """Serve until stopped."""
    options = parse()
    uvicorn.run(build(options), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()

"""The account that everything local belongs to: nothing of it opens anything."""

from __future__ import annotations

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "sa-east-1"
ACCESS_KEY = "testing"
SECRET_KEY = "testing"  # pragma: allowlist secret
DATA_BUCKET = "synapse-data"
STAGING_BUCKET = "synapse-athena-staging"


def environment(s3_url: str, glue_url: str, athena_url: str) -> dict[str, str]:
    """What every AWS client, dbt-athena and Synapse read to find the local services."""
    return {
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_ENDPOINT_URL_GLUE": glue_url,
        "AWS_ENDPOINT_URL_ATHENA": athena_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "SYNAPSE_ATHENA_STAGING": f"s3://{STAGING_BUCKET}/results/",
        "SYNAPSE_ATHENA_DATA": f"s3://{DATA_BUCKET}/warehouse/",
    }


def create_buckets(s3_url: str) -> None:
    """Make the buckets that the environment names, where they are not there yet."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}),
    )
    for bucket in (DATA_BUCKET, STAGING_BUCKET):
        try:
            client.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise

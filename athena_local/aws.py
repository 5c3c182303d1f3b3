"""The account that everything local belongs to: nothing of it opens anything."""

from __future__ import annotations

from athena_local.local_http import put

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
    """Make the buckets that the environment names, where they are not there yet.

    Without an AWS client: one reads the profiles of whoever calls, which are not for us.
    """
    scope = f"{ACCESS_KEY}/20200101/{REGION}/s3/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=none",
        "Content-Type": "application/xml",
    }
    body = (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    )
    for bucket in (DATA_BUCKET, STAGING_BUCKET):
        put(f"{s3_url}/{bucket}", body.encode(), headers)

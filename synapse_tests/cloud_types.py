"""Types of CloudFormation that moto does not know, made by the API that moto does know.

moto passes such resources over in silence; so a template could say anything there. Here each is
given to the service's own API over HTTP, whose parameters botocore checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
from moto.core.common_models import CloudFormationModel

Properties = dict[str, Any]
Make = Callable[[Any, Properties], tuple[str, dict[str, str]]]
"""Called with a client and the resolved properties; returns its Ref and its attributes."""


def _workgroup(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.create_work_group(
        Name=given["Name"],
        Description=given["Description"],
        Configuration=_typed(given["WorkGroupConfiguration"]),
    )
    return given["Name"], {}


def _database(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.create_database(DatabaseInput=given["DatabaseInput"])
    return given["DatabaseInput"]["Name"], {}


def _bucket(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    """Moto's own makes a bucket of its name and leaves out most that is said of it."""
    name = given["BucketName"]
    region = {"LocationConstraint": client.meta.region_name}
    client.create_bucket(Bucket=name, CreateBucketConfiguration=region)
    client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration=given["VersioningConfiguration"]
    )
    client.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration=_typed(given["PublicAccessBlockConfiguration"]),
    )
    client.put_bucket_ownership_controls(Bucket=name, OwnershipControls=given["OwnershipControls"])
    (rule,) = given["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = dict(rule["ServerSideEncryptionByDefault"])
    default["KMSMasterKeyID"] = str(default["KMSMasterKeyID"])
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encryption)
    for told in given.get("NotificationConfiguration", {}).get("QueueConfigurations", ()):
        rules = told["Filter"]["S3Key"]["Rules"]
        queue = {
            "QueueArn": told["Queue"],
            "Events": [told["Event"]],
            "Filter": {"Key": {"FilterRules": rules}},
        }
        client.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [queue]}
        )
    return name, {"Arn": f"arn:aws:s3:::{name}"}


def _bucket_policy(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.put_bucket_policy(Bucket=given["Bucket"], Policy=json.dumps(given["PolicyDocument"]))
    return given["Bucket"], {}


def _queue_policy(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    for url in given["Queues"]:
        policy = json.dumps(given["PolicyDocument"])
        client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return "policy", {}


def _topic_policy(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    for arn in given["Topics"]:
        policy = json.dumps(given["PolicyDocument"])
        client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return "policy", {}


def _secret(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    wanted = given["GenerateSecretString"]
    made = client.get_random_password(
        PasswordLength=int(wanted["PasswordLength"]), ExcludePunctuation=True
    )["RandomPassword"]
    if "SecretStringTemplate" in wanted:
        document = json.loads(wanted["SecretStringTemplate"])
        made = json.dumps({**document, wanted["GenerateStringKey"]: made})
    arn = client.create_secret(
        Name=given["Name"], Description=given["Description"], SecretString=made
    )["ARN"]
    return arn, {}


def _group(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.create_schedule_group(Name=given["Name"])
    return given["Name"], {}


def _schedule(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.create_schedule(**_typed(given))
    return given["Name"], {}


def _alarm(client: Any, given: Properties) -> tuple[str, dict[str, str]]:
    client.put_metric_alarm(**_typed(given))
    return given["AlarmName"], {}


_MAKERS: dict[str, tuple[str, Make]] = {
    "AWS::Athena::WorkGroup": ("athena", _workgroup),
    "AWS::Glue::Database": ("glue", _database),
    "AWS::S3::Bucket": ("s3", _bucket),
    "AWS::S3::BucketPolicy": ("s3", _bucket_policy),
    "AWS::SQS::QueuePolicy": ("sqs", _queue_policy),
    "AWS::SNS::TopicPolicy": ("sns", _topic_policy),
    "AWS::SecretsManager::Secret": ("secretsmanager", _secret),
    "AWS::Scheduler::ScheduleGroup": ("scheduler", _group),
    "AWS::Scheduler::Schedule": ("scheduler", _schedule),
    "AWS::CloudWatch::Alarm": ("cloudwatch", _alarm),
}
_NUMBERS = ("BytesScannedCutoffPerQuery",)
_FLAGS = ("true", "false")


def _typed(value: Any, name: str = "") -> Any:
    """CloudFormation takes numbers and flags as text; the API does not."""
    if isinstance(value, dict):
        return {key: _typed(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if name in _NUMBERS:
        return int(value)
    if isinstance(value, str) and value in _FLAGS:
        return value == "true"
    return value


# moto knows classes by weak references.
_CLASSES: list[type[CloudFormationModel]] = []


def register() -> None:
    """Tell moto of these types: it finds the subclasses of its model, and the last of one type."""
    from moto.cloudformation import parsing  # noqa: F401  its own come first

    _CLASSES.extend(_class_of(kind) for kind in _MAKERS)


def _class_of(kind: str) -> type[CloudFormationModel]:
    service, make = _MAKERS[kind]

    class Made(CloudFormationModel):
        """One resource."""

        def __init__(self, reference: str, attributes: dict[str, str]) -> None:
            self.physical_resource_id = reference
            self.attributes = attributes

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return kind

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr == "Arn"

        def get_cfn_attribute(self, attribute_name: str) -> str:
            return self.attributes[attribute_name]

        @classmethod
        def create_from_cloudformation_json(
            cls,
            resource_name: str,  # noqa: ARG003
            cloudformation_json: Any,
            account_id: str,  # noqa: ARG003
            region_name: str,
            **_more: Any,
        ) -> Made:
            url = f"http://127.0.0.1:{os.environ['MOTO_PORT']}"
            call: Any = boto3.client  # boto3 ships no types for a service named at run time
            client = call(service, endpoint_url=url, region_name=region_name)
            return cls(*make(client, cloudformation_json["Properties"]))

    return Made

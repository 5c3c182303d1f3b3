"""Amazon SNS through AWS's own SDK: roles, regions and endpoints as every AWS tool takes them.

apprise has SNS too, but for long-lived keys only.
"""

from __future__ import annotations

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from synapse.alerts.model import Sns
from synapse.alerts.notice import Notice
from synapse.alerts.sender import NotSentError, Patience

_SUBJECT_CHARACTERS = 99
_REFUSED = range(400, 429)


class SnsSender:
    """Publishes to a topic."""

    def __init__(self, channel: Sns, patience: Patience) -> None:
        self._arn = channel.topic_arn
        self._config = Config(
            connect_timeout=patience.answer_seconds,
            read_timeout=patience.answer_seconds,
            retries={"total_max_attempts": 1},
        )

    def send(self, notice: Notice) -> None:
        """See Sender."""
        # ASCII without line breaks, at most 100 characters: SNS refuses any other subject.
        subject = notice.title.encode("ascii", "replace").decode().replace("\n", " ")
        try:
            region = self._arn.split(":")[3]
            boto3.client("sns", region_name=region, config=self._config).publish(
                TopicArn=self._arn,
                Subject=subject[:_SUBJECT_CHARACTERS],
                Message=f"{notice.title}\n{notice.body}",
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in {
                        "rule": notice.rule,
                        "severity": notice.severity.value,
                        "kind": notice.kind.value,
                        "key": notice.key,
                    }.items()
                },
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "an error")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            raise NotSentError(
                f"it answered {code}", is_worth_repeating=status not in _REFUSED
            ) from error
        except BotoCoreError as error:
            # No credentials, no region, no connection: named by their class, which holds no value.
            raise NotSentError(f"it cannot be asked ({type(error).__name__})") from error

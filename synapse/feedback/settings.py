"""Whom to tell about quarantine: the SYNAPSE_FEEDBACK_* environment, checked once."""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from synapse.errors import SynapseError

WEBHOOK = "SYNAPSE_FEEDBACK_WEBHOOK"
TOKEN = "SYNAPSE_FEEDBACK_TOKEN"
KAFKA = "SYNAPSE_FEEDBACK_KAFKA"
TOPIC = "SYNAPSE_FEEDBACK_TOPIC"
DEFAULT_TOPIC = "synapse-quarantine"
# Standard Webhooks: a secret is base64 of 24 to 64 bytes behind this prefix.
SECRET_PREFIX = "whsec_"  # pragma: allowlist secret
_SECRET_BYTES = range(24, 65)
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_HEADER_TEXT = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class FeedbackSettings:
    """Whom to tell.

    webhook: URL. token: sent as a bearer token, or a secret whsec_… to sign requests with. kafka:
    brokers as host:port, apart by commas.
    """

    webhook: str | None = None
    token: str | None = None
    kafka: str | None = None
    topic: str = DEFAULT_TOPIC

    @classmethod
    def load(cls) -> FeedbackSettings:
        """From the environment. Raises SynapseError that names the setting that cannot work.

        No message repeats a token or an address: either may be a secret.
        """
        webhook, token = os.environ.get(WEBHOOK) or None, os.environ.get(TOKEN) or None
        kafka, topic = os.environ.get(KAFKA) or None, os.environ.get(TOPIC) or None
        if token is not None and webhook is None:
            raise SynapseError(f"{TOKEN} is set but {WEBHOOK} is not; set both, or neither.")
        if topic is not None and kafka is None:
            raise SynapseError(f"{TOPIC} is set but {KAFKA} is not; set both, or neither.")
        if webhook is not None:
            _check_url(webhook)
        if token is not None:
            _check_token(token)
        if kafka is not None:
            _check_brokers(kafka)
        if topic is not None and (not _TOPIC_NAME.fullmatch(topic) or topic in (".", "..")):
            raise SynapseError(
                f"{TOPIC} is {topic!r}, which is no name of a Kafka topic: letters, digits, "
                "'.', '_' and '-', at most 249 of them."
            )
        return cls(webhook, token, kafka, topic or DEFAULT_TOPIC)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_usable = is_usable and parts.port != 0 and _HEADER_TEXT.fullmatch(url) is not None
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SynapseError(
            f"{WEBHOOK} is no http or https URL: write it like https://example.com/quarantine."
        )
    if parts.username is not None:
        raise SynapseError(f"{WEBHOOK} holds a user or password: put a token into {TOKEN}.")


def _check_token(token: str) -> None:
    if not _HEADER_TEXT.fullmatch(token):
        raise SynapseError(f"{TOKEN} holds blanks or other characters that no header can carry.")
    if token.startswith(SECRET_PREFIX):
        try:
            size = len(secret_bytes(token))
        except binascii.Error:
            size = 0
        if size not in _SECRET_BYTES:
            raise SynapseError(
                f"{TOKEN} begins with {SECRET_PREFIX}, but what follows is no base64 of 24 to 64 "
                "bytes. Make one by: openssl rand -base64 32"
            )


def secret_bytes(token: str) -> bytes:
    """The key of a whsec_… secret. Raises binascii.Error for anything but base64."""
    return base64.b64decode(token.removeprefix(SECRET_PREFIX), validate=True)


def _check_brokers(brokers: str) -> None:
    for broker in brokers.split(","):
        found = _BROKER.fullmatch(broker.strip())
        if found is None or not 0 < int(found[2]) < 65_536:
            raise SynapseError(
                f"{KAFKA} is {brokers!r}; give brokers as host:port, several apart by commas."
            )
    try:
        import_module("confluent_kafka")
    except ImportError as error:
        raise SynapseError(
            f"{KAFKA} is set, but Kafka's client is not installed: "
            "pip install 'synapse-lakehouse[kafka]', or unset it."
        ) from error

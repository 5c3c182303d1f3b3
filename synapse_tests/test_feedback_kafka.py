"""The Kafka channel against librdkafka's own broker, which speaks the protocol over TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from synapse.feedback.channel import Patience
from synapse.feedback.service import BATCH
from synapse_tests.feedback_receiver import feedback_to, quarantine, receiving

TOPIC = "synapse-quarantine"


@pytest.fixture
def brokers() -> Iterator[str]:
    """A cluster that lives as long as this producer, as host:port."""
    owner = Producer({"test.mock.num.brokers": 3, "log_level": 0})
    found = owner.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    owner.flush(0)


def read_back(brokers: str, topic: str) -> list[Message]:
    """Everything on a topic, by a consumer of its own."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "test", "enable.partition.eof": True}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, ended = [], 0
        while ended < len(partitions):
            message = consumer.poll(10)
            assert message is not None, "the broker stopped answering"
            if message.error() is not None:
                ended += 1
            else:
                found.append(message)
        return found
    finally:
        consumer.close()


def test_each_entry_is_one_record_under_its_source(brokers: str, tmp_path: Path) -> None:
    count = BATCH + 3
    state = quarantine(tmp_path, count)
    feedback = feedback_to(tmp_path, kafka=brokers)
    assert feedback.tell(state) == []
    assert feedback.tell(state) == []
    messages = read_back(brokers, TOPIC)
    events = []
    for message in messages:
        value, key, headers = message.value(), message.key(), message.headers()
        assert value is not None
        assert key is not None
        assert isinstance(headers, list)
        content = {name: data for name, data in headers if isinstance(data, bytes)}
        cloud = from_kafka(KafkaMessage(content, key, value), JSONFormat())
        data = cloud.get_data()
        assert isinstance(data, dict)
        assert key.decode() == data["source"]
        events.append(cloud)
    assert len({cloud.get_id() for cloud in events}) == len(events) == count
    assert b"maria@example.com" not in b"".join(message.value() or b"" for message in messages)


def test_another_topic_can_be_named(brokers: str, tmp_path: Path) -> None:
    state = quarantine(tmp_path, 1)
    assert feedback_to(tmp_path, kafka=brokers, topic="told.here").tell(state) == []
    assert len(read_back(brokers, "told.here")) == 1


def test_no_broker_is_a_notice_and_the_webhook_is_told_all_the_same(
    brokers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = quarantine(tmp_path, 3)
    with socket.socket() as unused, receiving() as receiver:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        # Short for who waits in vain, long enough for the webhook on a busy machine.
        briefly = Patience(answer_seconds=5)
        both = feedback_to(tmp_path, briefly, webhook=receiver.url, kafka=nobody)
        (notice,) = both.tell(state)
        assert "3 quarantine entries have not been told to the Kafka topic" in notice
        assert len(receiver.ids) == 3
        assert feedback_to(tmp_path, webhook=receiver.url, kafka=brokers).tell(state) == []
        assert len(receiver.ids) == 3
    assert len(read_back(brokers, TOPIC)) == 3

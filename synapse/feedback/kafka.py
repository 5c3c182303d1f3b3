"""Telling by Kafka topic: one record an entry, a CloudEvent in structured mode, key = source."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from synapse.feedback.channel import Answer, Patience
from synapse.feedback.event import Event

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"


class KafkaTopic:
    """Produces to one topic; a record counts as told once every in-sync replica has it."""

    name = "kafka"

    def __init__(self, brokers: str, topic: str, patience: Patience) -> None:
        self.where = f"the Kafka topic {topic}"
        self._topic = topic
        self._seconds = patience.answer_seconds
        self._error: str | None = None
        silent = logging.getLogger("synapse.feedback.kafka")
        silent.addHandler(logging.NullHandler())
        silent.propagate = False
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": "synapse-feedback",
                "enable.idempotence": True,  # retries neither repeat nor reorder; implies acks=all
                "delivery.timeout.ms": int(self._seconds * 1000),
                "linger.ms": 5,
                "error_cb": self._on_error,
            },
            # What goes wrong is said in the notice, not on the terminal.
            logger=silent,
        )

    def deliver(self, events: Sequence[Event], seconds: float) -> Answer:
        """Produce, and wait for the acknowledgement of each."""
        taken: list[Event] = []
        failed: list[str] = []
        try:
            for event in events:
                self._producer.produce(
                    self._topic,
                    event.body,
                    key=event.key,
                    headers=[("content-type", CONTENT_TYPE.encode())],
                    on_delivery=partial(_note, event, taken, failed),
                )
        except (BufferError, KafkaException) as error:
            failed.append(str(error))
        self._producer.flush(min(self._seconds, seconds) + 0.5)
        if len(taken) == len(events):
            return Answer(taken)
        self._producer.purge()
        self._producer.flush(1)
        reason = self._error or next(iter(failed), "no acknowledgement in time")
        return Answer(taken, reason, is_down=True)

    def close(self) -> None:
        """Nothing is left in the queue: deliver waits for it, or purges it."""
        self._producer.flush(0)

    def _on_error(self, error: KafkaError) -> None:
        self._error = error.str()


def _note(
    event: Event, taken: list[Event], failed: list[str], error: KafkaError | None, _: Message
) -> None:
    if error is None:
        taken.append(event)
    else:
        failed.append(error.str())

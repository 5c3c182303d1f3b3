"""Telling producers what became of what they sent: a webhook, a Kafka topic, or both."""

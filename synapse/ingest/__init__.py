"""What lands becomes what is accepted: checks, consolidation, quarantine, ledger and manifest."""

DMS_ROOT = "bronze/dms"
"""Where DMS lands tables, below the lake."""
TOPICS_ROOT = "bronze/kconnect/topics"
"""Where Kafka Connect lands topics, below the lake."""

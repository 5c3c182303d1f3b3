"""A simulated chat product that lands as DMS, Debezium and Kafka Connect would land it."""

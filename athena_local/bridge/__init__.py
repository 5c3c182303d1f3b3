"""Amazon Athena's HTTP API over a real Trino: the part that an Athena client talks to."""

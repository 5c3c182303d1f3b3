"""Athena on a laptop: the API of Amazon Athena over a real Trino, with S3 and Glue beside it."""

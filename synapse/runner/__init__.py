"""One scheduled run: ingest, context, dbt, ledger."""

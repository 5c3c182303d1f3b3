"""`synapse doctor --dms`: what an AWS DMS set-up will do to ingest, said before any data lands."""

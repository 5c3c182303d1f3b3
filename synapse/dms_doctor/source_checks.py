"""What the engine of the source means for the changes that land."""

from __future__ import annotations

from collections.abc import Iterator

from synapse.dms_doctor.documents import Endpoint
from synapse.dms_doctor.findings import Finding, Severity

_MYSQL = ("mysql", "mariadb", "aurora")
_POSTGRES = ("postgres", "aurora-postgresql")


def check_source(endpoint: Endpoint) -> Iterator[Finding]:
    """Facts of MySQL and PostgreSQL as sources that no setting of the task shows."""
    engine = endpoint.block.setting("EngineName")
    if endpoint.engine in _MYSQL:
        yield Finding(
            "source_mysql",
            Severity.info,
            endpoint.subject,
            engine.path,
            endpoint.engine,
            "DMS needs row images that are whole: with any other binlog_row_image, columns that an "
            "update did not touch land as NULL. The binary log tells commit times in whole "
            "seconds, so that only the sequence orders what happens within one.",
            "binlog_format = ROW and binlog_row_image = FULL in the source's parameter group",
        )
    if endpoint.engine in _POSTGRES:
        yield Finding(
            "source_postgres",
            Severity.info,
            endpoint.subject,
            engine.path,
            endpoint.engine,
            "DMS ignores updates of a primary key, updates and deletes of a table without one, and "
            "TRUNCATE; a delete carries the key only, unless the table's replica identity is full; "
            "booleans land as text, which ingest converts in a copy.",
            "ALTER TABLE … REPLICA IDENTITY FULL for tables without a key; after a TRUNCATE or a "
            "changed key, reload the table",
        )
        ddl = endpoint.block.block("PostgreSQLSettings").over(endpoint.extra).setting("CaptureDdls")
        if not ddl.flag(default=True):
            yield Finding(
                "postgres_ddl",
                Severity.warning,
                endpoint.subject,
                ddl.path,
                ddl.shown(""),
                "DMS does not notice new and changed columns: they do not land until the table is "
                "reloaded, and ingest cannot report the drift.",
                "CaptureDdls = true (its trigger and table must exist on the source)",
            )

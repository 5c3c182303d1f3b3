"""OPTIMIZE and VACUUM of Iceberg tables.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-data-optimization.html
"""

from __future__ import annotations

from athena_local.bridge.context import QueryContext
from athena_local.bridge.ctas import ICEBERG, property_map
from athena_local.bridge.errors import QueryFailedError
from athena_local.bridge.glue_tables import is_iceberg
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import Statement

# Athena's default; one snapshot is always kept.
_SNAPSHOT_AGE_SECONDS = 432_000
_ICEBERG_KEEP = "history.expire.min-snapshots-to-keep"


def optimize(statement: Statement, context: QueryContext) -> None:
    """OPTIMIZE table REWRITE DATA USING BIN_PACK [WHERE …]: compaction."""
    reader = Reader(statement)
    reader.expect("OPTIMIZE")
    name = reader.table(context.database)
    for word in ("REWRITE", "DATA", "USING", "BIN_PACK"):
        reader.expect(word)
    if not reader.finished and not reader.next_is("WHERE"):
        raise reader.error("'WHERE', <EOF>")
    _check(name, context)
    arguments = ""
    smallest = _properties(name, context).get("optimize_rewrite_min_data_file_size_bytes")
    if smallest is not None:
        arguments = f"(file_size_threshold => '{int(smallest)}B')"
    context.run(
        f"ALTER TABLE {name.in_catalog(ICEBERG)} EXECUTE optimize{arguments} {reader.rest()}",
        catalog=ICEBERG,
    )


def vacuum(statement: Statement, context: QueryContext) -> None:
    """VACUUM table: old snapshots go, then files that no snapshot knows."""
    reader = Reader(statement)
    reader.expect("VACUUM")
    name = reader.table(context.database)
    reader.end()
    _check(name, context)
    properties = _properties(name, context)
    age = int(properties.get("vacuum_max_snapshot_age_seconds", _SNAPSHOT_AGE_SECONDS))
    _keep_at_least(name, context, properties)
    table = name.in_catalog(ICEBERG)
    for procedure in ("expire_snapshots", "remove_orphan_files"):
        context.run(
            f"ALTER TABLE {table} EXECUTE {procedure}(retention_threshold => '{age}s')",
            catalog=ICEBERG,
        )


def _check(name: TableName, context: QueryContext) -> None:
    if not is_iceberg(context.glue.table(name)):
        raise QueryFailedError(
            f"NOT_SUPPORTED: Table {name} is not an Iceberg table: OPTIMIZE and VACUUM need one"
        )


def _suffixed(name: TableName, suffix: str) -> str:
    return TableName(name.database, f"{name.table}${suffix}").in_catalog(ICEBERG)


def _properties(name: TableName, context: QueryContext) -> dict[str, str]:
    answer = context.run(f"SELECT key, value FROM {_suffixed(name, 'properties')}")
    return {row[0]: row[1] for row in answer.rows}


def _keep_at_least(name: TableName, context: QueryContext, properties: dict[str, str]) -> None:
    """Tell Iceberg how many snapshots stay whatever their age: its own property does that."""
    keep = properties.get("vacuum_min_snapshots_to_keep")
    if keep is None or properties.get(_ICEBERG_KEEP) == keep:
        return
    context.run(
        f"ALTER TABLE {name.in_catalog(ICEBERG)} SET PROPERTIES extra_properties = "
        f"{property_map({_ICEBERG_KEEP: str(int(keep))})}",
        catalog=ICEBERG,
    )

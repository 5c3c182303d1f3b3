"""OPTIMIZE and VACUUM of Iceberg tables.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-data-optimization.html
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from athena_local.bridge.context import QueryContext
from athena_local.bridge.ctas import ICEBERG
from athena_local.bridge.errors import QueryFailedError
from athena_local.bridge.glue_tables import is_iceberg
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import Statement

# Athena's defaults.
_SNAPSHOT_AGE_SECONDS = 432_000
_SNAPSHOTS_TO_KEEP = 1


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
    keep = int(properties.get("vacuum_min_snapshots_to_keep", _SNAPSHOTS_TO_KEEP))
    threshold = max(age, _age_of_snapshot(name, context, keep))
    table = name.in_catalog(ICEBERG)
    for procedure, seconds in (("expire_snapshots", threshold), ("remove_orphan_files", age)):
        context.run(
            f"ALTER TABLE {table} EXECUTE {procedure}(retention_threshold => '{seconds}s')",
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


def _age_of_snapshot(name: TableName, context: QueryContext, keep: int) -> int:
    """Seconds since the `keep`-th newest snapshot, rounded up: what is younger stays."""
    if keep <= 1:
        return 0
    answer = context.run(
        f"SELECT to_unixtime(committed_at) FROM {_suffixed(name, 'snapshots')} "
        f"ORDER BY 1 DESC LIMIT {keep}"
    )
    if not answer.rows:
        return 0
    return math.ceil(datetime.now(UTC).timestamp() - float(answer.rows[-1][0])) + 1

"""CREATE VIEW: Trino writes the definition that Athena reads; Glue's columns are completed."""

from __future__ import annotations

from athena_local.bridge.column_types import hive_type
from athena_local.bridge.context import QueryContext
from athena_local.bridge.glue_tables import view_definition
from athena_local.bridge.names import Reader
from athena_local.bridge.statements import Statement


def create(statement: Statement, context: QueryContext) -> None:
    """CREATE [OR REPLACE] VIEW.

    Athena registers a view's columns in Glue, where dbt reads them; Trino registers a dummy.
    """
    reader = Reader(statement)
    reader.expect("CREATE")
    reader.accept("OR", "REPLACE")
    reader.expect("VIEW")
    name = reader.table(context.database)
    context.run(statement.text)
    table = context.glue.table(name)
    columns = [
        {"Name": one["name"], "Type": hive_type(one["type"])}
        for one in view_definition(table).get("columns", [])
    ]
    storage = {**table.get("StorageDescriptor", {}), "Columns": columns}
    context.glue.replace(table, {"StorageDescriptor": storage})

"""Reads Athena's DDL, which follows Hive's grammar.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

from __future__ import annotations

from collections.abc import Callable

from athena_local.bridge import ddl_model as ddl
from athena_local.bridge.column_types import check_hive_type
from athena_local.bridge.create_table_reader import (
    column_list,
    column_type,
    create_table,
    properties,
)
from athena_local.bridge.errors import unsupported
from athena_local.bridge.names import Reader, TableName
from athena_local.bridge.statements import Statement, StatementKind


def read(statement: Statement, database: str) -> ddl.Ddl:
    """Read one DDL statement; `database` is where names without one belong.

    Raises:
        ApiError: it does not follow the grammar.
    """
    reader = Reader(statement)
    found = _READERS[statement.kind](reader, database)
    reader.end()
    return found


def _create_database(reader: Reader, _: str) -> ddl.CreateDatabase:
    reader.at += 2
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    made = ddl.CreateDatabase(_database_name(reader), if_not_exists)
    if reader.accept("COMMENT"):
        made.comment = reader.string()
    if reader.accept("LOCATION"):
        made.location = reader.string()
    if reader.accept("WITH", "DBPROPERTIES"):
        made.properties = properties(reader)
    return made


def _database_name(reader: Reader) -> str:
    name = reader.identifier()
    # `awsdatacatalog`.`name`
    return reader.identifier() if reader.accept_symbol(".") else name


def _drop_database(reader: Reader, _: str) -> ddl.DropDatabase:
    reader.at += 2
    if_exists = reader.accept("IF", "EXISTS")
    name = _database_name(reader)
    cascade = reader.accept("CASCADE")
    if not cascade:
        reader.accept("RESTRICT")
    return ddl.DropDatabase(name, if_exists, cascade)


def _alter_database(reader: Reader, _: str) -> ddl.AlterDatabase:
    reader.at += 2
    name = _database_name(reader)
    reader.expect("SET", "DBPROPERTIES")
    return ddl.AlterDatabase(name, properties(reader))


def _drop_table(reader: Reader, database: str) -> ddl.DropTable:
    reader.expect("DROP", "TABLE")
    if_exists = reader.accept("IF", "EXISTS")
    return ddl.DropTable(reader.table(database), if_exists)


def _partition_spec(reader: Reader) -> dict[str, str]:
    return reader.pairs(reader.identifier, reader.literal)


def _alter_table(reader: Reader, database: str) -> ddl.Alteration:
    reader.expect("ALTER", "TABLE")
    name = reader.table(database)
    if reader.accept("ADD"):
        return _add(reader, name)
    if reader.accept("REPLACE", "COLUMNS"):
        return ddl.ReplaceColumns(name, column_list(reader))
    if reader.accept("DROP"):
        return _drop(reader, name)
    if reader.accept("CHANGE"):
        return _change(reader, name)
    if reader.accept("RENAME", "TO"):
        return ddl.RenameTable(name, reader.table(name.database))
    if reader.accept("SET", "TBLPROPERTIES"):
        return ddl.SetProperties(name, properties(reader))
    if reader.accept("UNSET", "TBLPROPERTIES"):
        reader.expect_symbol("(")
        keys = [reader.string()]
        while reader.accept_symbol(","):
            keys.append(reader.string())
        reader.expect_symbol(")")
        return ddl.UnsetProperties(name, keys)
    if reader.accept("SET", "LOCATION"):
        return ddl.SetLocation(name, None, reader.string())
    if reader.accept("PARTITION"):
        spec = _partition_spec(reader)
        if reader.accept("RENAME", "TO", "PARTITION"):
            return ddl.RenamePartition(name, spec, _partition_spec(reader))
        reader.expect("SET", "LOCATION")
        return ddl.SetLocation(name, spec, reader.string())
    token = reader.peek()
    raise unsupported(f"ALTER TABLE … {token.text if token else ''}")


def _add(reader: Reader, name: TableName) -> ddl.AddColumns | ddl.AddPartitions:
    if reader.accept("COLUMNS"):
        return ddl.AddColumns(name, column_list(reader))
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    partitions: list[tuple[dict[str, str], str | None]] = []
    while reader.accept("PARTITION"):
        spec = _partition_spec(reader)
        partitions.append((spec, reader.string() if reader.accept("LOCATION") else None))
        reader.accept_symbol(",")
    if not partitions:
        raise reader.error("'COLUMNS', 'PARTITION'")
    return ddl.AddPartitions(name, if_not_exists, partitions)


def _drop(reader: Reader, name: TableName) -> ddl.DropColumn | ddl.DropPartitions:
    if reader.accept("COLUMN"):
        return ddl.DropColumn(name, reader.identifier())
    if_exists = reader.accept("IF", "EXISTS")
    partitions = []
    while reader.accept("PARTITION"):
        partitions.append(_partition_spec(reader))
        reader.accept_symbol(",")
    if not partitions:
        raise reader.error("'COLUMN', 'PARTITION'")
    return ddl.DropPartitions(name, if_exists, partitions)


def _change(reader: Reader, name: TableName) -> ddl.ChangeColumn:
    reader.accept("COLUMN")
    old = reader.identifier()
    changed = ddl.ColumnDef(reader.identifier(), check_hive_type(column_type(reader)))
    comment = reader.string() if reader.accept("COMMENT") else None
    change = ddl.ChangeColumn(name, old, ddl.ColumnDef(changed.name, changed.type, comment))
    change.first = reader.accept("FIRST")
    if reader.accept("AFTER"):
        change.after = reader.identifier()
    return change


def _repair(reader: Reader, database: str) -> ddl.RepairTable:
    reader.expect("MSCK", "REPAIR")
    reader.accept("TABLE")
    return ddl.RepairTable(reader.table(database))


def _show(reader: Reader, database: str) -> ddl.ShowList | ddl.ShowTable:
    reader.expect("SHOW")
    if reader.accept("DATABASES") or reader.accept("SCHEMAS"):
        return ddl.ShowList("DATABASES", pattern=_pattern(reader))
    for what in ("TABLES", "VIEWS"):
        if reader.accept(what):
            found = ddl.ShowList(what, database)
            if reader.accept("IN") or reader.accept("FROM"):
                found.database = _database_name(reader)
            found.pattern = _pattern(reader)
            return found
    if reader.accept("COLUMNS"):
        if not (reader.accept("IN") or reader.accept("FROM")):
            raise reader.error("'FROM', 'IN'")
        name = reader.table(database)
        if reader.accept("IN") or reader.accept("FROM"):
            name = TableName(_database_name(reader), name.table)
        return ddl.ShowTable("COLUMNS", name)
    if reader.accept("PARTITIONS"):
        return ddl.ShowTable("PARTITIONS", reader.table(database))
    if reader.accept("TBLPROPERTIES"):
        shown = ddl.ShowTable("TBLPROPERTIES", reader.table(database))
        if reader.accept_symbol("("):
            shown.key = reader.string()
            reader.expect_symbol(")")
        return shown
    for what in ("TABLE", "VIEW"):
        if reader.accept("CREATE", what):
            return ddl.ShowTable(f"CREATE {what}", reader.table(database))
    token = reader.peek()
    raise unsupported(f"SHOW {token.text.upper() if token else ''}")


def _pattern(reader: Reader) -> str | None:
    reader.accept("LIKE")
    return None if reader.finished else reader.string()


def _describe(reader: Reader, database: str) -> ddl.Describe:
    reader.at += 1
    extended = reader.accept("EXTENDED") or reader.accept("FORMATTED")
    reader.accept("TABLE")
    return ddl.Describe(reader.table(database), extended)


_READERS: dict[StatementKind, Callable[[Reader, str], ddl.Ddl]] = {
    StatementKind.CREATE_DATABASE: _create_database,
    StatementKind.DROP_DATABASE: _drop_database,
    StatementKind.ALTER_DATABASE: _alter_database,
    StatementKind.CREATE_TABLE: create_table,
    StatementKind.DROP_TABLE: _drop_table,
    StatementKind.ALTER_TABLE: _alter_table,
    StatementKind.MSCK: _repair,
    StatementKind.SHOW: _show,
    StatementKind.DESCRIBE: _describe,
}

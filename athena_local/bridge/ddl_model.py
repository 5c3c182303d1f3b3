"""What Athena's DDL statements say, read from their text."""

from __future__ import annotations

from dataclasses import dataclass, field

from athena_local.bridge.names import TableName


@dataclass(frozen=True)
class ColumnDef:
    """A column: its type in Hive's words."""

    name: str
    type: str
    comment: str | None = None

    def for_glue(self) -> dict[str, str]:
        """The column as Glue takes it."""
        out = {"Name": self.name, "Type": self.type}
        return out if self.comment is None else {**out, "Comment": self.comment}


@dataclass
class CreateDatabase:
    """CREATE DATABASE."""

    name: str
    if_not_exists: bool
    comment: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass
class DropDatabase:
    """DROP DATABASE."""

    name: str
    if_exists: bool
    cascade: bool


@dataclass
class AlterDatabase:
    """ALTER DATABASE … SET DBPROPERTIES."""

    name: str
    properties: dict[str, str]


@dataclass
class CreateTable:
    """CREATE [EXTERNAL] TABLE: Hive's, and Iceberg's when the properties say so."""

    name: TableName
    external: bool
    if_not_exists: bool
    columns: list[ColumnDef] = field(default_factory=list)
    partitions: list[ColumnDef] = field(default_factory=list)
    transforms: list[str] = field(default_factory=list)
    comment: str | None = None
    bucketed_by: list[str] = field(default_factory=list)
    bucket_count: int = 0
    serde: str | None = None
    serde_properties: dict[str, str] = field(default_factory=dict)
    stored_as: str | None = None
    input_format: str | None = None
    output_format: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def is_iceberg(self) -> bool:
        """Whether the table is Iceberg's."""
        return self.properties.get("table_type", "").upper() == "ICEBERG"


@dataclass
class DropTable:
    """DROP TABLE."""

    name: TableName
    if_exists: bool


@dataclass
class AddColumns:
    """ALTER TABLE … ADD COLUMNS."""

    name: TableName
    columns: list[ColumnDef]


@dataclass
class ReplaceColumns:
    """ALTER TABLE … REPLACE COLUMNS."""

    name: TableName
    columns: list[ColumnDef]


@dataclass
class DropColumn:
    """ALTER TABLE … DROP COLUMN."""

    name: TableName
    column: str


@dataclass
class ChangeColumn:
    """ALTER TABLE … CHANGE COLUMN: a new name, a new type, a comment, a place."""

    name: TableName
    column: str
    changed: ColumnDef
    first: bool = False
    after: str | None = None


@dataclass
class SetProperties:
    """ALTER TABLE … SET TBLPROPERTIES."""

    name: TableName
    properties: dict[str, str]


@dataclass
class UnsetProperties:
    """ALTER TABLE … UNSET TBLPROPERTIES."""

    name: TableName
    keys: list[str]


@dataclass
class RenameTable:
    """ALTER TABLE … RENAME TO: Iceberg's only."""

    name: TableName
    target: TableName


@dataclass
class SetLocation:
    """ALTER TABLE … [PARTITION …] SET LOCATION."""

    name: TableName
    partition: dict[str, str] | None
    location: str


@dataclass
class AddPartitions:
    """ALTER TABLE … ADD PARTITION."""

    name: TableName
    if_not_exists: bool
    partitions: list[tuple[dict[str, str], str | None]]


@dataclass
class DropPartitions:
    """ALTER TABLE … DROP PARTITION."""

    name: TableName
    if_exists: bool
    partitions: list[dict[str, str]]


@dataclass
class RenamePartition:
    """ALTER TABLE … PARTITION … RENAME TO PARTITION …."""

    name: TableName
    partition: dict[str, str]
    target: dict[str, str]


@dataclass
class RepairTable:
    """MSCK REPAIR TABLE."""

    name: TableName


@dataclass
class ShowList:
    """SHOW DATABASES, TABLES or VIEWS, perhaps only those that fit a pattern."""

    what: str
    database: str | None = None
    pattern: str | None = None


@dataclass
class ShowTable:
    """SHOW COLUMNS, PARTITIONS, TBLPROPERTIES, CREATE TABLE or CREATE VIEW of one table."""

    what: str
    name: TableName
    key: str | None = None


@dataclass
class Describe:
    """DESCRIBE."""

    name: TableName
    extended: bool = False


Alteration = (
    AddColumns
    | ReplaceColumns
    | DropColumn
    | ChangeColumn
    | SetProperties
    | UnsetProperties
    | RenameTable
    | SetLocation
    | AddPartitions
    | DropPartitions
    | RenamePartition
)
Ddl = (
    CreateDatabase
    | DropDatabase
    | AlterDatabase
    | CreateTable
    | DropTable
    | Alteration
    | RepairTable
    | ShowList
    | ShowTable
    | Describe
)

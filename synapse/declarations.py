"""The sources that the dbt project declares (models/bronze/*.yml), as frozen dataclasses.

dbt renders base models from the same YAML, so what ingest checks and what silver reads is one text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from synapse.errors import SynapseError

# What a deployment puts in front of a schema.
_JINJA = re.compile(r"\{\{.*?\}\}")
_DECIMAL = re.compile(r"decimal\(([0-9]{1,2}),\s*([0-9]{1,2})\)")
_PLAIN_TYPES = {
    "bigint",
    "integer",
    "varchar",
    "timestamp",
    "date",
    "boolean",
    "double",
}


@dataclass(frozen=True)
class Column:
    """A declared column.

    data_type: bigint, integer, varchar, timestamp, date, boolean, double or decimal(p,s), in lower
    case without blanks.
    """

    name: str
    data_type: str

    @property
    def is_inexact(self) -> bool:
        """Whether equal values may differ."""
        return self.data_type == "double"

    @property
    def decimal(self) -> tuple[int, int] | None:
        """(precision, scale) of a decimal column, else None."""
        found = _DECIMAL.fullmatch(self.data_type)
        return (int(found[1]), int(found[2])) if found else None


def moments_of(columns: Iterable[Column]) -> list[str]:
    """Names of the columns that hold moments."""
    return [column.name for column in columns if column.data_type == "timestamp"]


@dataclass(frozen=True)
class DmsTable:
    """A CDC table, landed by DMS under bronze/dms/<prefix> or by Debezium on cdc.<schema>.<name>.

    prefixes: folders below bronze/dms; the first is <schema>/<name>. A LOAD set under another one
    than the last is a reload (CONTRACT 1.1). reload_at: epoch number (as text) or prefix -> its
    instant (naive UTC), for loads that carry no transfer time. dataset: schema of the dbt source,
    without what a deployment puts in front.
    late_after: dbt's freshness.warn_after, None where nothing is too old.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sequence: bool
    op_column: str = "Op"
    commit_column: str = "dms_committed_at"
    sequence_column: str = "dms_change_seq"
    prefixes: tuple[str, ...] = ()
    reload_at: Mapping[str, datetime] = field(default_factory=dict, compare=False)
    dataset: str = ""
    late_after: timedelta | None = field(default=None, compare=False)

    @property
    def source(self) -> str:
        """Name in the manifest and in every count."""
        return f"dms.{self.schema}.{self.name}"

    @property
    def topic(self) -> str:
        """Kafka topic on which Debezium would deliver the table."""
        return f"cdc.{self.schema}.{self.name}"

    @property
    def landed_columns(self) -> tuple[Column, ...]:
        """What a file of changes may carry: Op, commit time, sequence, the declared, BI_<key>."""
        return (
            Column(self.op_column, "varchar"),
            Column(self.commit_column, "varchar"),
            Column(self.sequence_column, "varchar"),
            *self.columns,
            *(Column(f"BI_{key}", self.column(key).data_type) for key in self.key),
        )

    @property
    def moments(self) -> tuple[str, ...]:
        """Columns of a file that may hold moments: declared ones, before images, commit time."""
        return (*moments_of(self.landed_columns), self.commit_column)

    def column(self, name: str) -> Column:
        """The declared column of that name."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Topic:
    """A Kafka topic landed by the Connect S3 sink.

    table: name of its dbt source table; dataset, late_after: see DmsTable.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    dataset: str = ""
    late_after: timedelta | None = field(default=None, compare=False)

    @property
    def source(self) -> str:
        """Name in the manifest and in every count."""
        return f"kconnect.{self.name}"


@dataclass(frozen=True)
class Declarations:
    """Everything declared in a project, by folder below bronze/dms and by topic."""

    tables: tuple[DmsTable, ...]
    topics: tuple[Topic, ...]

    @property
    def late_after(self) -> dict[str, timedelta]:
        """After how long without anything new a source is late, by its name; not all say."""
        declared: list[DmsTable | Topic] = [*self.tables, *self.topics]
        return {each.source: each.late_after for each in declared if each.late_after is not None}

    def table_of(self, source: str) -> DmsTable | None:
        """The table with that source name."""
        return next((table for table in self.tables if table.source == source), None)

    def topic_of(self, source: str) -> Topic | None:
        """The topic with that source name."""
        return next((topic for topic in self.topics if topic.source == source), None)


def load_declarations(project_dir: Path) -> Declarations:
    """Read models/bronze/*.yml below project_dir.

    Raises SynapseError that names the file and the entry for anything that cannot work.
    """
    folder = project_dir / "models" / "bronze"
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not files:
        raise SynapseError(
            f"No source declarations in {folder}: a Synapse project declares what lands in "
            "models/bronze/*.yml. Is --project-dir right?"
        )
    tables: list[DmsTable] = []
    topics: list[Topic] = []
    for file in files:
        for source in _mapping_list(_parse(file), "sources", f"{file}"):
            _read_source(file, source, tables, topics)
    _refuse_twins(tables, topics, folder)
    return Declarations(tuple(tables), tuple(topics))


def _parse(file: Path) -> dict[str, Any]:
    # Late: processes that read small files are handed what has been parsed.
    import yaml

    # libyaml does in 6 ms what takes Python 70; not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), loader)
    except yaml.YAMLError as error:
        raise SynapseError(f"{file} is not valid YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SynapseError(f"{file}: the top level must be a mapping with `sources:`.")
    return document


def _mapping_list(parent: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    entries = parent.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SynapseError(f"{where}: `{name}` must be a list of mappings.")
    return entries


def _meta(entry: dict[str, Any], where: str) -> dict[str, Any]:
    config = entry.get("config") or {}
    meta = config.get("meta") or {} if isinstance(config, dict) else None
    if not isinstance(meta, dict):
        raise SynapseError(f"{where}: `config.meta` must be a mapping.")
    return meta


def _read_source(
    file: Path, source: dict[str, Any], tables: list[DmsTable], topics: list[Topic]
) -> None:
    where = f"{file}, source {source.get('name', '(without a name)')}"
    schema = _meta(source, where).get("source_schema")
    dataset = _JINJA.sub("", str(source.get("schema") or source.get("name")))
    for entry in _mapping_list(source, "tables", where):
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise SynapseError(f"{where}: a table has no `name`.")
        at = f"{where}, table {name}"
        meta = _meta(entry, at)
        if schema is not None:
            if not isinstance(schema, str) or "/" in schema:
                raise SynapseError(f"{where}: `source_schema` must be the name of a schema.")
            tables.append(_table(entry, meta.get("cdc"), schema, name, dataset, at))
        elif "cdc" in meta:
            raise SynapseError(
                f"{at}: has `cdc` but its source has no `config.meta.source_schema` "
                "(the folder below bronze/dms)."
            )
        elif "topic" in meta:
            topic, columns = _text(meta, "topic", at), _columns(entry, at)
            topics.append(Topic(topic, name, columns, dataset, _late_after(entry, at)))


def _table(
    entry: dict[str, Any], cdc: Any, schema: str, name: str, dataset: str, at: str
) -> DmsTable:
    if not isinstance(cdc, dict):
        raise SynapseError(f"{at}: needs `config.meta.cdc` with at least `key: [...]`.")
    columns = _columns(entry, at)
    names = {column.name for column in columns}
    key = cdc.get("key")
    if not isinstance(key, list) or not key:
        raise SynapseError(
            f"{at}: declares no key. Without one, a change cannot be told from another row's, so "
            "updates and deletes have nothing to apply to. Set `config.meta.cdc.key: [column, ...]`"
            " (a table without a primary key needs a unique index, or full loads only elsewhere)."
        )
    for column in key:
        if column not in names:
            raise SynapseError(f"{at}: key column {column!r} is not among its columns.")
        if Column(column, next(c.data_type for c in columns if c.name == column)).is_inexact:
            raise SynapseError(
                f"{at}: key column {column!r} is a double, and two doubles that print alike need "
                "not be equal. Declare it decimal(p,s) or varchar."
            )
    sequence = cdc.get("sequence", False)
    if not isinstance(sequence, bool):
        raise SynapseError(f"{at}: `cdc.sequence` must be true or false.")
    extra = cdc.get("prefixes", [])
    if not isinstance(extra, list) or not all(isinstance(prefix, str) for prefix in extra):
        raise SynapseError(f"{at}: `cdc.prefixes` must be a list of folders below bronze/dms.")
    prefixes = [f"{schema}/{name}", *(prefix.strip("/") for prefix in extra)]
    return DmsTable(
        schema=schema,
        name=name,
        columns=columns,
        key=tuple(key),
        sequence=sequence,
        op_column=_text(cdc, "op_column", at, "Op"),
        commit_column=_text(cdc, "commit_column", at, "dms_committed_at"),
        sequence_column=_text(cdc, "sequence_column", at, "dms_change_seq"),
        prefixes=tuple(dict.fromkeys(prefixes)),
        reload_at=_instants(cdc, prefixes, at),
        dataset=dataset,
        late_after=_late_after(entry, at),
    )


def _late_after(entry: dict[str, Any], at: str) -> timedelta | None:
    freshness = (entry.get("config") or {}).get("freshness") or {}
    declared = freshness.get("warn_after") or {}
    if not declared:
        return None
    try:
        return timedelta(**{f"{declared['period']}s": int(declared["count"])})
    except (KeyError, TypeError, ValueError) as error:
        raise SynapseError(
            f"{at}: `freshness.warn_after` is {declared!r}; write {{count: 36, period: hour}}, "
            "with minute, hour or day."
        ) from error


def _instants(cdc: dict[str, Any], prefixes: list[str], at: str) -> dict[str, datetime]:
    declared = cdc.get("reload_at", {})
    if not isinstance(declared, dict):
        raise SynapseError(f"{at}: `cdc.reload_at` must map epochs or prefixes to instants.")
    instants = {}
    for name, value in declared.items():
        key = str(name).strip("/")
        if not key.isdigit() and key not in prefixes:
            raise SynapseError(
                f"{at}: `cdc.reload_at` names {key!r}, which is neither the number of an epoch nor "
                f"one of the table's prefixes ({', '.join(prefixes)})."
            )
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError as error:
            raise SynapseError(
                f"{at}: `cdc.reload_at` of {key} is {value!r}; give an instant in UTC such as "
                "2026-01-31 12:00:00."
            ) from error
        instants[key] = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return instants


def _columns(entry: dict[str, Any], at: str) -> tuple[Column, ...]:
    columns = []
    for column in _mapping_list(entry, "columns", at):
        name = _text(column, "name", f"{at}, columns")
        data_type = _text(column, "data_type", f"{at}, column {name}").lower().replace(" ", "")
        if data_type not in _PLAIN_TYPES and not _DECIMAL.fullmatch(data_type):
            raise SynapseError(
                f"{at}, column {name}: data_type {data_type!r} is not supported; use one of "
                f"{', '.join(sorted(_PLAIN_TYPES))} or decimal(p,s)."
            )
        columns.append(Column(name, data_type))
    if not columns:
        raise SynapseError(f"{at}: declares no columns.")
    lowered = [column.name.lower() for column in columns]
    twins = sorted({name for name in lowered if lowered.count(name) > 1})
    if twins:
        raise SynapseError(f"{at}: declares {', '.join(twins)} more than once.")
    return tuple(columns)


def _text(entry: dict[str, Any], name: str, at: str, default: str | None = None) -> str:
    value = entry.get(name, default)
    if not isinstance(value, str) or not value:
        raise SynapseError(f"{at}: `{name}` is missing or not text.")
    return value


def _refuse_twins(tables: list[DmsTable], topics: list[Topic], folder: Path) -> None:
    claims = [prefix for table in tables for prefix in table.prefixes]
    claims += [topic.name for topic in topics]
    for claim in claims:
        if claims.count(claim) > 1:
            raise SynapseError(f"{folder}: {claim} is declared more than once.")

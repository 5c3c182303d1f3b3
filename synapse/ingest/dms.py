"""DMS Parquet: reading layouts, checking rows in batches with DuckDB, writing what is accepted."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from synapse.declarations import DmsTable
from synapse.ingest.dms_checks import Checks, compile_checks, explain, literal, quoted
from synapse.ingest.files import retain
from synapse.ingest.lossless import as_text
from synapse.ingest.model import BronzeFile, Kind, ManifestRow, Refusal, Unit
from synapse.ingest.moments import layout_of
from synapse.lake import Lake
from synapse.whole_files import aside

_FILES_PER_QUERY = 400
_FILE = "_synapse_file"
# Engines read others as a pattern, or need them escaped: such a file is read from a copy.
_PLAIN_PATH = re.compile(r"[\w.+=%@,:/ -]+")


@dataclass
class Checked:
    """A file after the checks. refused: (rule, sentence) when the file as a whole is."""

    file: BronzeFile
    sha256: str
    kind: Kind
    checks: Checks | None = None
    refused: tuple[str, str] | None = None
    rows: int = 0
    broken: int = 0
    transfer_from: datetime | None = None
    transfer_to: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Whether engines read the file's name as it stands."""
        return _PLAIN_PATH.fullmatch(self.file.path) is not None

    @property
    def path(self) -> str:
        """Where the file is read."""
        return self.file.path if self.is_plain else f"retained/{self.sha256}"


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in which a moment without zone means UTC."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    return connection


def check_files(
    connection: duckdb.DuckDBPyConnection,
    lake: Path,
    table: DmsTable,
    results: list[Checked],
) -> None:
    """Fill in the results of the checks; files of one layout share a query."""
    groups: dict[tuple[object, ...], list[Checked]] = defaultdict(list)
    for result in results:
        signature = _signature(lake, result)
        if signature is not None:
            groups[result.kind, signature].append(result)
    for (kind, _), group in groups.items():
        assert isinstance(kind, Kind)
        for start in range(0, len(group), _FILES_PER_QUERY):
            _check_group(connection, lake, table, kind, group[start : start + _FILES_PER_QUERY])


def _signature(lake: Path, result: Checked) -> tuple[object, ...] | None:
    if not result.file.name.lower().endswith(".parquet"):
        result.refused = ("readable", "the file is not Parquet; set DataFormat=parquet in DMS")
        return None
    try:
        with pq.ParquetFile(lake / result.path) as parquet:
            schema = parquet.schema_arrow
            result.rows = parquet.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        result.refused = ("readable", f"the Parquet file cannot be read: {_first_line(error)}")
        return None
    return tuple((field.name, str(field.type)) for field in schema)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _scan(lake: Path, group: list[Checked]) -> str:
    paths = ", ".join(literal(str(lake / result.path)) for result in group)
    return (
        f"read_parquet([{paths}], filename = {literal(_FILE)}, file_row_number = true, "
        "hive_partitioning = false)"
    )


def _check_group(
    connection: duckdb.DuckDBPyConnection,
    lake: Path,
    table: DmsTable,
    kind: Kind,
    group: list[Checked],
) -> None:
    try:
        described = connection.execute(f"describe select * from {_scan(lake, group[:1])}")
        layout = {
            row[0]: row[1]
            for row in described.fetchall()
            if row[0] not in (_FILE, "file_row_number")
        }
        checks = compile_checks(table, kind, layout)
        for result in group:
            result.checks = checks
            result.refused = checks.refused
        if checks.refused is None:
            _count(connection, lake, checks, group)
    except duckdb.Error as error:
        # A footer can be whole over broken pages: find the file at fault, keep the others.
        if len(group) == 1:
            group[0].refused = (
                "readable",
                f"the Parquet file cannot be read: {_first_line(error)}",
            )
            return
        for result in group:
            _check_group(connection, lake, table, kind, [result])


def _count(
    connection: duckdb.DuckDBPyConnection, lake: Path, checks: Checks, group: list[Checked]
) -> None:
    rows = connection.execute(
        f"select {quoted(_FILE)}, count(*), count(*) filter (where {checks.broken}), "
        f"min({checks.transfer}), max({checks.transfer}), "
        # Reads every column: damage that silver would meet is met here, and harms one file.
        f"bit_xor(hash({', '.join(map(quoted, checks.layout))})) "
        f"from {_scan(lake, group)} group by all"
    ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    for result in group:
        counted = found.get(str(lake / result.path), (0, 0, None, None, None))
        result.rows, result.broken, result.transfer_from, result.transfer_to, _ = counted


def refusals_of(
    connection: duckdb.DuckDBPyConnection, lake: Path, table: DmsTable, result: Checked
) -> list[Refusal]:
    """What a checked file is refused for: itself as a whole, or some of its rows."""
    if result.refused is not None:
        rule, sentence = result.refused
        return [_refusal(table, result, Unit.FILE, rule, sentence, None, b"")]
    if not result.broken or result.checks is None:
        return []
    rules = result.checks.rules
    positions = ", ".join(
        f"case when {rule.broken} then {position} end" for position, rule in enumerate(rules)
    )
    # Every value as text: JSON numbers would lose what a bigint or a decimal holds.
    texts = ", ".join(
        f"{quoted(name)} := {as_text(quoted(name), physical)}"
        for name, physical in result.checks.layout.items()
    )
    rows = connection.execute(
        f"select file_row_number, list_filter([{positions}], lambda item: item is not null), "
        f"cast(to_json(struct_pack({texts})) as varchar) "
        f"from {_scan(lake, [result])} where {result.checks.broken} order by file_row_number"
    ).fetchall()
    found = []
    for number, broken, payload in rows:
        rule, sentence = explain(rules, broken, payload)
        found.append(
            _refusal(table, result, Unit.ROW, rule, sentence, number + 1, payload.encode())
        )
    return found


def _refusal(
    table: DmsTable,
    result: Checked,
    unit: Unit,
    rule: str,
    sentence: str,
    number: int | None,
    payload: bytes,
) -> Refusal:
    return Refusal(
        source=table.source,
        kind=result.kind,
        unit=unit,
        path=result.file.path,
        sha256=result.sha256,
        rule=rule,
        sentence=sentence,
        number=number,
        payload=payload,
    )


def accept(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: DmsTable,
    result: Checked,
    epoch: int | None,
    *,
    is_overwritten: bool,
) -> ManifestRow | None:
    """Put the accepted rows where silver reads them; None when no row is.

    A clean change file is read where it lies. A LOAD file is copied, because DMS overwrites it in
    place. Rows are written anew when some were refused, when a column must change its type, or when
    a change file was overwritten (is_overwritten), since silver reads a path only once.
    """
    checks = result.checks
    assert checks is not None
    accepted = result.rows - result.broken
    if accepted == 0 and result.rows > 0:
        return None
    if result.broken or checks.rewrite or is_overwritten:
        path = f"retained/clean-{result.sha256}.parquet"
        write_clean(connection, lake, result, path)
    elif result.kind is Kind.LOAD or not result.is_plain:
        path = f"retained/{result.sha256}"
        retain(lake, result.file.path, result.sha256, path)
    else:
        path = result.file.path
    return ManifestRow(
        path=path,
        landed_path=result.file.path,
        source=table.source,
        kind=result.kind,
        rows=accepted,
        bytes=(lake.root / path).stat().st_size,
        sha256=result.sha256,
        epoch=epoch,
        epoch_at=result.transfer_from if result.kind is Kind.LOAD else None,
        layout=layout_of(lake.root / path, table.moments),
    )


def write_clean(
    connection: duckdb.DuckDBPyConnection, lake: Lake, result: Checked, path: str
) -> None:
    """Write the rows of a checked file that break no rule, in their declared types."""
    checks = result.checks
    assert checks is not None
    target = lake.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = aside(target)
    connection.execute(
        f"copy (select {', '.join(checks.projection)} from {_scan(lake.root, [result])} "
        f"where not ({checks.broken}) order by file_row_number) "
        f"to {literal(str(temporary))} (format parquet, compression zstd)"
    )
    temporary.replace(target)
    lake.publish(path)

"""The check of the commit time's column, on which every change file stands or falls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from synapse.declarations import DmsTable
from synapse.dms_doctor.documents import Endpoint
from synapse.dms_doctor.findings import Finding, Severity


def check_commit_column(endpoint: Endpoint, tables: Iterable[DmsTable]) -> Iterator[Finding]:
    """Whether the endpoint writes the commit time under the name that the tables declare."""
    found = endpoint.settings.setting("TimestampColumnName")
    name = found.text()
    by_name: dict[str, list[str]] = {}
    for table in tables:
        by_name.setdefault(table.commit_column, []).append(table.source)
    for declared, sources in sorted(by_name.items()):
        if name.casefold() == declared.casefold():
            continue
        what = f"the commit time is called {name}" if name else "no commit time is written"
        yield Finding(
            "commit_column",
            Severity.error,
            endpoint.subject,
            found.path,
            found.shown(""),
            f"Ingest looks for {declared}, but {what}: every change file is refused (rule "
            "commit_time), and a reload waits for ever, since when it happened is unknown.",
            f"TimestampColumnName = {declared}"
            + (f", or `cdc.commit_column: {name}` in models/bronze/_dms__sources.yml" * bool(name)),
            tuple(sources),
        )


def check_op_column(endpoint: Endpoint, tables: Iterable[DmsTable]) -> Iterator[Finding]:
    """DMS names the column of the operation Op, and there is no setting for it."""
    wrong = [table for table in tables if table.op_column.casefold() != "op"]
    if wrong:
        yield Finding(
            "op_column",
            Severity.error,
            endpoint.subject,
            "cdc.op_column",
            ", ".join(sorted({table.op_column for table in wrong})),
            "DMS writes I, U or D under the name Op, always: every change file is refused (rule "
            "known_op).",
            "leave `cdc.op_column` out of models/bronze/_dms__sources.yml, or make it Op",
            tuple(table.source for table in wrong),
        )

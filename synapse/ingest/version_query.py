"""The question that ingest asks of the ledger for every file that it lists."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection, Dialect

from synapse.ingest import tables as t
from synapse.ingest.versions import Version

_NAMES = 512  # as many as a job has files; below every engine's limit of parameters


class VersionQuery:
    """Asks for versions by file name, many names at a time.

    Compiled once, and put straight to the driver: made anew for each few hundred names, the text
    of the statement takes more time than its answer.
    """

    def __init__(self, dialect: Dialect) -> None:
        files = t.FILES.c
        names = [bindparam(f"n{number}", type_=files.name.type) for number in range(_NAMES)]
        query = select(
            files.name, files.path, files.sha256, files.size, files.etag, files.landed, files.state
        ).where(files.source == bindparam("source"), files.name.in_(names))
        compiled = query.compile(dialect=dialect)
        self._statement = str(compiled)
        self._parameters = [f"n{number}" for number in range(_NAMES)]
        self._is_positional = compiled.positiontup is not None
        assert compiled.positiontup in (None, ["source", *self._parameters])

    def of(self, connection: Connection, source: str, names: list[str]) -> dict[str, list[Version]]:
        """Versions by name; claims of the running run among them."""
        found: dict[str, list[Version]] = {}
        for start in range(0, len(names), _NAMES):
            some = names[start : start + _NAMES]
            # The last name again: the statement has one length.
            some += some[-1:] * (_NAMES - len(some))
            for row in connection.exec_driver_sql(
                self._statement,
                (source, *some)
                if self._is_positional
                else dict(zip(self._parameters, some, strict=True), source=source),
            ):
                found.setdefault(row[0], []).append(Version(*row[1:]))
        return found

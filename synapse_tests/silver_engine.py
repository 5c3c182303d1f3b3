"""Silver of a few declared tables on a DuckDB in memory, by the project's macros, in milliseconds.

dbt itself takes seconds to start, and shrinking a failing history takes hundreds of runs. This
renders the macros of `macros/` as dbt does (every macro a global, `return` an exception) and does
what dbt's incremental materialization does with the SQL. The batch proof of
`test_cdc_properties.py` runs the same worlds through dbt, so the two are held against each other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2

from synapse_tests.cdc_project import MACROS, CdcTable
from synapse_tests.lakes import PROJECT_DIR, TIMEZONE

_MACRO = re.compile(r"{%-?\s*macro\s+(\w+)\(.*?{%-?\s*endmacro\s*-?%}", re.DOTALL)
_SOURCE = "dms_synapse"


class _ReturnError(Exception):
    """dbt's `return`: leaves the macro with a value that need not be text."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@cache
def _templates() -> tuple[jinja2.Environment, dict[str, jinja2.Template]]:
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined)
    found = {}
    for file in sorted((PROJECT_DIR / "macros").rglob("*.sql")):
        for macro in _MACRO.finditer(file.read_text(encoding="utf-8")):
            found[macro[1]] = environment.from_string(macro[0])
    return environment, found


@dataclass(frozen=True)
class _Relation:
    schema: str
    identifier: str
    database: str = "memory"

    def __str__(self) -> str:
        return f"{self.schema}.{self.identifier}"


class _Config:
    """`config(...)` of a model, and what a materialization asks of it."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def __call__(self, **given: Any) -> str:
        self.given.update(given)
        return ""

    def meta_get(self, name: str, default: Any = None) -> Any:
        return self.given.get("meta", {}).get(name, default)


@dataclass
class SilverEngine:
    """base_, stg_ and hist_ of some tables over the manifest of a lake; `run` is one dbt run.

    mutate: text of the rendered SQL that is replaced, to break a rule on purpose.
    forms: dispatched macros that are taken in another engine's form, where that form's SQL is
    DuckDB's as well.
    """

    lake: Path
    schema: str
    tables: Sequence[CdcTable]
    mutate: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'; set threads = 1")
        self.connection.execute("create schema silver; create schema ops")
        self._macros: dict[str, Callable[..., Any]] = {}
        self._is_incremental = self._executes = self._is_full = False
        self._model = SimpleNamespace(name="")
        self._config = _Config()
        self._modules: dict[str, Any] = {}
        self._globals = self._context()

    def close(self) -> None:
        """Drop everything."""
        self.connection.close()

    def run(self, *, full_refresh: bool = False) -> None:
        """What `dbt run` does: the run's own tables, then the models in their order."""
        self._is_full = full_refresh
        self._executes = True
        self._globals["flags"].FULL_REFRESH = full_refresh
        self._call("create_ops_tables")
        self._call("accept_manifest_parts", self._call("manifest_parts"))
        self.connection.execute("delete from ops.run_context")
        self.connection.execute(
            "insert into ops.run_context select 'run', max(as_of), false, '', 'UTC' "
            "from ops.files_accepted"
        )
        for table in self.tables:
            for prefix, macro in MACROS.items():
                self._build(f"{prefix}_dms__{table.name}", f"cdc_{macro}", table.name)

    def _build(self, name: str, macro: str, table: str) -> None:
        """Do dbt's incremental materialization of one model, its post-hooks included."""
        self._model.name = name
        this = self._globals["this"] = _Relation("silver", name)
        self._modules.clear()  # `this` is bound when a module is made
        exists = self.fetch(
            f"select 1 from duckdb_tables() where schema_name = 'silver' and table_name = '{name}'"
        )
        self._is_incremental = bool(exists) and not self._is_full
        self._executes = False
        self._config.given = {}
        self._call(macro, table)
        self._executes = True
        sql = self._call(macro, table)
        for old, new in self.mutate.items():
            sql = sql.replace(old, new)
        if not self._is_incremental:
            self.connection.execute(f"create or replace table {this} as {sql}")
        else:
            self.connection.execute(f"create or replace temp table replacement as {sql}")
            strategy = self._config.given["incremental_strategy"]
            if strategy == "append":
                self.connection.execute(f"insert into {this} by name select * from replacement")
            else:
                columns = self.fetch("describe replacement")
                arguments = {
                    "target_relation": this,
                    "temp_relation": "replacement",
                    "dest_columns": [{"name": column[0]} for column in columns],
                    "unique_key": self._config.given.get("unique_key"),
                }
                self.connection.execute(self._call(f"get_incremental_{strategy}_sql", arguments))
        hooks = self._config.given.get("post_hook", [])
        for hook in [hooks] if isinstance(hooks, str) else hooks:
            statement = _templates()[0].from_string(hook, globals=self._globals).render()
            if statement.strip():
                self.connection.execute(statement)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        return self.connection.execute(sql).fetchall()

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        module = self._modules.get(name)
        if module is None:
            template = _templates()[1][name]
            module = self._modules[name] = template.make_module(self._globals)
        try:
            return str(getattr(module, name)(*arguments, **named))
        except _ReturnError as result:
            return result.value

    def _query(self, sql: Any) -> Any:
        answers = str(sql).lstrip().startswith(("select", "with"))
        rows = self.fetch(str(sql)) if answers else []
        if not rows:
            self.connection.execute(str(sql))
        width = max(len(row) for row in rows) if rows else 1
        columns = [_Column([row[place] for row in rows]) for place in range(width)]
        return SimpleNamespace(rows=rows, columns=columns)

    def _dispatch(self, name: str, _package: str) -> Callable[..., Any]:
        dialects = (self.forms.get(name, "duckdb"), "default")
        return next(
            self._macros[macro]
            for dialect in dialects
            if (macro := f"{dialect}__{name}") in _templates()[1]
        )

    def _context(self) -> dict[str, Any]:
        for name in _templates()[1]:
            self._macros[name] = lambda *given, _name=name, **named: self._call(
                _name, *given, **named
            )
        values = {"SYNAPSE_LAKE": str(self.lake), "SYNAPSE_BUSINESS_TIMEZONE": TIMEZONE}
        return {
            **self._macros,
            "config": self._config,
            "model": self._model,
            "this": None,
            "execute": _Truth(lambda: self._executes),
            "graph": {"sources": {table.name: _node(self.schema, table) for table in self.tables}},
            "exceptions": SimpleNamespace(raise_compiler_error=_raise),
            "flags": SimpleNamespace(WHICH="run", FULL_REFRESH=False),
            "run_query": self._query,
            "return": _return,
            "adapter": SimpleNamespace(dispatch=self._dispatch),
            "api": SimpleNamespace(
                Relation=SimpleNamespace(create=lambda **parts: _Relation(**parts))
            ),
            "target": SimpleNamespace(database="memory"),
            "env_var": lambda name, default="": values.get(name, default),
            "ref": lambda name: _Relation("silver", name),
            "source": lambda _source, name: _Relation("bronze", name),
            "is_incremental": lambda: self._is_incremental,
            "should_full_refresh": lambda: self._is_full,
            "local_md5": lambda text: hashlib.md5(text.encode()).hexdigest(),
            "get_quoted_csv": lambda names: ", ".join(f'"{name}"' for name in names),
        }


class _Column:
    def __init__(self, column: list[Any]) -> None:
        self._column = column

    def values(self) -> list[Any]:
        return self._column


class _Truth:
    """A flag that is looked up when it is asked for, not when a macro's module is made."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask

    def __bool__(self) -> bool:
        return self._ask()


def _return(value: Any = None) -> Any:
    raise _ReturnError(value)


def _raise(message: str) -> None:
    raise AssertionError(message)


def _node(schema: str, table: CdcTable) -> dict[str, Any]:
    return {
        "source_name": _SOURCE,
        "name": table.name,
        "config": {"meta": {"cdc": {"key": list(table.key), **table.cdc}}},
        "source_meta": {"source_schema": schema},
        "columns": {
            name: {"name": name, "data_type": kind} for name, kind in table.columns.items()
        },
    }

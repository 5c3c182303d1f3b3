"""MetricFlow's queries on the embedded warehouse, without dbt: its import alone takes 3 seconds.

A warehouse that is only read can be asked by several at once, which dbt's connection forbids.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import duckdb
from metricflow.data_table.mf_table import MetricFlowDataTable
from metricflow.protocols.sql_client import SqlClient, SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer

if TYPE_CHECKING:
    from metricflow.sql.render.sql_plan_renderer import SqlPlanRenderer
    from metricflow_semantics.sql.sql_bind_parameters import SqlBindParameterSet


class DuckDbClient(SqlClient):
    """Reads a warehouse file; each query opens it, so that runs may write in between."""

    def __init__(self, warehouse: Path) -> None:
        self._warehouse = warehouse

    @property
    def sql_engine_type(self) -> SqlEngine:
        """DuckDB."""
        return SqlEngine.DUCKDB

    @property
    def sql_plan_renderer(self) -> SqlPlanRenderer:
        """How DuckDB wants its SQL."""
        return DuckDbSqlPlanRenderer()

    # The protocol knows parameters; queries of metrics carry none, and dbt's adapters refuse them.
    def query(
        self,
        stmt: str,
        sql_bind_parameter_set: SqlBindParameterSet | None = None,  # noqa: ARG002
    ) -> MetricFlowDataTable:
        """Return the rows of a statement."""
        with duckdb.connect(str(self._warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            found = connection.execute(stmt)
            columns = [column for column, *_ in found.description]
            return MetricFlowDataTable.create_from_rows(columns, found.fetchall())

    def execute(
        self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet | None = None
    ) -> NoReturn:
        """Refuse: metrics are asked for, never written."""
        raise NotImplementedError("metrics are only read")

    def dry_run(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet | None = None) -> None:
        """Raise where a statement cannot be run."""
        self.query(f"explain {stmt}", sql_bind_parameter_set)

    def close(self) -> None:
        """Do nothing: no connection outlives its query."""

    def render_bind_parameter_key(self, bind_parameter_key: str) -> NoReturn:
        """Refuse: see query."""
        raise NotImplementedError("queries of metrics carry no parameters")

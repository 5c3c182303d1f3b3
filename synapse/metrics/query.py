"""Asking for metrics: MetricFlow in this process, on the engine that dbt is set up for."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synapse.errors import SynapseError, UsageError
from synapse.metrics.catalogue import Metric, catalogue_of, find
from synapse.metrics.parsed import semantic_manifest
from synapse.project import PROFILES_DIR
from synapse.runner.dbt import DbtProject
from synapse.settings import Settings

if TYPE_CHECKING:
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow.protocols.sql_client import SqlClient

GRAINS = ("day", "week", "month", "quarter", "year")
_TIME = "metric_time"


@dataclass(frozen=True)
class Request:
    """What is asked. by: dimensions, or periods such as `month` (of the metrics' own date).

    where: conditions on dimensions, such as "region = 'SP'". start, end: dates, both included.
    order: columns, '-' before those that descend.
    """

    metrics: Sequence[str]
    by: Sequence[str] = ()
    where: Sequence[str] = ()
    start: date | None = None
    end: date | None = None
    order: Sequence[str] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Answer:
    """A table of values, and the SQL that gave it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    sql: str


class MetricQueries:
    """Metrics of a project on a lake. The engine is made at the first query.

    Raises SynapseError for a project that does not parse.
    """

    def __init__(self, settings: Settings, project_dir: Path) -> None:
        self._dbt = DbtProject(settings, project_dir)
        self._semantic_manifest = semantic_manifest(settings, project_dir, self._dbt)
        self.catalogue = catalogue_of(json.loads(self._semantic_manifest))
        self._settings = settings
        self._made: MetricFlowEngine | None = None

    def dimensions(self, metric: str) -> list[str]:
        """Dimensions by which a metric can be asked for, as MetricFlow names them."""
        find(self.catalogue, metric)
        return self._common_dimensions([metric])

    def query(self, request: Request) -> Answer:
        """Ask the engine.

        Raises UsageError for a metric, dimension or period that does not exist, and SynapseError
        when the engine fails.
        """
        if not request.metrics:
            raise UsageError("Name at least one metric; `synapse metrics list` shows all.")
        metrics = [find(self.catalogue, name) for name in request.metrics]
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

        with self._refusing(request.metrics):
            engine = self._engine()
            by = self._group_by(metrics, request)
            asked = MetricFlowQueryRequest.create(
                metric_names=list(request.metrics),
                group_by_names=by,
                where_constraints=[
                    *(self._condition(text, request.metrics) for text in request.where),
                    *_grain_conditions(metrics, by),
                ]
                or None,
                time_constraint_start=_midnight(request.start),
                time_constraint_end=_midnight(request.end),
                order_by_names=[self._order(name, metrics, by) for name in request.order] or by,
                limit=request.limit,
            )
            with contextlib.nullcontext() if self._reads_directly else self._dbt.connected():
                result = engine.query(asked)
        assert result.result_df is not None, "a query gives a table"
        columns = tuple(_short(name) for name in result.result_df.column_names)
        return Answer(columns, tuple(map(_plain, result.result_df.rows)), result.sql)

    def _engine(self) -> MetricFlowEngine:
        if self._made is None:
            from metricflow.engine.metricflow_engine import MetricFlowEngine
            from metricflow_semantics.model.dbt_manifest_parser import (
                parse_manifest_from_dbt_generated_manifest,
            )
            from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

            # It logs each step of each query at a level that reaches terminals.
            logging.getLogger("metricflow").setLevel(logging.ERROR)
            logging.getLogger("metricflow_semantics").setLevel(logging.ERROR)
            self._made = MetricFlowEngine(
                SemanticManifestLookup(
                    parse_manifest_from_dbt_generated_manifest(self._semantic_manifest)
                ),
                self._client(),
            )
        return self._made

    @property
    def _reads_directly(self) -> bool:
        """Whether the warehouse is the file that we know; somebody's own profile may name another.

        What views read on S3 only dbt's connection is set up for.
        """
        settings = self._settings
        is_ours = self._dbt.profiles_dir.resolve() == PROFILES_DIR.resolve()
        return settings.target == "duckdb" and settings.remote is None and is_ours

    def _client(self) -> SqlClient:
        if self._reads_directly:
            from synapse.metrics.duckdb_client import DuckDbClient

            return DuckDbClient(self._settings.warehouse)
        from dbt.adapters.factory import get_adapter_by_type
        from dbt_metricflow.cli.dbt_connectors.adapter_backed_client import AdapterBackedSqlClient

        self._dbt.parse()  # which makes the adapter
        adapter = get_adapter_by_type(self._settings.target)  # type: ignore[no-untyped-call]
        return AdapterBackedSqlClient(adapter)

    def _common_dimensions(self, metrics: Sequence[str]) -> list[str]:
        found = self._engine().simple_dimensions_for_metrics(list(metrics))
        return sorted({one.granularity_free_dunder_name for one in found})

    def _group_by(self, metrics: list[Metric], request: Request) -> list[str]:
        by = [self._dimension(name, request.metrics) for name in request.by]
        grains = _grains(by)
        for metric in metrics:
            if metric.only_by and grains - {metric.only_by}:
                raise UsageError(
                    f"{metric.name} is only exact by {metric.only_by}: ask for --by "
                    f"{metric.only_by}."
                )
            by += [name for name in metric.always_by if name not in by]
        return by

    def _dimension(self, name: str, metrics: Sequence[str]) -> str:
        if name in GRAINS:
            return f"{_TIME}__{name}"
        if "__" in name or name == _TIME:
            return name
        known = self._common_dimensions(metrics)
        found = [one for one in known if _short(one) == name]
        if len(found) != 1:
            options = ", ".join([*GRAINS, *sorted({_short(one) for one in known})])
            raise UsageError(
                f"{', '.join(metrics)} cannot be asked for by {name!r}; there are {options}."
            )
        return found[0]

    def _condition(self, text: str, metrics: Sequence[str]) -> str:
        if "{{" in text:
            return text
        name, _, rest = text.strip().partition(" ")
        if not rest:
            raise UsageError(
                f"--where {text!r} is no condition; write for example \"region = 'SP'\"."
            )
        if name in GRAINS or name == "date":
            grain = "day" if name == "date" else name
            return f"{{{{ TimeDimension('{_TIME}', '{grain}') }}}} {rest}"
        return f"{{{{ Dimension('{self._dimension(name, metrics)}') }}}} {rest}"

    def _order(self, name: str, metrics: list[Metric], by: list[str]) -> str:
        sign, bare = ("-", name[1:]) if name.startswith("-") else ("", name)
        columns = {metric.name: metric.name for metric in metrics} | {
            key: one for one in by for key in (one, _short(one))
        }
        if bare not in columns:
            raise UsageError(
                f"--order {name!r} is none of the columns: {', '.join(map(_short, columns))}."
            )
        return sign + columns[bare]

    @contextlib.contextmanager
    def _refusing(self, metrics: Sequence[str]) -> Iterator[None]:
        """Say what MetricFlow and the engine refuse in one sentence."""
        from metricflow_semantics.errors.error_classes import CustomerFacingSemanticException

        try:
            yield
        except CustomerFacingSemanticException as error:
            raise UsageError(
                f"{', '.join(metrics)} cannot be asked for in this way: "
                f"{' '.join(str(error).split())}"
            ) from error
        except SynapseError:
            raise
        except Exception as error:  # each engine's adapter raises its own
            raise SynapseError(
                f"The {self._settings.target} engine could not answer: "
                f"{' '.join(str(error).split())[:500]}. Has `synapse run daily` built gold?"
            ) from error


def _grains(by: list[str]) -> set[str]:
    return {name.split("__")[1] for name in by if name.startswith(f"{_TIME}__")}


def _grain_conditions(metrics: list[Metric], by: list[str]) -> set[str]:
    """Rows of a report with several periods: those of the period that is asked for."""
    conditions = set()
    for metric in metrics:
        if metric.grain_in:
            grains = _grains(by)
            if len(grains) != 1 or grains - {"day", "week", "month"}:
                raise UsageError(
                    f"{metric.name} is about a period: ask for --by day, week or month."
                )
            conditions.add(f"{{{{ Dimension('{metric.grain_in}') }}}} = '{grains.pop()}'")
    return conditions


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day)


def _short(name: str) -> str:
    """A column as people call it: without entity, and the metric's own time by its period."""
    return name.split("__")[-1]


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Dates that MetricFlow made moments of are dates again."""
    return tuple(
        value.date() if isinstance(value, datetime) and value.time() == time.min else value
        for value in row
    )

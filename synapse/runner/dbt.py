"""dbt in this process: one invocation, live progress, connections closed after."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from synapse.errors import SynapseError
from synapse.garbage import without_cycle_search
from synapse.observe.log import Log, node_logger
from synapse.observe.nodes import NodeOutcome, SourceAge, node_outcomes
from synapse.progress import Progress
from synapse.project import PROFILES_DIR
from synapse.runner.clock import utc_now
from synapse.runner.error_class import ErrorClass, error_class
from synapse.runner.known_parse import known_parse
from synapse.settings import Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

_FAILED = ("error", "fail", "runtime error")
_REPEATED = (*_FAILED, "skipped", "partial success")


@dataclass(frozen=True)
class DbtResult:
    """What one invocation did: node counts by status, and a sentence for each that went wrong."""

    statuses: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    passing: tuple[ErrorClass | None, ...] = ()
    """For each failure the class of error that may pass by itself, or None."""
    built: frozenset[str] = field(default=frozenset(), metadata={"is_internal": True})
    """The ids of models, seeds and snapshots that were built."""
    nodes: tuple[NodeOutcome | SourceAge, ...] = field(default=(), metadata={"is_internal": True})
    """What became of each node; of one invocation, a sum of several has none."""

    @property
    def succeeded(self) -> bool:
        """True when no node failed."""
        return not self.failures

    def then(self, later: DbtResult, *, is_retry: bool = False) -> DbtResult:
        """This and a later invocation; a retry's outcomes replace those that it repeats."""
        counts = dict(self.statuses)
        if is_retry:
            counts = {name: n for name, n in counts.items() if name not in _REPEATED}
        for name, n in later.statuses.items():
            counts[name] = counts.get(name, 0) + n
        before = [] if is_retry else self.failures
        return DbtResult(
            counts,
            [*before, *later.failures],
            [*self.warnings, *later.warnings],
            self.seconds + later.seconds,
            (*(() if is_retry else self.passing), *later.passing),
            self.built | later.built,
        )


def pseudonym_key(settings: Settings) -> str:
    """Return the pseudonym key: from the environment, else the embedded target's own.

    The embedded target makes one at first use and keeps it beside the state store, readable by
    the owner only; losing it changes every pseudonym, which is why it is not inside the warehouse.
    """
    from_environment = os.environ.get("SYNAPSE_PSEUDONYM_KEY")
    if from_environment:
        return from_environment
    if settings.target != "duckdb":
        raise SynapseError(
            f"SYNAPSE_PSEUDONYM_KEY is not set: the {settings.target} target makes no key of its "
            "own, because pseudonyms must survive the machine; set it from your secret store"
        )
    path = settings.lake / "pseudonym.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
    return path.read_text()


def duckdb_on_s3() -> dict[str, str]:
    """Install DuckDB's extension for S3; return the environment from which it takes its endpoint.

    Keys and region it takes from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and
    AWS_REGION itself.
    """
    try:
        from duckdb_extensions import import_extension
    except ModuleNotFoundError as error:
        raise SynapseError(
            "DuckDB needs an extension to read a lake on S3: pip install 'synapse-lakehouse[s3]', "
            "or build on Athena with --target athena"
        ) from error
    import_extension("httpfs")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    scheme, _, host = endpoint.partition("://")
    return {
        "DUCKDB_S3_ENDPOINT": host.rstrip("/"),
        "DUCKDB_S3_USE_SSL": "false" if scheme == "http" else "true",
    }


@contextlib.contextmanager
def dbt_environment(
    settings: Settings, run_id: str | None, judged_from: datetime | None = None
) -> Iterator[None]:
    """Set what the profile and the macros read, and put the environment back afterwards."""
    values = {
        "SYNAPSE_LAKE": settings.location,
        "SYNAPSE_WAREHOUSE": str(settings.warehouse),
        "SYNAPSE_BUSINESS_TIMEZONE": settings.business_timezone,
        "SYNAPSE_PSEUDONYM_KEY": pseudonym_key(settings),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "SYNAPSE_DUCKDB_THREADS": os.environ.get("SYNAPSE_DUCKDB_THREADS")
        or str(max((os.cpu_count() or 2) - 1, 1)),
    }
    if settings.remote is not None and settings.target == "duckdb":
        values |= duckdb_on_s3()
    from dbt_common.events.functions import reset_metadata_vars

    if run_id is not None:
        # This prefix reaches Jinja without becoming a parse dependency, as env_var() would.
        values["DBT_ENV_CUSTOM_ENV_SYNAPSE_RUN_ID"] = run_id
    if judged_from is not None:
        values["DBT_ENV_CUSTOM_ENV_SYNAPSE_JUDGED_FROM"] = f"{judged_from:%Y-%m-%d %H:%M:%S}"
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    # dbt reads the custom variables once per process; a second run would pass for the first.
    reset_metadata_vars()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class DbtProject:
    """A dbt project on a lake, parsed at most once: every later command reuses the manifest."""

    def __init__(
        self, settings: Settings, project_dir: Path, target_path: Path | None = None
    ) -> None:
        self._settings = settings
        # Naive UTC: tests judge what landed since then; all where it is None.
        self.judged_from: datetime | None = None
        self._project_dir = project_dir
        self._manifest: Manifest | None = None
        self._written: dict[str, Any] | None = None
        self.target_path = target_path or settings.lake / "dbt" / settings.target
        """Where dbt leaves its artifacts."""

    @property
    def profiles_dir(self) -> Path:
        """The folder of profiles.yml: the environment's, else the project's, else our own."""
        from_environment = os.environ.get("DBT_PROFILES_DIR")
        if from_environment:
            return Path(from_environment)
        has_own = (self._project_dir / "profiles.yml").is_file()
        return self._project_dir if has_own else PROFILES_DIR

    def parse(self) -> None:
        """Parse the project, where that has not been done.

        Raises SynapseError for a project that does not parse.
        """
        if self._manifest is None:
            self._manifest = cast("Manifest", self._call(["parse"], None, None).result)

    def manifest(self) -> dict[str, Any]:
        """Dbt's manifest of the project as it is written down, read once."""
        if self._written is None:
            self.parse()
            self._written = orjson.loads((self.target_path / "manifest.json").read_bytes())
        return self._written

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Let the project's adapter be used directly; the connection is closed after."""
        with dbt_environment(self._settings, None):
            try:
                yield
            finally:
                _release_connections()

    def invoke(
        self,
        arguments: Sequence[str],
        *,
        run_id: str | None = None,
        progress: Progress | None = None,
    ) -> DbtResult:
        """Run one dbt command in this process.

        Raises SynapseError when dbt itself could not start (parse or compilation error); failing
        models and tests are in the result.
        """
        self.parse()
        return _summary(self._call(arguments, run_id, progress).result)

    def selected(self, selector: str, sources: bool = False) -> tuple[str, ...]:
        """The names of models, seeds and snapshots (or sources) that a selector selects."""
        self.parse()
        kinds = ["source"] if sources else ["model", "seed", "snapshot"]
        wanted = [word for kind in kinds for word in ("--resource-type", kind)]
        arguments = ["list", "--selector", selector, "--output", "name", *wanted]
        names = cast("list[str]", self._call(arguments, None, None).result)
        return tuple(sorted(names))

    def nodes(self, selector: str) -> dict[str, set[str]]:
        """What a build of `selector` builds and tests, by id, each with the ids that it reads."""
        arguments = ["list", "--selector", selector, "--exclude-resource-type", "unit_test"]
        shown = [*arguments, "--output", "json", "--output-keys", "unique_id", "depends_on"]
        self.parse()
        lines = cast("list[str]", self._call(shown, None, None).result)
        found = [orjson.loads(line) for line in lines]
        return {
            node["unique_id"]: set(node.get("depends_on", {}).get("nodes", ())) for node in found
        }

    def _call(
        self, arguments: Sequence[str], run_id: str | None, progress: Progress | None
    ) -> dbtRunnerResult:
        from dbt.cli.main import dbtRunner

        target = self._settings.target
        watchers = [_node_counter(progress)] if progress else []
        log = Log(self._settings, run_id=run_id)
        if run_id is not None and not log.is_silent:
            log.info("dbt_started", arguments=list(arguments))
            watchers.append(node_logger(log))
        runner = dbtRunner(self._manifest, watchers)
        # A manifest is a million objects that live as long as the run: dbt spends a sixth of its
        # time searching them for cycles.
        with (
            dbt_environment(self._settings, run_id, self.judged_from),
            without_cycle_search(),
        ):
            command = [
                # Nothing to the terminal, which is ours; all to the log file.
                "--log-level", "none",
                "--no-use-colors",
                *known_parse(self.target_path, self._project_dir, self.profiles_dir, target),
                *arguments,
                "--project-dir", str(self._project_dir),
                "--profiles-dir", str(self.profiles_dir),
                "--target", target,
                "--target-path", str(self.target_path),
                "--log-path", str(self.target_path / "logs"),
            ]  # fmt: skip
            try:
                outcome = runner.invoke(command)
            finally:
                _release_connections()
        if outcome.exception is not None:
            raise SynapseError(f"dbt could not run: {_first_lines(str(outcome.exception))}")
        return outcome


def _node_counter(progress: Progress) -> Callable[[Any], None]:
    done = 0

    def callback(event: Any) -> None:
        nonlocal done
        if event.info.name == "NodeFinished":
            done += 1
            progress(event.data.node_info.node_name, done, 0)
        elif event.info.name == "LogStartLine":
            progress(event.data.description, done, event.data.total)

    return callback


def _release_connections() -> None:
    # dbt-duckdb keeps the warehouse file locked after invoke(); others could not open it.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _summary(result: Any) -> DbtResult:
    statuses: dict[str, int] = {}
    failures: list[str] = []
    warnings: list[str] = []
    passing: list[ErrorClass | None] = []
    built = set()
    for node in getattr(result, "results", []):
        status = str(node.status)
        statuses[status] = statuses.get(status, 0) + 1
        # What an operation (a macro called by name) answers has no node.
        name = node.node.name if hasattr(node, "node") else node.unique_id
        sentence = f"{name}: {_first_lines(node.message or status)}"
        if status in _FAILED:
            failures.append(sentence)
            # A failed test is data's, whatever it quotes.
            passing.append(None if status == "fail" else error_class(str(node.message)))
        elif status == "warn":
            warnings.append(sentence)
        elif status == "success" and _kind(node) in ("model", "seed", "snapshot"):
            built.add(node.node.unique_id)
    return DbtResult(
        statuses,
        failures,
        warnings,
        getattr(result, "elapsed_time", 0.0),
        tuple(passing),
        frozenset(built),
        node_outcomes(getattr(result, "results", []), utc_now()),
    )


def _kind(result: Any) -> str:
    # What an operation answers has no node.
    return str(result.node.resource_type) if hasattr(result, "node") else ""


def _first_lines(text: str, count: int = 4) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines()[:count])

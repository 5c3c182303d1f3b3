"""Java's cache of Trino's classes: made once, used by every start, and nothing hangs on it."""

from __future__ import annotations

from pathlib import Path

import psutil

from athena_local.downloads import trino_home
from athena_local.folders import cache
from athena_local.instance import Instance
from athena_local.java_cache import java_cache


def test_trino_runs_with_the_cache_and_java_has_nothing_against_it(athena: Instance) -> None:
    said: list[str] = []
    path = java_cache(trino_home(cache(), said.append), cache(), said.append)
    assert path is not None
    assert not said
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert [f"-XX:AOTCache={path}" in words for words in commands if _is_trino(athena, words)] == [
        True
    ]
    log = athena.parts_folder / "trino" / "trino.log"
    assert "[aot" not in log.read_text(errors="replace")


def test_where_java_cannot_make_one_trino_goes_without_and_it_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert java_cache(tmp_path / "no-trino", tmp_path, said.append) is None
    assert "Trino starts without a cache of its classes" in said[-1]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".aot"] == []


def _is_trino(instance: Instance, words: list[str]) -> bool:
    config = instance.parts_folder / "trino" / "etc" / "config.properties"
    return f"-Dconfig={config}" in words

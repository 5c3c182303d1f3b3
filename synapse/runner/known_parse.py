"""The parse that dbt goes on from: the lake's own, else the installation's, made the lake's.

dbt parses a project whole, for ten seconds, where anything of the profile has changed, and takes
the warehouse's path and its settings for a part of that. What a model says does not depend on them
(no macro reads target.path; a test has it), so that one parse serves every lake of a machine.
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from pprint import pformat
from typing import Any

import orjson

from synapse.whole_files import write_whole

PARSE = "partial_parse.msgpack"
_PARSED_FOR = "parsed_for.json"
_DEPENDS_ON = ("type", "database", "schema")


def installed_target(project_dir: Path) -> Path:
    """Where the installation parses the project (see first_parse.py)."""
    return project_dir / "target" / "first_parse"


def known_parse(target_path: Path, project_dir: Path, profiles_dir: Path, target: str) -> list[str]:
    """Arguments of dbt that name a parse to go on from; dbt checks what has changed since.

    To be called in the environment that the profile reads.
    """
    own, installed = target_path / PARSE, installed_target(project_dir)
    if not own.is_file():
        from dbt_common.exceptions import DbtBaseException

        if not (installed / _PARSED_FOR).is_file():
            return []
        try:
            connection = _connection(project_dir, profiles_dir, target)
        except DbtBaseException:
            return []  # dbt will say the same of the profile, and better
        before = orjson.loads((installed / _PARSED_FOR).read_bytes())
        if before["depends_on"] != _depended_on(connection):
            return []
        parse = (installed / PARSE).read_bytes()
        write_whole(own, parse.replace(before["hash"].encode(), _hash(connection).encode()))
    return ["--partial-parse-file-path", str(own)]


def note_installed(project_dir: Path, profiles_dir: Path, target: str) -> None:
    """Write down what the installation's parse was made for."""
    connection = _connection(project_dir, profiles_dir, target)
    noted = {"depends_on": _depended_on(connection), "hash": _hash(connection)}
    write_whole(installed_target(project_dir) / _PARSED_FOR, orjson.dumps(noted))


def _connection(project_dir: Path, profiles_dir: Path, target: str) -> dict[str, Any]:
    """What dbt's profile says, as its adapter shows it."""
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context

    set_invocation_context(os.environ)
    set_from_args(Namespace(profiles_dir=str(profiles_dir)), None)
    credentials = load_profile(str(project_dir), {}, target_override=target).credentials
    return {**dict(credentials.connection_info()), "type": credentials.type}


def _depended_on(connection: dict[str, Any]) -> dict[str, str]:
    return {name: str(connection[name]) for name in _DEPENDS_ON}


def _hash(connection: dict[str, Any]) -> str:
    """Return dbt's profile_hash (see its ManifestLoader.build_manifest_state_check).

    Were it another one, dbt would parse the project whole: slower, and as right.
    """
    from dbt.artifacts.resources.base import FileHash

    said = sorted(item for item in connection.items() if item[0] != "type")
    return str(FileHash.from_contents(pformat(said)).checksum)

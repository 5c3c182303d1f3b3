"""Where the local Athena keeps things on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache() -> Path:
    """Trino and what belongs to the machine: ATHENA_LOCAL_CACHE, or the user's cache folder."""
    chosen = os.environ.get("ATHENA_LOCAL_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("athena-local"))


def default_instance() -> Path:
    """The folder of the instance that `athena-local up` starts without --dir."""
    return cache() / "instance"

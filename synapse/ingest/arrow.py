"""How Arrow behaves in a process that ingests."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


def prepare_arrow() -> None:
    """Let Arrow return what it frees, and not load pandas; call it before Arrow is used."""
    # Its own pool keeps a hundred megabytes for the next time.
    pa.set_memory_pool(pa.system_memory_pool())
    # For every list that becomes an array Arrow asks whether it is one of pandas'. The first time
    # it imports pandas to find out, where that is installed: half a second and 40 MB for a "no".
    if "pandas" not in sys.modules:
        finder = _WithoutPandas()
        sys.meta_path.insert(0, finder)
        try:
            pa.array([])
        finally:
            sys.meta_path.remove(finder)


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        """Refuse pandas, leave all else to the others."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)

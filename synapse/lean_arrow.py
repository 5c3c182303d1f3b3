"""Arrow without what an ingest never uses, which is a quarter of the time that `synapse` loads.

For a process that does nothing but ingest, before anything else imports Arrow: arrays of this
process then do not become NumPy's.
"""

from __future__ import annotations

import sys
from types import ModuleType

_DOCSTRINGS = "pyarrow.vendored.docscrape"


def load_lean_arrow() -> None:
    """Load Arrow without NumPy, and without reading its own documentation; if it is not loaded."""
    if "pyarrow" in sys.modules:
        return
    hides_numpy = "numpy" not in sys.modules
    if hides_numpy:
        # How Python is told that a module cannot be imported. Arrow does without.
        sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        # Arrow parses the docstring of each option to write that of each function.
        sys.modules[_DOCSTRINGS] = _Undocumented(_DOCSTRINGS)
        import pyarrow.compute  # noqa: F401
    finally:
        sys.modules.pop(_DOCSTRINGS, None)
        if hides_numpy:
            del sys.modules["numpy"]


class _Undocumented(ModuleType):
    """In the place of Arrow's copy of numpydoc: no option has a description."""

    @staticmethod
    def NumpyDocString(text: str) -> dict[str, list[str]]:  # noqa: N802 - its name there
        """Of a docstring, nothing."""
        del text
        return {"Parameters": []}

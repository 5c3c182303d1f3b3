"""Arrow without what an ingest never uses, which is a quarter of the time that `synapse` loads.

For a process that does nothing but ingest, before anything else imports Arrow: arrays of this
process then do not become NumPy's, and its file systems are none of a cloud's.
"""

from __future__ import annotations

import sys
from types import ModuleType

_DOCSTRINGS = "pyarrow.vendored.docscrape"
# The lake is read with the system's calls and obstore: Arrow's own clouds begin with their SDKs.
_UNUSED = ("numpy", "pyarrow._azurefs", "pyarrow._gcsfs", "pyarrow._hdfs", "pyarrow._s3fs")


def load_lean_arrow() -> None:
    """Load Arrow without NumPy, clouds, and reading its own documentation; if it is not loaded."""
    if "pyarrow" in sys.modules:
        return
    hidden = [name for name in _UNUSED if name not in sys.modules]
    # How Python is told that a module cannot be imported. Arrow does without.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        # Arrow parses the docstring of each option to write that of each function.
        sys.modules[_DOCSTRINGS] = _Undocumented(_DOCSTRINGS)
        import pyarrow.compute
        import pyarrow.fs  # noqa: F401
    finally:
        for name in (_DOCSTRINGS, *hidden):
            sys.modules.pop(name, None)


class _Undocumented(ModuleType):
    """In the place of Arrow's copy of numpydoc: no option has a description."""

    @staticmethod
    def NumpyDocString(text: str) -> dict[str, list[str]]:  # noqa: N802 - its name there
        """Of a docstring, nothing."""
        del text
        return {"Parameters": []}

"""How the command speaks: sentences to standard error, so that standard output is for machines."""

from __future__ import annotations

from rich.console import Console

_ERR = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def say(sentence: str) -> None:
    """Tell what happens."""
    _ERR.print(f"athena-local: {sentence}")

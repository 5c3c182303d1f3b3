"""How commands speak: progress and sentences for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console

from synapse.progress import Progress as ProgressCallback

if TYPE_CHECKING:
    from rich.table import Table

out = Console()
# Progress and errors go to standard error, so that `--json` leaves standard output to machines.
err = Console(stderr=True)


def print_json(value: Any) -> None:
    """Print a dataclass, dict or list as one JSON document."""

    def default(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            shown = (f.name for f in dataclasses.fields(item) if "is_internal" not in f.metadata)
            return {name: getattr(item, name) for name in shown}
        if isinstance(item, Decimal | Path):
            return str(item)
        if isinstance(item, datetime | date):
            return item.isoformat()
        raise TypeError(f"{type(item).__name__} has no JSON form")

    options = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, default=default, option=options).decode() + "\n")


def new_table(title: str | None = None, **more: Any) -> Table:
    """A table of rich, its title at the left; `more` are further arguments of it."""
    from rich.table import Table  # late: a seventh of the time in which a command starts

    return Table(title=title, title_justify="left", **more)


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressCallback]:
    """Yield a callback (label, done, total) that draws on a terminal and is silent elsewhere."""
    if not err.is_terminal:
        yield lambda _label, _done, _total: None
        return
    # Late: what a schedule starts draws nothing.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.fields[title]:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", title=title, total=None)

        def update(label: str, done: int, total: int) -> None:
            if total:
                progress.update(task, total=total)
            progress.update(task, completed=done, description=label)

        yield update

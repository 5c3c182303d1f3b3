"""What a declared file says that it must not, as one sentence with its line and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from synapse.schedules.yaml_lines import LinedYaml, Location


def refusal(
    document: LinedYaml,
    error: ValidationError,
    fields_at: Callable[[Location], Iterable[str]],
    hint: Callable[[str, Location], str] = lambda _kind, _location: "",
) -> str:
    """The sentence for the first of pydantic's errors.

    fields_at: the settings that there are where one is unknown. hint: what to add to a message, by
    pydantic's kind of error and the location.
    """
    # A setting misspelt is also one that is missing: the first says more.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    location = _in_document(document, first["loc"])
    where = ".".join(str(part) for part in location) or "the file"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"is no setting here{nearest(str(location[-1]), fields_at(location))}"
    elif first["type"] == "missing":
        message = "is missing: add it"
    else:
        message += hint(first["type"], location)
    return f"{document.at(*location)}: `{where}` {message}"


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean …?`, or else what there is."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f": did you mean `{close[0]}`?" if close else f"; there are {', '.join(known)}"


def _in_document(document: LinedYaml, location: Location) -> Location:
    """Without what pydantic adds of its own: [key], and which kind of a union it took."""
    found: Location = ()
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if part != "[key]" and (is_last or (*found, part) in document.lines):
            found = (*found, part)
    return found

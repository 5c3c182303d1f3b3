"""Every business rule has a unit test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dbt_bouncer.check_framework.decorator import check, fail

_HEADING = re.compile(r"^#{2,3} R(?P<number>[0-9]+)\b.*$", re.MULTILINE)
_PLANNED = re.compile(r"^\*\*Planned\b", re.MULTILINE)
# What silver promises (order of changes, deletes, epochs) is a contract without a number.
_SILVER = "silver_"


def built_rules(text: str) -> set[int]:
    """Return the numbers of the rules in docs/rules.md that some model implements by now.

    A rule is a heading such as `## R6 Retention`; one whose section has a line that starts with
    `**Planned` is not built yet.
    """
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {
        int(heading["number"])
        for heading, end in zip(headings, ends, strict=True)
        if not _PLANNED.search(text[heading.end() : end])
    }


def proven_rules(names: list[str]) -> set[int]:
    """Return the rule numbers that unit tests named r<id>_<model>__<behaviour> carry."""
    return {int(match[1]) for name in names if (match := re.match(r"r([0-9]+)_\w+?__\w", name))}


def is_sentence(name: str, model: str) -> bool:
    """Tell whether a unit test's name has the form that the house asks for."""
    pattern = rf"(?:r[0-9]+_|{_SILVER}){re.escape(model)}__[a-z0-9_]+"
    return re.fullmatch(pattern, name) is not None


@check
def check_rules_have_unit_tests(ctx: Any, *, rules_file: str = "docs/rules.md") -> None:
    """Every built rule of the rules file has at least one unit test."""
    path = Path(rules_file)
    rules = built_rules(path.read_text(encoding="utf-8")) if path.is_file() else set()
    if not rules:
        fail(f"{rules_file} has no heading such as `## R1 Business date`")
    missing = sorted(rules - proven_rules([str(test.name) for test in ctx.unit_tests]))
    if missing:
        fail(
            "no unit test named r<id>_<model>__<behaviour> proves "
            + ", ".join(f"R{number}" for number in missing)
        )


@check
def check_unit_test_name(unit_test: Any) -> None:
    """A unit test is a sentence about a rule: r<id>_<model>__<behaviour in words>.

    One that proves the silver contract is called silver_<model>__<behaviour in words>.
    """
    if not is_sentence(unit_test.name, unit_test.model):
        fail(
            f"unit test `{unit_test.name}` is not named r<id>_{unit_test.model}__<behaviour in "
            f"words>, with the number of the rule that it proves ({_SILVER} in place of r<id>_ for "
            "the silver contract)"
        )

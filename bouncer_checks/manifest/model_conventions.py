"""What a model of this project must say about itself."""

from __future__ import annotations

import re
from typing import Any

from dbt_bouncer.check_framework.decorator import check, fail

HEADER_LABELS = ("Grain", "Keys", "Incremental", "Rules")
_HEADER = re.compile(
    r"\A{#\s*" + r"\S.*?^\s*".join(f"{label}: " for label in HEADER_LABELS) + r"\S",
    re.DOTALL | re.MULTILINE,
)
CLASSIFICATIONS = frozenset({"public", "internal", "confidential"})
PII_KINDS = frozenset({"cpf", "email", "phone", "name", "free_text"})


def has_header(code: str) -> bool:
    """Tell whether the code of a model opens with the four labels and a text for each."""
    return _HEADER.match(code.split("#}")[0]) is not None


@check
def check_model_header(model: Any) -> None:
    """A model opens with a Jinja comment: grain, keys, incremental rule, business rules.

    The four labels stand at the start of a line, in this order, each followed by its text.
    """
    if not has_header(model.raw_code):
        fail(
            f"`{model.name}` does not open with a {{# … #}} comment whose lines start with "
            f"{', '.join(f'`{label}:`' for label in HEADER_LABELS)}, in this order"
        )


@check
def check_model_has_owner(model: Any) -> None:
    """A model belongs to a group, whose owner answers for it."""
    if not model.group:
        fail(f"`{model.name}` has no group: name the team that owns it (models/_groups.yml)")


@check
def check_model_columns_are_classified(model: Any) -> None:
    """Every column says how widely it may be read, and what it tells about a person."""
    problems = [
        f"{name}: {problem}"
        for name, column in model.columns.items()
        for problem in _classification_problems(column)
    ]
    if problems:
        fail(f"`{model.name}` has columns without a valid classification: {'; '.join(problems)}")


@check
def check_model_carries_no_pii(model: Any) -> None:
    """Gold carries no raw CPF, e-mail, phone, name or message text; pseudonyms join instead."""
    carried = [name for name, column in model.columns.items() if _meta(column).get("pii")]
    if carried:
        fail(f"`{model.name}` carries personal data: {', '.join(carried)}")


def _meta(column: Any) -> dict[str, Any]:
    config = getattr(column, "config", None)
    return dict(getattr(config, "meta", None) or getattr(column, "meta", None) or {})


def _classification_problems(column: Any) -> list[str]:
    meta = _meta(column)
    problems = []
    if meta.get("classification") not in CLASSIFICATIONS:
        problems.append(f"meta.classification is none of {', '.join(sorted(CLASSIFICATIONS))}")
    if "pii" in meta and meta["pii"] not in PII_KINDS:
        problems.append(f"meta.pii is none of {', '.join(sorted(PII_KINDS))}")
    return problems

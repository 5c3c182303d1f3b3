"""What a macro of this project must say about itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dbt_bouncer.check_framework.decorator import check, fail


@check
def check_macro_says_what_it_is_for(macro: Any) -> None:
    """A macro has a description in YAML, or a Jinja comment that ends on the line above it.

    The implementations of a dispatched macro (`athena__…`) follow the macro that they implement and
    need none; dbt names a generic test `test_<name>`.
    """
    if "__" in macro.name or macro.description:
        return
    name = re.escape(macro.name.removeprefix("test_"))
    documented = re.compile(r"#}\n{%-? (?:macro|test) " + name + r"\b")
    if not documented.search(Path(macro.original_file_path).read_text(encoding="utf-8")):
        fail(
            f"macro `{macro.name}` says nowhere what it is for: write a {{# … #}} comment right "
            f"above it in {macro.original_file_path}"
        )

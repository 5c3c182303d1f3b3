"""docs/hazards.md names a test for each hazard, and every test that it names exists."""

from __future__ import annotations

import ast
import re

from synapse_tests.lakes import PROJECT_DIR

DOC = PROJECT_DIR / "docs" / "hazards.md"
_NAMED = re.compile(r"`(test_\w+[.]py)::(test_\w+)`")


def functions_of(file: str) -> set[str]:
    """Names of the test functions in a file of synapse_tests."""
    tree = ast.parse((PROJECT_DIR / "synapse_tests" / file).read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name for name in found if name.startswith("test_")}


def test_every_named_test_exists() -> None:
    named = _NAMED.findall(DOC.read_text(encoding="utf-8"))
    assert len(named) >= 40
    missing = [f"{file}::{test}" for file, test in named if test not in functions_of(file)]
    assert missing == []


def test_every_hazard_names_a_test() -> None:
    rows = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    hazards = [line for line in rows if not line.startswith("| hazard |")]
    assert [line for line in hazards if not _NAMED.search(line.rsplit("|", 2)[-2])] == []


def test_every_hazard_test_is_listed() -> None:
    named = set(_NAMED.findall(DOC.read_text(encoding="utf-8")))
    files = ("test_cdc_hazards.py", "test_cdc_reloads.py")
    listed = {test for file, test in named if file in files}
    beside = {
        "test_a_load_that_dms_replaces_has_not_vanished",
        "test_confirming_a_reload_of_an_undeclared_table_is_bad_usage",
    }
    assert set().union(*map(functions_of, files)) - listed == beside

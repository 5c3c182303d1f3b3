"""docs/metrics.md names every metric, and nothing in it that does not exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_tests.lakes import PROJECT_DIR

PAGE = PROJECT_DIR / "docs" / "metrics.md"
GOLD = PROJECT_DIR / "models" / "gold"


@dataclass(frozen=True)
class Row:
    """A row of the catalogue."""

    metric: str
    rule: str
    anchor: str
    model: str
    tests: tuple[str, ...]
    bench: str


def cells(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def catalogue() -> list[Row]:
    """The rows of the catalogue."""
    found = []
    for metric, rule, model, tests, bench in cells("Catalogue"):
        linked = re.fullmatch(r"\[(R\d+)\]\(rules\.md#([a-z0-9-]+)\)", rule)
        assert linked, f"{metric}: {rule} is no link to a rule"
        named = tuple(re.findall(r"`([^`]+)`", tests))
        found.append(Row(metric.strip("`"), linked[1], linked[2], model.strip("`"), named, bench))
    return found


@cache
def declared() -> dict[str, dict[str, Any]]:
    """Every metric of the catalogue's files, by name."""
    files = (PROJECT_DIR / "models" / "metrics").glob("*.yml")
    metrics = [each for path in files for each in yaml.safe_load(path.read_text())["metrics"]]
    return {metric["name"]: metric for metric in metrics}


def model_file(model: str, suffix: str) -> Path:
    """The file of a model of gold."""
    found = list(GOLD.rglob(f"{model}{suffix}"))
    assert len(found) == 1, f"{model}{suffix}: {found}"
    return found[0]


@cache
def unit_tests_of(model: str) -> frozenset[str]:
    """The names of a model's unit tests."""
    properties = yaml.safe_load(model_file(model, ".yml").read_text())
    return frozenset(test["name"] for test in properties["unit_tests"])


def test_every_metric_is_in_the_catalogue_once() -> None:
    assert sorted(row.metric for row in catalogue()) == sorted(declared())


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.metric)
def test_what_a_row_names_exists(row: Row) -> None:
    home = declared()[row.metric]["config"]["meta"]["report"].split(".")[0]
    assert row.model == home, "another model shows the metric"

    rules = (PROJECT_DIR / "docs" / "rules.md").read_text()
    headings = [
        line[3:].lower() for line in rules.splitlines() if line.startswith(f"## {row.rule} ")
    ]
    assert [re.sub(r"[^a-z0-9 -]", "", text).replace(" ", "-") for text in headings] == [row.anchor]
    header = model_file(row.model, ".sql").read_text().split("#}", 1)[0]
    assert re.search(rf"\b{row.rule}\b", header.split("Rules:", 1)[1])

    unit_tests = [name for name in row.tests if "::" not in name]
    proofs = [name for name in row.tests if "::" in name]
    assert unit_tests, "no unit test"
    assert proofs, "no proof"
    assert set(unit_tests) <= unit_tests_of(row.model)
    assert all(name.startswith(f"{row.rule.lower()}_{row.model}__") for name in unit_tests)
    for proof in proofs:
        file, name = proof.split("::")
        assert f"\ndef {name}(" in (PROJECT_DIR / "synapse_tests" / file).read_text()
    assert row.bench == "-" or row.bench in {bench for bench, *_ in cells("Speed")}


def test_every_measured_ratio_has_the_command_that_measures_it() -> None:
    for bench, bar, measured, command in cells("Speed"):
        script = re.match(r"`python (benchmarks/\w+\.py)\b", command)
        assert script, f"{bench}: {command} names no benchmark"
        assert (PROJECT_DIR / script[1]).is_file()
        assert bar, f"{bench} has no bar"
        assert re.search(r"\d", measured), f"{bench} was not measured"

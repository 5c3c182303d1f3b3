"""The findings for people."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from synapse.dms_doctor.findings import Finding, Severity
from synapse.dms_doctor.service import DmsReport

_STYLES = {Severity.error: "bold red", Severity.warning: "yellow", Severity.info: "cyan"}


def print_report(report: DmsReport, console: Console) -> None:
    """Print what was checked, each finding with its cure, and the sum."""
    for finding in report.findings:
        _print_finding(finding, console)
    for sentence in report.checked:
        console.print(Text(f"checked      {sentence}"), soft_wrap=True)
    for sentence in report.not_checked:
        console.print(Text(f"not checked  {sentence}", style="yellow"), soft_wrap=True)
    errors, warnings = report.count(Severity.error), report.count(Severity.warning)
    notes = report.count(Severity.info)
    if errors or warnings:
        verdict = (
            "data would be refused, lost or wrong: cure the errors before the task starts"
            if errors
            else "what lands will be right"
        )
        console.print(
            Text(f"{errors} error(s), {warnings} warning(s), {notes} note(s): {verdict}"),
            soft_wrap=True,
        )
    else:
        console.print(
            Text(f"right: nothing in it goes against ingest ({notes} note(s))"), soft_wrap=True
        )


def _print_finding(finding: Finding, console: Console) -> None:
    head = Text.assemble(
        (f"{finding.severity.value:<8}", _STYLES[finding.severity]),
        (finding.check, "bold"),
        f"  {finding.subject}",
    )
    console.print(head, soft_wrap=True)
    lines = [f"{finding.setting} = {finding.found}"]
    if finding.tables:
        lines.append(f"tables: {', '.join(finding.tables)}")
    lines += [finding.reason, f"cure: {finding.cure}"]
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 8), expand=False))
    console.print()

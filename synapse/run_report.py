"""What an ingest and a run did, in sentences for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synapse.lake import DOLLARS_PER_LIST
from synapse.terminal import out

if TYPE_CHECKING:
    from synapse.ingest.service import IngestReport
    from synapse.runner.dry_run import DryRun
    from synapse.runner.service import RunReport


def say_ingested(report: IngestReport) -> None:
    """Say what an ingest did."""
    if report.requests:
        what = "all of bronze" if report.is_sweep else "the lookback's folders"
        out.print(
            f"Listed {report.listed:,} files of {what} with {report.requests:,} LIST requests, "
            f"about ${report.requests * DOLLARS_PER_LIST:.4f}"
        )
    out.print(
        f"Landed {report.landed:,} records = {report.accepted:,} accepted + "
        f"{report.duplicate:,} duplicate + {report.quarantined:,} quarantined"
    )
    for sentence in report.notices:
        out.print(f"  note: {sentence}", highlight=False)
    if report.quarantined:
        out.print("  see why with: synapse quarantine list")


def say_run(report: RunReport) -> None:
    """Say what a run did."""
    if report.ingest.listed:
        say_ingested(report.ingest)
    if report.status == "unchanged":
        out.print("Nothing new since the last run: silver and gold stand as they are")
        return
    if not report.dbt.statuses:
        out.print(f"{report.schedule}: {report.status}")
        return
    counts = ", ".join(f"{count} {status}" for status, count in sorted(report.dbt.statuses.items()))
    out.print(f"dbt: {counts} in {report.dbt.seconds:.1f} s")
    for step in report.steps:
        if step.status == "not run" or step.attempts > 1:
            tries = f" after {step.attempts} attempts" if step.attempts else ""
            out.print(f"  step {step.selector}: {step.status}{tries}")
    for gate in report.gates:
        out.print(f"  skipped: {gate.model} {gate.reason}", highlight=False, soft_wrap=True)
    for sentence in report.dbt.warnings:
        out.print(f"  data quality: {sentence}", highlight=False, soft_wrap=True)
    for sentence in report.dbt.failures:
        out.print(f"  failed: {sentence}", style="red", highlight=False, soft_wrap=True)


def say_one_of_many(report: RunReport) -> None:
    """Say in a line how one run of several ended."""
    out.print(f"{report.schedule} as of {report.as_of:%Y-%m-%d %H:%M} UTC: {report.status}")
    for sentence in report.dbt.failures:
        out.print(f"  failed: {sentence}", style="red", highlight=False, soft_wrap=True)


def say_dry_run(plan: DryRun) -> None:
    """Say what a run would do."""
    out.print(
        f"{plan.schedule} as of {plan.as_of:%Y-%m-%d %H:%M %Z}: at most "
        f"{plan.timeout_seconds:,.0f} s, leases {', '.join(plan.leases)}"
    )
    if plan.covers[:-1]:
        out.print(f"  first, because it has not run: {', '.join(plan.covers[:-1])}")
    out.print(f"  ingest: {plan.ingest}")
    for number, step in enumerate(plan.steps, start=1):
        out.print(f"  step {number}, {step.selector}: {len(step.selected)} selected")
        out.print(f"    {', '.join(step.selected)}", highlight=False, soft_wrap=True)
    if plan.expected is not None:
        out.print(
            f"  expected, as each node's last run: {plan.expected.scanned_bytes:,} bytes scanned, "
            f"${plan.expected.cost_usd:.4f}; {len(plan.expected.unmeasured)} nodes were never run",
            soft_wrap=True,
        )

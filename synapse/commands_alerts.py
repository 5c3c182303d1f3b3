"""`synapse alerts`: what is firing, looking at once, and trying a channel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from synapse.errors import SynapseError, UsageError
from synapse.options import JsonOption, LakeOption, ProjectOption, Target, TargetOption
from synapse.project import find_project
from synapse.settings import Settings
from synapse.terminal import err, new_table, out, print_json

if TYPE_CHECKING:
    from synapse.alerts.service import Watch

alerts_app = typer.Typer(
    no_args_is_help=True, help="Who is told of what: alerts.yml, what is firing, channels."
)
_DAY = timedelta(days=1)


@alerts_app.command("list", epilog="Example: synapse alerts list --lake lake")
def list_command(
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is firing now, as the last look left it."""
    watch = _watch(lake, Target.duckdb, project_dir)
    firing = watch.ledger.firing()
    faults = watch.ledger.faults_since(datetime.now(UTC).replace(tzinfo=None) - _DAY)
    watch.close()
    if as_json:
        print_json({"firing": firing, "faults_in_a_day": faults})
        return
    if firing:
        table = new_table(title="Firing")
        for heading in ("alert", "severity", "since (UTC)", "what", "owner", "told", "untold"):
            table.add_column(heading, overflow="fold")
        for one in firing:
            table.add_row(
                f"{one.rule}\n{one.subject}",
                one.severity,
                f"{one.since:%Y-%m-%d %H:%M}",
                f"{one.sentence} (value {one.value}, limit {one.limit})",
                one.owner,
                str(one.sent),
                str(one.untold),
            )
        out.print(table)
    else:
        out.print("Nothing is firing")
    if faults:
        out.print(f"In the last day {faults:,} looks or deliveries failed: see the log")


@alerts_app.command("check", epilog="Example: synapse alerts check --dry-run --lake lake")
def check_command(
    lake: LakeOption = None,
    target: TargetOption = Target.duckdb,
    project_dir: ProjectOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be told; tell and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at every rule now and tell whom it concerns."""
    watch = _watch(lake, target, project_dir)
    try:
        if not dry_run:
            _note_figures(watch)
        look = watch.look(dry_run=dry_run)
    finally:
        watch.close()
    if as_json:
        print_json({"notices": look.notices, "sent": look.told.sent, "problems": look.problems})
    else:
        for notice in look.notices:
            out.print(notice.title, highlight=False, markup=False, soft_wrap=True)
            for line in notice.lines:
                out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
        if not look.notices:
            out.print("Nothing has changed")
        for channel, count in sorted(look.told.sent.items()):
            out.print(f"{count} delivered to {channel}")
    for problem in look.problems:
        err.print(f"alerts: {problem}", style="red", highlight=False, markup=False, soft_wrap=True)
    if look.problems:
        raise typer.Exit(1)


@alerts_app.command("test", epilog="Example: synapse alerts test chat --lake lake")
def try_command(
    channel: Annotated[str, typer.Argument(help="A channel of alerts.yml.")],
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
) -> None:
    """Send a test notice to a channel, and its recovery: where incidents are kept, none stays."""
    from synapse.alerts.delivery import send
    from synapse.alerts.sender import NotSentError, Patience, sender_of
    from synapse.alerts.service import trial_notices

    watch = _watch(lake, Target.duckdb, project_dir)
    watch.close()
    if channel not in watch.alerts.channels:
        there = ", ".join(watch.alerts.channels) or "none yet: declare one in alerts.yml"
        raise UsageError(f"there is no channel {channel!r}; there are: {there}")
    patience = Patience()
    sender = sender_of(channel, watch.alerts, patience)
    for notice in trial_notices(Settings.load(lake=lake), datetime.now(UTC)):
        try:
            send(sender, notice, patience, patience.total_seconds)
        except NotSentError as error:
            raise SynapseError(f"channel `{channel}` did not take it: {error.reason}") from error
    out.print(f"Channel `{channel}` took a test notice and its recovery")


def _watch(lake: str | None, target: Target, project_dir: ProjectOption) -> Watch:
    from synapse.alerts.service import Watch

    settings = Settings.load(lake=lake, target=target.value)
    settings.require_lake()
    return Watch(settings, find_project(project_dir))


def _note_figures(watch: Watch) -> None:
    try:
        watch.note_figures()
    except SynapseError as error:
        # A run writes the warehouse now, and will keep its figures itself.
        err.print(f"alerts: {error}", highlight=False, markup=False, soft_wrap=True)

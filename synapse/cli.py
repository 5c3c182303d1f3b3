"""The `synapse` command.

What only one command needs is imported by that command: dbt, Arrow and SQLAlchemy together take
longer to import than most commands take to run.
"""

from __future__ import annotations

import math
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from synapse import __version__
from synapse.commands_alerts import alerts_app
from synapse.commands_cost import cost_command
from synapse.commands_drill import drill_command
from synapse.commands_metrics import metrics_app
from synapse.commands_new import new_app
from synapse.commands_published import published_command
from synapse.commands_quarantine import quarantine_app
from synapse.commands_run import add_run_commands
from synapse.commands_schedule import add_schedule_commands
from synapse.commands_status import add_status_commands
from synapse.commands_tables import maintain_command, rollback_command
from synapse.errors import SynapseError
from synapse.ingest.early_start import take
from synapse.lean_arrow import load_lean_arrow
from synapse.options import AsOfOption, JsonOption, LakeOption, ProjectOption
from synapse.project import find_project
from synapse.run_report import say_ingested, say_run
from synapse.runner.clock import parse_as_of
from synapse.settings import Settings
from synapse.system_errors import explain
from synapse.terminal import err, out, print_json, progress_bar

if TYPE_CHECKING:
    from synapse.generate.service import GenerateReport

app = typer.Typer(
    name="synapse",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From what DMS and Kafka Connect land to the figures that the product is run on.",
)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(alerts_app, name="alerts")
app.add_typer(metrics_app, name="metrics")
app.add_typer(new_app, name="new")
add_run_commands(app)
add_schedule_commands(app)
add_status_commands(app)
app.command("cost", epilog="Example: synapse cost --by model --lake s3://lake")(cost_command)
app.command("maintain", epilog="Example: synapse maintain --target athena")(maintain_command)
app.command("drill", epilog="Example: synapse drill --lake lake --rto-hours 24")(drill_command)
app.command("published", epilog="Example: synapse published --sql --lake lake")(published_command)
app.command("rollback", epilog="Example: synapse rollback 4f1c --target athena")(rollback_command)


class Hazards(StrEnum):
    """How badly the generated bronze behaves."""

    none = "none"
    normal = "normal"
    hostile = "hostile"


def _version(show: bool) -> None:
    if show:
        out.print(f"synapse {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    log_format: Annotated[
        str | None,
        typer.Option(help="Structured logs: json (standard error), file (in the lake), json,file."),
    ] = None,
) -> None:
    """Work on a lake; every command says with --help what it needs."""
    del version  # its callback has answered
    if log_format is not None:
        # One setting, which processes that a command starts inherit.
        os.environ["SYNAPSE_LOG"] = log_format


def _say_generated(report: GenerateReport, lake: Path) -> None:
    out.print(
        f"Simulated {report.users:,} users, {report.conversations:,} conversations, "
        f"{report.messages:,} messages and {report.events:,} events "
        f"({report.start_date} to {report.end_date}): {report.files:,} files in {lake / 'bronze'}"
    )


@app.command("generate", epilog="Example: synapse generate --lake lake --users 5000 --days 120")
def generate_command(
    lake: LakeOption = None,
    users: Annotated[int, typer.Option(min=1, help="About how many people sign up.")] = 5000,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 120,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 7,
    append: Annotated[bool, typer.Option("--append", help="Add the next day(s) instead.")] = False,
    hazards: Annotated[Hazards, typer.Option(help="How badly the data behaves.")] = Hazards.normal,
    as_json: JsonOption = False,
) -> None:
    """Land a believable bronze from a simulated product."""
    from synapse.generate.service import generate

    settings = Settings.load(lake=lake)
    settings.require_folder("synapse generate")
    report = generate(
        settings.lake,
        users=users,
        days=days,
        seed=seed,
        append=append,
        hazards=hazards.value,
    )
    print_json(report) if as_json else _say_generated(report, settings.lake)


@app.command("ingest", epilog="Example: synapse ingest --lake lake")
def ingest_command(
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    as_of: AsOfOption = None,
    recent: Annotated[
        bool,
        typer.Option("--recent", help="List only folders of the last days, as an hourly run does."),
    ] = False,
    confirm_reload: Annotated[
        list[str] | None,
        typer.Option(
            help="Take the waiting reload of this table (dms.<schema>.<table>) now: it is complete."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="After so many, leave the sources not begun to the next ingest."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what landed, check it, and accept, consolidate or quarantine it."""
    settings = Settings.load(lake=lake)
    early = take(settings, recent=recent)
    load_lean_arrow()  # before all that imports it
    from synapse.ingest.service import ingest

    with progress_bar("ingest") as progress:
        report = ingest(
            settings,
            find_project(project_dir),
            as_of=early.moment if as_of is None else parse_as_of(as_of),
            sweep=None if recent else True,
            progress=progress,
            confirm_reloads=confirm_reload or (),
            seconds=seconds or math.inf,
            readers=early.readers,
        )
    print_json(report) if as_json else say_ingested(report)


@app.command("demo", epilog="Example: synapse demo --lake lake")
def demo_command(
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    users: Annotated[int, typer.Option(min=1, help="About how many people sign up.")] = 4640,
    days: Annotated[int, typer.Option(min=35, help="How many days.")] = 120,
) -> None:
    """Generate a lake, build it, and show its numbers; about a minute."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from synapse.deps import ensure_packages
    from synapse.generate.service import generate
    from synapse.report import print_key_figures, read_key_figures
    from synapse.runner.dbt import DbtProject
    from synapse.runner.service import build_docs, run

    settings = Settings.load(lake=lake)
    settings.require_folder("synapse demo")
    project = find_project(project_dir)
    began = time.monotonic()
    ensure_packages(project)
    dbt = DbtProject(settings, project)
    parameters = settings.lake / "truth" / "generator.json"
    if parameters.is_file():
        out.print(f"Using the simulated lake that is in {settings.lake}")
    else:
        # In a process of its own, so that dbt can parse the project meanwhile.
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        with err.status("simulating the product"), pool:
            simulated = pool.submit(
                generate,
                settings.lake,
                users=users,
                days=days,
                seed=7,
                append=False,
                hazards="normal",
            )
            dbt.parse()
            report = simulated.result()
        _say_generated(report, settings.lake)
    # The simulated product's clock, not ours: its last date has just ended.
    instant = parse_as_of(orjson.loads(parameters.read_bytes())["as_of"])
    with progress_bar("daily") as progress:
        outcome = run(
            settings, project, schedule="daily", as_of=instant, progress=progress, dbt=dbt
        )
    say_run(outcome)
    if outcome.status == "failed":
        raise typer.Exit(1)
    with err.status("writing the docs site"):
        # Of an unchanged run nothing is compiled yet.
        built = dbt if outcome.status == "succeeded" else None
        site = build_docs(settings, project, dbt=built)
    print_key_figures(read_key_figures(settings), out)
    out.print(f"Models, lineage and definitions: {site}", soft_wrap=True)
    out.print(f"The warehouse (DuckDB): {settings.warehouse}", soft_wrap=True)
    out.print(f"Done in {time.monotonic() - began:.0f} s. Why to believe it: make test")


@app.command("figures", epilog="Example: synapse figures --lake lake")
def figures_command(
    lake: LakeOption = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Also draw them into this file.")
    ] = None,
) -> None:
    """Show the key figures of the last complete date."""
    from synapse.report import draw_key_figures, print_key_figures, read_key_figures

    figures = read_key_figures(Settings.load(lake=lake))
    print_key_figures(figures, out)
    if svg is not None:
        draw_key_figures(figures, svg)


@app.command("docs", epilog="Example: synapse docs --lake lake")
def docs_command(lake: LakeOption = None, project_dir: ProjectOption = None) -> None:
    """Write the dbt docs site as one file that works offline."""
    from synapse.runner.service import build_docs

    settings = Settings.load(lake=lake)
    with err.status("writing the docs site"):
        site = build_docs(settings, find_project(project_dir))
    out.print(f"Models, lineage and definitions: {site}", soft_wrap=True)


@app.command("doctor", epilog="Example: synapse doctor --dms tasks.json --dms endpoints.json")
def doctor_command(
    lake: LakeOption = None,
    project_dir: ProjectOption = None,
    dms: Annotated[
        list[Path] | None,
        typer.Option("--dms", help="Instead: what AWS DMS will do wrong, from its JSON (repeat)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a set-up and say what to fix."""
    from synapse.doctor import examine

    if dms:
        _examine_dms(dms, project_dir, as_json)
        return
    findings = examine(Settings.load(lake=lake), find_project(project_dir))
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            mark = "ok " if finding.is_ok else "fix"
            out.print(f"{mark}  {finding.subject}: {finding.sentence}", highlight=False)
    if not all(finding.is_ok for finding in findings):
        raise typer.Exit(1)


def _examine_dms(files: list[Path], project_dir: Path | None, as_json: bool) -> None:
    from synapse.declarations import load_declarations
    from synapse.dms_doctor.findings import Severity
    from synapse.dms_doctor.report import print_report
    from synapse.dms_doctor.service import examine_dms

    report = examine_dms(files, load_declarations(find_project(project_dir)))
    print_json(report) if as_json else print_report(report, out)
    if report.count(Severity.error):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a SynapseError becomes one sentence and its exit code."""
    try:
        app()
    except SynapseError as error:
        _stop(str(error), error.exit_code)
    except Exception as error:
        # What the machine refuses anywhere is no defect of ours; all else is, and shows its trace.
        from synapse.state_store import went_away

        place = "a file of the lake or the state store (SYNAPSE_STATE)"
        said = explain(error, place) or went_away(error)
        if said is None:
            raise
        _stop(said, 1)


def _stop(sentence: str, exit_code: int) -> None:
    err.print(f"error: {sentence}", style="red", highlight=False, soft_wrap=True, markup=False)
    sys.exit(exit_code)

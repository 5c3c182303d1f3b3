"""The `athena-local` command."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from athena_local.background import bring_down, bring_up
from athena_local.errors import AthenaLocalError
from athena_local.folders import default_instance
from athena_local.instance import Instance, find_instance, foreign_settings
from athena_local.local_http import answers
from athena_local.signals import AskedToStopError, stop_on_signals
from athena_local.terminal import say

app = typer.Typer(
    name="athena-local",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Amazon Athena on this machine: its API over a real Trino, with S3 and Glue beside it.",
)
DirOption = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of the instance; default: one in the user's cache."),
]
PortOption = Annotated[
    int | None,
    typer.Option(help="First of four consecutive ports; default: free ones are found."),
]


@app.command()
def up(
    folder: DirOption = None,
    port: PortOption = None,
    while_pid: Annotated[
        int | None, typer.Option(help="End it once this process has ended.")
    ] = None,
) -> None:
    """Start it in the background.

    Example: athena-local up && eval "$(athena-local env)"
    """
    started = time.monotonic()
    instance = bring_up(_folder(folder), port, while_pid)
    say(
        f"up after {time.monotonic() - started:.0f} s, Athena at port {instance.athena_port}; "
        f'use it with: eval "$(athena-local env{_dir(folder)})"'
    )


@app.command()
def down(folder: DirOption = None) -> None:
    """End it, with all that it holds.

    Example: athena-local down
    """
    if bring_down(_folder(folder)):
        say("down")
    else:
        say(f"nothing runs in {_folder(folder)}")


@app.command()
def status(folder: DirOption = None) -> None:
    """Say what runs; exit code 1 when it does not serve.

    Example: athena-local status
    """
    instance = find_instance(_folder(folder))
    if instance is None:
        say(f"nothing runs in {_folder(folder)}")
        raise typer.Exit(1)
    urls = instance.environment()
    trino = f"http://{urls['TRINO_HOST']}:{urls['TRINO_PORT']}"
    checks = {
        "S3 and AWS": (urls["AWS_ENDPOINT_URL"], "/moto-api/"),
        "Glue": (urls["AWS_ENDPOINT_URL_GLUE"], "/health"),
        "Athena": (urls["AWS_ENDPOINT_URL_ATHENA"], "/health"),
        "Trino": (trino, "/v1/info"),
    }
    serving = {name: answers(url + path) for name, (url, path) in checks.items()}
    for name, (url, _) in checks.items():
        typer.echo(f"{name:<11} {url}  {'serves' if serving[name] else 'does not answer'}")
    typer.echo(f"{'state':<11} {instance.state}, process {instance.pid}, in {instance.folder}")
    if instance.state != "ready" or not all(serving.values()):
        raise typer.Exit(1)


@app.command()
def env(folder: DirOption = None) -> None:
    """Print the shell's lines that lead AWS's clients to it, and away from any account.

    Example: eval "$(athena-local env)"
    """
    instance = _require(_folder(folder))
    wanted = instance.environment()
    for name in foreign_settings(dict(os.environ)):
        if name not in wanted:
            typer.echo(f"unset {name}")
    for name, value in wanted.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    folder: DirOption = None,
    port: PortOption = None,
) -> None:
    """Start it, run a command against it, end it; the exit code is the command's.

    Example: athena-local run -- synapse run daily --target athena
    """
    if not context.args:
        raise typer.BadParameter("say what to run: athena-local run -- COMMAND", context)
    # Late: only here parts are started by this very process.
    from athena_local.foreground import run_command

    temporary = None if folder else Path(tempfile.mkdtemp(prefix="athena-local-"))
    try:
        with stop_on_signals():
            code = run_command(context.args, folder or temporary or Path(), port)
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    raise typer.Exit(code)


def _folder(chosen: Path | None) -> Path:
    return (chosen or default_instance()).resolve()


def _dir(chosen: Path | None) -> str:
    return f" --dir {shlex.quote(str(chosen))}" if chosen else ""


def _require(folder: Path) -> Instance:
    instance = find_instance(folder)
    if instance is None or instance.state != "ready":
        raise AthenaLocalError(
            f"No local Athena serves in {folder}: `athena-local up` starts one, --dir names "
            "another folder."
        )
    return instance


def main() -> None:
    """Run the command line; an error becomes one sentence and exit code 1."""
    try:
        app()
    except AthenaLocalError as error:
        say(f"error: {error}")
        sys.exit(1)
    except AskedToStopError as asked:
        sys.exit(asked.exit_code)

"""The `pylon` command; each sub-command imports its modules lazily, so that `--help` is fast."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic_settings import SettingsError

from pylon.cli.backup.backup_commands import backup, restore
from pylon.cli.command_error import CommandError
from pylon.cli.deployment_command import HomeOption, JsonOption
from pylon.cli.help_texts import unwrap_help
from pylon.cli.jobs.job_commands import jobs_app
from pylon.cli.reset.reset_command import reset
from pylon.cli.watch.watch_commands import watch_app
from pylon.common.distribution import service_version
from pylon.common.logs import set_up_logging

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Pylon, a gateway between Bittensor validators and miners and the chain.\n\n"
        "`pylon up --devnet` runs everything on this machine, with a simulated chain; "
        "`pylon up` runs it against the network that PYLON_BITTENSOR_NETWORK names."
    ),
)

DEFAULT_DEVNET_BLOCK_TIME_S = 12.0
MAX_PORT = 65_535
MAX_TEMPO_BLOCKS = 65_535
COMPLETION_VARIABLE = "_PYLON_COMPLETE"
"""Set by shells that request completions and parse the output."""


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"pylon {service_version()}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def _pylon(
    version_: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None: ...


@app.command()
def up(
    devnet: Annotated[
        bool, typer.Option("--devnet", help="Run a simulated chain and use it.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address of the REST API.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="PORT", min=1, max=MAX_PORT, help="Port of the REST API.")
    ] = 8000,
    nats_port: Annotated[
        int,
        typer.Option(
            envvar="NATS_PORT", min=1, max=MAX_PORT, help="Port of the embedded nats-server."
        ),
    ] = 4222,
    nats_host: Annotated[
        str | None,
        typer.Option(
            envvar="PYLON_NATS_HOST",
            help="Address of the embedded nats-server; loopback admits this machine only.",
            show_default="127.0.0.1, or from .env",
        ),
    ] = None,
    devnet_port: Annotated[
        int,
        typer.Option(
            envvar="DEVNET_PORT", min=1, max=MAX_PORT, help="Port of the simulated chain."
        ),
    ] = 9944,
    block_time: Annotated[
        float,
        typer.Option(envvar="BLOCK_TIME", min=0.25, help="Seconds per simulated block."),
    ] = DEFAULT_DEVNET_BLOCK_TIME_S,
    devnet_control_port: Annotated[
        int | None,
        typer.Option(
            envvar="DEVNET_CONTROL_PORT",
            min=1,
            max=MAX_PORT,
            help="Port of the simulated chain's control API; disabled by default.",
        ),
    ] = None,
    devnet_runtime: Annotated[
        str | None,
        typer.Option(
            envvar="DEVNET_RUNTIME",
            help="Runtime of the simulated chain: newest or finney-424.",
            show_default="newest",
        ),
    ] = None,
    tempo: Annotated[
        int | None,
        typer.Option(
            envvar="DEVNET_TEMPO",
            min=1,
            max=MAX_TEMPO_BLOCKS,
            help="Blocks per epoch of the simulated chain; a change requires --fresh.",
            show_default="360",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            envvar="DEVNET_SEED",
            help="Seed of the simulated chain's accounts; a change requires --fresh.",
            show_default="1",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Restart the simulated chain at genesis.")
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="PYLON_HOME", help="Folder of all state.", show_default=".pylon, or from .env"
        ),
    ] = None,
) -> None:
    """Run NATS, a worker and the bridge on this machine, until Ctrl-C."""
    from pylon.cli.up.child_process import ChildExitedError
    from pylon.cli.up.supervisor import run
    from pylon.cli.up.up_options import UpOptions, UpSettings
    from pylon.common.redaction import REDACTOR
    from pylon.nats_server.embedded_server import EmbeddedNatsError
    from pylon.nats_server.permissions import PermissionsError

    try:
        if nats_host is not None:
            os.environ["PYLON_NATS_HOST"] = nats_host
        settings = UpSettings()
        options = UpOptions(
            home=home or settings.home,
            host=host,
            port=port,
            nats_host=settings.nats_host,
            nats_port=nats_port,
            devnet_port=devnet_port if devnet else None,
            control_port=devnet_control_port,
            devnet_runtime=devnet_runtime,
            devnet_tempo=tempo,
            devnet_seed=seed,
            block_time_s=block_time,
            fresh=fresh,
        )
        asyncio.run(run(options))
    except (CommandError, ChildExitedError, EmbeddedNatsError, PermissionsError) as error:
        typer.echo(REDACTOR.redact_text(f"pylon up: {error}"), err=True)
        raise typer.Exit(1) from None


@app.command()
def worker() -> None:
    """Run one chain worker, with the settings of the environment and of `.env`."""
    import uvloop

    from pylon.common.redaction import REDACTOR
    from pylon.worker.main import WorkerError, run_worker
    from pylon.worker.settings import WorkerSettings

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_worker(WorkerSettings()))
    except WorkerError as error:
        typer.echo(REDACTOR.redact_text(f"pylon worker: {error}"), err=True)
        raise typer.Exit(1) from None


@app.command()
def check(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check whether a worker can run here: one line per finding, with a remedy.

    Checks the settings, the disk, NATS and its streams, the chain and the archive, and each
    identity's wallet, registration, validator permit and rate limit. Nothing is changed, except
    that JetStream stores one key, which expires. Exits with code 1 if a check fails.

    Checks the `pylon up` that runs from the home, or otherwise the deployment that the environment
    and `.env` describe.
    """
    from pylon.cli.check.check_command import check as check_all
    from pylon.cli.check.report import report_as_json, report_as_lines
    from pylon.cli.up import running_home
    from pylon.common.redaction import REDACTOR, collect_secrets
    from pylon.worker.settings import WorkerSettings

    logging.getLogger().setLevel(logging.ERROR)  # the findings contain the details
    adopted = running_home.find_deployment(home)
    settings = WorkerSettings()
    REDACTOR.add_secrets(collect_secrets(settings))
    report = report_as_json if as_json else report_as_lines
    if not report(lambda tell: asyncio.run(check_all(settings, tell)), adopted):
        raise typer.Exit(1)


app.add_typer(watch_app, name="watch")
app.add_typer(jobs_app, name="jobs")
app.command()(backup)
app.command()(restore)
app.command()(reset)


@app.command(name="nats-conf")
def nats_conf(
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, readable by its owner only; standard output by default."),
    ] = None,
) -> None:
    """Write the users, permissions and certificates of NATS from the settings.

    `nats.conf` includes the file. A running server reloads it on SIGHUP: connections of remaining
    users stay open, connections of removed users are closed.
    """
    from pylon.common.private_file import write_private
    from pylon.common.variable_checks import check_variables
    from pylon.nats_server.permissions import PermissionsError
    from pylon.nats_server.server_access import ServerAccessSettings, server_access_config

    try:
        settings = ServerAccessSettings()
        check_variables(settings)
        text = server_access_config(settings)
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_private(out, text)
    except (OSError, PermissionsError) as error:
        typer.echo(f"pylon nats-conf: {error}", err=True)
        raise typer.Exit(1) from None


def _register_devnet_command() -> None:
    """Register `pylon devnet`, whose module defines its options."""
    from pylon_devnet.devnet_command import DEVNET_EPILOG, devnet

    app.command(epilog=DEVNET_EPILOG)(devnet)


def _require_working_directory() -> None:
    """Raise unless the working directory exists, to which `.env` and the home are relative."""
    try:
        Path.cwd()
    except OSError as error:
        raise CommandError(
            f"the working directory cannot be used ({error.strerror}): change to another one"
        ) from None


def main() -> None:
    """Run the command line; invalid settings end it with one line per error."""
    _register_devnet_command()
    unwrap_help(app)
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # stdout may be closed
    if callable(reconfigure):
        reconfigure(errors="replace")  # the terminal may not know all characters
    try:
        _require_working_directory()
        if COMPLETION_VARIABLE not in os.environ:
            set_up_logging()
        app(prog_name="pylon")
    except SettingsError as error:
        for mistake in str(error).splitlines():
            typer.echo(f"wrong setting: {mistake}", err=True)
        raise SystemExit(2) from None
    except CommandError as error:
        typer.echo(f"pylon: {error}", err=True)
        raise SystemExit(1) from None

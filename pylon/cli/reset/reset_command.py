"""The command `pylon reset`."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer


def reset(
    network: Annotated[
        str, typer.Option(help="Name or address of the network whose state is set aside.")
    ],
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of the state; by default PYLON_HOME or, if set, PYLON_NATS_URL."),
    ] = None,
    into: Annotated[
        Path, typer.Option(help="Folder of the file with the jobs of another NATS.")
    ] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Set the state of one chain aside, so that another chain can be served; stop Pylon first.

    The state of `pylon up` is moved within its home. With PYLON_NATS_URL, all jobs in that NATS are
    written to a file for `pylon restore`, and all streams are emptied.
    """
    from pylon.cli.reset.reset_run import ResetError, StateReset
    from pylon.cli.up import running_home
    from pylon.cli.up.up_options import UpSettings
    from pylon.common.redaction import REDACTOR, collect_secrets
    from pylon.worker.settings import WorkerSettings

    def confirm(what: str) -> None:
        typer.echo(REDACTOR.redact_text(what), err=True)
        if yes:
            return
        if not sys.stdin.isatty():
            raise ResetError("there is no terminal to ask for confirmation: add --yes")
        if not typer.confirm("Set it aside?", err=True):
            raise ResetError("nothing was changed")

    logging.getLogger().setLevel(logging.WARNING)
    try:
        runs_from = None if home is not None else running_home.load_runtime_env()
        settings = WorkerSettings()
        REDACTOR.add_secrets(collect_secrets(settings))
        if runs_from is not None:
            raise ResetError(f"Pylon runs from {runs_from}: stop it first")  # noqa: TRY301 -- handled like all other errors
        wish = StateReset(network, settings, confirm)
        is_elsewhere = home is None and "nats_url" in settings.model_fields_set
        folder = (home or UpSettings().home).absolute()
        work = wish.set_aside_nats(into.absolute()) if is_elsewhere else wish.set_aside_home(folder)
        typer.echo(REDACTOR.redact_text(asyncio.run(work)))
    except ResetError as error:
        typer.echo(REDACTOR.redact_text(f"pylon reset: {error}"), err=True)
        raise typer.Exit(1) from None

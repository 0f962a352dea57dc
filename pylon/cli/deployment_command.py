"""Run a command that uses a running deployment, and the options that such commands share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import FailureError

if TYPE_CHECKING:
    from rich.console import Console

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Home of the `pylon up` to read.",
        show_default="PYLON_HOME, or .pylon in this folder",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def run_with_deployment(
    action: Callable[[DeploymentSettings, "Console"], Coroutine[Any, Any, None]],
    home: Path | None,
) -> None:
    """Run an action with the settings of a deployment; exit with status 1 if it fails.

    Args:
        action: the action; it receives the settings and the console.
        home: home of the `pylon up` whose settings are used; None for PYLON_HOME.
    """
    from rich.console import Console

    from pylon.cli.up import running_home
    from pylon.common.redaction import REDACTOR, collect_secrets

    logging.getLogger().setLevel(logging.WARNING)
    running_home.find_deployment(home)
    settings = DeploymentSettings()
    REDACTOR.add_secrets(collect_secrets(settings))
    try:
        asyncio.run(action(settings, Console()))
    except FailureError as error:
        typer.echo(REDACTOR.redact_text(f"pylon: {error.failure.detail}"), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None

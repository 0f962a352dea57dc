"""The commands `pylon watch …`."""

from typing import Annotated

import typer

from pylon.cli.deployment_command import HomeOption, run_with_deployment
from pylon_client.contract.types import NetUid

watch_app = typer.Typer(
    no_args_is_help=True, help="Show events as they are published, until Ctrl-C."
)


@watch_app.command()
def blocks(home: HomeOption = None) -> None:
    """Show each block as the workers publish it."""
    from pylon.cli.watch.event_view import watch_blocks

    run_with_deployment(watch_blocks, home)


@watch_app.command()
def neurons(
    netuid: Annotated[int, typer.Argument(min=0, help="A tracked subnet.")], home: HomeOption = None
) -> None:
    """Show the neurons of a tracked subnet at every block, ordered by stake."""
    from pylon.cli.watch.event_view import watch_neurons

    run_with_deployment(
        lambda settings, console: watch_neurons(settings, NetUid(netuid), console), home
    )


@watch_app.command(name="jobs")
def watched_jobs(home: HomeOption = None) -> None:
    """Show the jobs of every identity, and each change of their states."""
    from pylon.cli.watch.job_view import watch_jobs

    run_with_deployment(watch_jobs, home)

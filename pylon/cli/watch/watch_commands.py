"""The commands `pylon watch …` and `pylon jobs …`."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import JOBS_PER_PAGE
from pylon_client.contract.subjects import InvalidSubjectError, validate_job_id
from pylon_client.contract.types import IdentityName, JobId, NetUid

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

watch_app = typer.Typer(
    no_args_is_help=True, help="Show events as they are published, until Ctrl-C."
)


@watch_app.command()
def blocks(home: HomeOption = None) -> None:
    """Show each block as the workers publish it."""
    from pylon.cli.watch.event_view import watch_blocks

    _run(watch_blocks, home)


@watch_app.command()
def neurons(
    netuid: Annotated[int, typer.Argument(min=0, help="A tracked subnet.")], home: HomeOption = None
) -> None:
    """Show the neurons of a tracked subnet at every block, ordered by stake."""
    from pylon.cli.watch.event_view import watch_neurons

    _run(lambda settings, console: watch_neurons(settings, NetUid(netuid), console), home)


@watch_app.command(name="jobs")
def watched_jobs(home: HomeOption = None) -> None:
    """Show the jobs of every identity, and each change of their states."""
    from pylon.cli.watch.job_view import watch_jobs

    _run(watch_jobs, home)


jobs_app = typer.Typer(
    no_args_is_help=True,
    help=(
        "List, show and cancel jobs, which are writes to the chain that Pylon has accepted.\n\n"
        "Sends requests to the workers over NATS, as each identity of PYLON_IDENTITIES with its "
        "own token; a worker must run. A job goes from ACCEPTED over WAITING and SUBMITTING to "
        "COMMITTED or CONFIRMED, or ends as SUPERSEDED, EXPIRED, REJECTED, CANCELLED or FAILED. "
        "`pylon watch jobs` shows each change."
    ),
)


def _validate_job_id(text: str) -> str:
    try:
        return validate_job_id(text)
    except InvalidSubjectError as error:
        raise typer.BadParameter(f"{error}: `pylon jobs ls` lists them") from None


_JobArgument = Annotated[
    str,
    typer.Argument(metavar="JOB_ID", callback=_validate_job_id, help="Id from `pylon jobs ls`."),
]
_IdentityOption = Annotated[
    str | None,
    typer.Option("--identity", metavar="NAME", help="Use only this identity."),
]


@jobs_app.command(name="ls")
def list_jobs(
    identity: _IdentityOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Maximum number of jobs per identity.")
    ] = JOBS_PER_PAGE,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List jobs, newest first, with their states and last errors.

    Lists the open jobs, and the jobs that ended in the last days.
    """
    from pylon.cli.watch import own_jobs

    _run(
        lambda settings, console: own_jobs.list_jobs(
            settings, console, _identity_name(identity), limit, as_json=as_json
        ),
        home,
    )


@jobs_app.command(name="show")
def show_job(job: _JobArgument, identity: _IdentityOption = None, home: HomeOption = None) -> None:
    """Show all fields of a job as JSON: blocks, attempts, last error, left-out hotkeys."""
    from pylon.cli.watch import own_jobs

    _run(
        lambda settings, console: own_jobs.show_job(
            settings, console, JobId(job), _identity_name(identity)
        ),
        home,
    )


@jobs_app.command(name="cancel")
def cancel_job(
    job: _JobArgument, identity: _IdentityOption = None, home: HomeOption = None
) -> None:
    """Cancel a job that is not submitted yet; it ends as CANCELLED.

    A job that is being submitted cannot be cancelled, and an ended job stays unchanged.
    Newer weights supersede older ones without a cancellation.
    """
    from pylon.cli.watch import own_jobs

    _run(
        lambda settings, console: own_jobs.cancel_job(
            settings, console, JobId(job), _identity_name(identity)
        ),
        home,
    )


def _identity_name(identity: str | None) -> IdentityName | None:
    return None if identity is None else IdentityName(identity)


def _run(
    action: Callable[[DeploymentSettings, "Console"], Coroutine[Any, Any, None]],
    home: Path | None,
) -> None:
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

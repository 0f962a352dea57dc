"""The commands `pylon jobs …`."""

from typing import Annotated

import typer

from pylon.cli.deployment_command import HomeOption, JsonOption, run_with_deployment
from pylon_client.contract.jobs import JOBS_PER_PAGE
from pylon_client.contract.subjects import InvalidSubjectError, validate_job_id
from pylon_client.contract.types import IdentityName, JobId

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
    from pylon.cli.jobs import job_requests

    run_with_deployment(
        lambda settings, console: job_requests.list_jobs(
            settings, console, _identity_name(identity), limit, as_json=as_json
        ),
        home,
    )


@jobs_app.command(name="show")
def show_job(job: _JobArgument, identity: _IdentityOption = None, home: HomeOption = None) -> None:
    """Show all fields of a job as JSON: blocks, attempts, last error, left-out hotkeys."""
    from pylon.cli.jobs import job_requests

    run_with_deployment(
        lambda settings, console: job_requests.show_job(
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
    from pylon.cli.jobs import job_requests

    run_with_deployment(
        lambda settings, console: job_requests.cancel_job(
            settings, console, JobId(job), _identity_name(identity)
        ),
        home,
    )


def _identity_name(identity: str | None) -> IdentityName | None:
    return None if identity is None else IdentityName(identity)

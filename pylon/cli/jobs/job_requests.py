"""`pylon jobs`: request jobs from the workers over NATS, as each configured identity."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pylon.cli.jobs.job_row import JOB_COLUMNS, job_row
from pylon.cli.screen import build_table
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import MAX_JOBS_PER_PAGE
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName, JobId
from pylon_client.contract.writes import CANCEL_JOB, GET_JOB, LIST_JOBS, JobParams, ListJobs
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.transport import ReplyT

if TYPE_CHECKING:
    from rich.console import Console

    from pylon_client.contract.jobs import Job

REQUEST_TIMEOUT_S: Final = 15.0


async def list_jobs(
    settings: DeploymentSettings,
    console: "Console",
    only_identity: IdentityName | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Print jobs of the identities, newest first, and on a terminal whether there are more.

    Args:
        settings: settings of the deployment.
        console: prints a table if it is a terminal, else one line per job.
        only_identity: identity whose jobs are listed; None for every identity.
        limit: maximum number of jobs per identity.
        as_json: whether to print one JSON object, with the jobs as in the REST API.

    Raises:
        FailureError: the request failed.
    """
    jobs: list[Job] = []
    has_more_jobs = False
    for identity in _selected_identities(settings, only_identity):
        async with _connection(settings, identity) as connection:
            found, has_more = await _fetch_jobs(connection, identity, limit)
            jobs.extend(found)
            has_more_jobs |= has_more
    newest_first = sorted(jobs, key=lambda job: -job.created_at_ms)
    rows = [job_row(job) for job in newest_first]
    if as_json:
        listed = [job.model_dump(mode="json") for job in newest_first]
        _print(console, json.dumps({"jobs": listed, "has_more": has_more_jobs}, indent=2))
    elif console.is_terminal:
        console.print(build_table("Jobs", JOB_COLUMNS, rows, console.width))
        if has_more_jobs:
            _print(console, f"There are older jobs: --limit {10 * limit} shows more.")
    else:
        for row in rows:
            _print(console, " ".join(filter(None, row)))


async def _fetch_jobs(
    connection: NatsConnection, identity: IdentityName, limit: int
) -> tuple[list["Job"], bool]:
    """Return up to `limit` jobs of an identity, and whether it has more."""
    jobs: list[Job] = []
    before: str | None = None
    while True:
        query = ListJobs(limit=min(limit - len(jobs), MAX_JOBS_PER_PAGE), before=before)
        page = await _request(connection, identity, LIST_JOBS, query)
        jobs += page.jobs
        before = page.next
        if before is None or len(jobs) >= limit:
            return jobs, before is not None


async def show_job(
    settings: DeploymentSettings,
    console: "Console",
    job_id: JobId,
    only_identity: IdentityName | None,
) -> None:
    """Print all fields of one job as JSON.

    Args:
        settings: settings of the deployment.
        console: prints the job.
        job_id: id of the job.
        only_identity: identity of the job; None to try every identity.

    Raises:
        FailureError: the request failed.
    """
    job = await _request_owner(settings, GET_JOB, job_id, only_identity)
    _print(console, job.model_dump_json(indent=2, exclude_none=True))


async def cancel_job(
    settings: DeploymentSettings,
    console: "Console",
    job_id: JobId,
    only_identity: IdentityName | None,
) -> None:
    """Cancel a job that is not submitted yet, and print it; an ended job stays unchanged.

    Args:
        settings: settings of the deployment.
        console: prints the job.
        job_id: id of the job.
        only_identity: identity of the job; None to try every identity.

    Raises:
        FailureError: CONFLICT if the job is being submitted; or the request failed.
    """
    job = await _request_owner(settings, CANCEL_JOB, job_id, only_identity)
    _print(console, " ".join(filter(None, job_row(job))))


async def _request_owner(
    settings: DeploymentSettings,
    operation: Operation[Params, "Job"],
    job_id: JobId,
    only_identity: IdentityName | None,
) -> "Job":
    for identity in _selected_identities(settings, only_identity):
        async with _connection(settings, identity) as connection:
            try:
                return await _request(connection, identity, operation, JobParams(job_id=job_id))
            except FailureError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
    raise FailureError(
        ErrorCode.NOT_FOUND,
        f"Job {job_id} not found: none of the identities has it, or it ended long ago.",
    )


def _selected_identities(
    settings: DeploymentSettings, only_identity: IdentityName | None
) -> Sequence[IdentityName]:
    if only_identity is None and settings.identities:
        return settings.identities
    if only_identity is None or only_identity not in settings.identities:
        missing = "any identity" if only_identity is None else f"an identity '{only_identity}'"
        raise FailureError(ErrorCode.INVALID, f"PYLON_IDENTITIES does not have {missing}.")
    return [only_identity]


@asynccontextmanager
async def _connection(
    settings: DeploymentSettings, identity: IdentityName
) -> AsyncGenerator[NatsConnection]:
    connection = await connect(
        ConnectionOptions(
            urls=tuple(settings.nats_urls),
            user=identity,
            password=settings.identities_with_tokens[identity].token.get_secret_value(),
            name="pylon jobs",
            tls=settings.nats_tls,
        )
    )
    try:
        yield connection
    finally:
        await connection.close()


async def _request(
    connection: NatsConnection,
    identity: IdentityName,
    operation: Operation[Params, ReplyT],
    params: Params,
) -> ReplyT:
    subject = str(IdentitySubject(identity, operation.name))
    reply = await connection.request(
        subject, json_codec.encode(params), timeout_s=REQUEST_TIMEOUT_S
    )
    return operation.reply.model_validate_json(reply.body)


def _print(console: "Console", text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

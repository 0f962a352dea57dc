"""Hearing of the changes of jobs, as they are announced."""

import contextlib
from collections.abc import Callable, Container

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import ALL_JOB_EVENTS, identity_job_events
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import Connection


async def on_job_changes(
    connection: Connection, identity: IdentityName, heard: Callable[[Job], None]
) -> None:
    """Call `heard` with a job of an identity whenever it has changed; a change may get lost."""
    await _on_changes(connection, identity_job_events(identity), heard, None)


async def on_changes_of_jobs(
    connection: Connection, job_ids: Container[str], heard: Callable[[Job], None]
) -> None:
    """Call `heard` with a job whenever it has changed; a change may get lost, or all of them.

    Args:
        connection: as the user `worker`.
        job_ids: the jobs of interest at the moment; events of all others are not decoded.
        heard: the callback.
    """
    with contextlib.suppress(nats.errors.Error):  # the connection is closed, or about to be
        await _on_changes(connection, ALL_JOB_EVENTS, heard, job_ids)


async def _on_changes(
    connection: Connection,
    subject: str,
    heard: Callable[[Job], None],
    job_ids: Container[str] | None,
) -> None:
    async def take(message: Msg) -> None:
        if job_ids is not None and message.subject.rpartition(".")[2] not in job_ids:
            return
        try:
            job = Job.model_validate_json(message.data)
        except ValidationError:
            return  # a newer version's, which the ledger's listing leaves out too
        heard(job)

    await connection.subscribe(subject, take)

"""Hearing of the changes of jobs, as they are announced."""

import contextlib
from collections.abc import Callable, Container

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import ALL_JOB_EVENTS, identity_job_events
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection


async def subscribe_identity_jobs(
    connection: NatsConnection, identity: IdentityName, callback: Callable[[Job], None]
) -> None:
    """Call `callback` with a job of an identity whenever it has changed; a change may get lost."""
    await _subscribe(connection, identity_job_events(identity), callback, None)


async def subscribe_jobs(
    connection: NatsConnection, job_ids: Container[str], callback: Callable[[Job], None]
) -> None:
    """Call `callback` with a job whenever it has changed; a change may get lost, or all of them.

    Args:
        connection: as the user `worker`.
        job_ids: the jobs of interest at the moment; events of all others are not decoded.
        callback: the callback.
    """
    with contextlib.suppress(nats.errors.Error):  # the connection is closed, or about to be
        await _subscribe(connection, ALL_JOB_EVENTS, callback, job_ids)


async def _subscribe(
    connection: NatsConnection,
    subject: str,
    callback: Callable[[Job], None],
    job_ids: Container[str] | None,
) -> None:
    async def take(message: Msg) -> None:
        if job_ids is not None and message.subject.rpartition(".")[2] not in job_ids:
            return
        try:
            job = Job.model_validate_json(message.data)
        except ValidationError:
            return  # a newer version's, which the ledger's listing leaves out too
        callback(job)

    await connection.subscribe(subject, take)

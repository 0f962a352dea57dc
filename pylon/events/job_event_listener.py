"""Subscriptions to job events."""

from collections.abc import Callable, Container

from pydantic import ValidationError

from pylon.rpc.notifications import on_notification
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import ALL_JOB_EVENTS, identity_job_events
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import NatsConnection


async def subscribe_identity_jobs(
    connection: NatsConnection, identity: IdentityName, callback: Callable[[Job], None]
) -> None:
    """Call `callback` with a job of an identity after each change; changes may get lost."""
    await _subscribe(connection, identity_job_events(identity), callback, None)


async def subscribe_jobs(
    connection: NatsConnection, job_ids: Container[str], callback: Callable[[Job], None]
) -> None:
    """Call `callback` with a job after each change; changes may get lost, or all of them.

    Args:
        connection: as the user `worker`; nothing is subscribed if it is closed.
        job_ids: the jobs of interest, read at each event; events of other jobs are not decoded.
        callback: receives the job.
    """
    await _subscribe(connection, ALL_JOB_EVENTS, callback, job_ids, ignore_closed=True)


async def _subscribe(
    connection: NatsConnection,
    subject: str,
    callback: Callable[[Job], None],
    job_ids: Container[str] | None,
    *,
    ignore_closed: bool = False,
) -> None:
    def on_job_event(event_subject: str, body: bytes) -> None:
        if job_ids is not None and event_subject.rpartition(".")[2] not in job_ids:
            return
        try:
            job = Job.model_validate_json(body)
        except ValidationError:
            return  # from a newer version; lists of jobs leave such jobs out as well
        callback(job)

    await on_notification(connection, subject, on_job_event, ignore_closed=ignore_closed)

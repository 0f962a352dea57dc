"""Telling whoever listens that a job has changed."""

import contextlib

import nats.errors

from pylon_client.contract import wire
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import JobEventSubject
from pylon_client.nats.nats_connection import NatsConnection


class JobEventPublisher:
    """Publishes every change of a job once; one that is lost is found by asking for the job.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def publish(self, job: Job) -> None:
        """Publish a job as it is now."""
        subject = JobEventSubject(job.identity, job.job_id)
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._connection.nats.publish(str(subject), wire.encode(job))
